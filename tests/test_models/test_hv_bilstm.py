"""HV-BiLSTM: row by row and column by column, what a patch sees, its place as a neck."""

import pytest
import torch
from mmseg.registry import MODELS

from mmwsss.models import HVBiLSTM


@pytest.fixture
def neck():
    return HVBiLSTM(3, 2).eval()


def test_it_is_the_lstms_along_rows_and_columns(neck):
    x = torch.randn(2, 3, 4, 5)
    expected = torch.empty(2, 8, 4, 5)
    for n in range(2):
        for row in range(4):
            expected[n, :4, row] = neck.horizontal(x[n, :, row].T[None])[0][0].T
        for column in range(5):
            expected[n, 4:, :, column] = neck.vertical(x[n, :, :, column].T[None])[0][0].T
    torch.testing.assert_close(neck.context(x), expected)


def test_channels_of_whole_sequences_are_dropped_in_training():
    neck = HVBiLSTM(3, 2, dropout=0.0, sequence_dropout=0.5)
    seen = {}
    for name in ('horizontal', 'vertical'):
        lstm = getattr(neck, name)
        lstm.register_forward_pre_hook(lambda _, args, name=name: seen.update({name: args[0]}))
    x = torch.rand(2, 3, 4, 5) + 1
    neck.train().context(x)
    for sequences, whole in (
        (seen['horizontal'], x.permute(0, 2, 3, 1).flatten(0, 1)),
        (seen['vertical'], x.permute(0, 3, 2, 1).flatten(0, 1)),
    ):
        factors = sequences / whole
        assert set(factors.unique().round(decimals=4).tolist()) == {0.0, 2.0}
        assert torch.equal(factors > 1, (factors > 1)[:, :1].expand_as(factors))
    neck.eval().context(x)
    assert torch.equal(seen['horizontal'], x.permute(0, 2, 3, 1).flatten(0, 1))


def test_a_patch_is_seen_by_its_row_and_column_alone(neck):
    x = torch.randn(1, 3, 4, 5)
    spoilt = x.clone()
    spoilt[:, :, 1, 2] += 1
    moved = (neck.context(spoilt) != neck.context(x)).any(dim=1)[0]
    expected = torch.zeros(4, 5, dtype=torch.bool)
    expected[1] = expected[:, 2] = True
    assert torch.equal(moved, expected)


def test_mirrored_grids_swap_the_directions():
    neck = HVBiLSTM(3, 2).eval()
    for name, value in neck.named_parameters():
        if name.endswith('_reverse'):
            value.data.copy_(dict(neck.named_parameters())[name.removesuffix('_reverse')])
    right, left, down, up = neck.context(x := torch.randn(1, 3, 4, 5)).chunk(4, dim=1)
    mirrored = neck.context(x.flip(3)).flip(3).chunk(4, dim=1)
    turned = neck.context(x.flip(2)).flip(2).chunk(4, dim=1)
    for got, expected in zip(mirrored, (left, right, down, up), strict=True):
        torch.testing.assert_close(got, expected)
    for got, expected in zip(turned, (right, left, up, down), strict=True):
        torch.testing.assert_close(got, expected)


def test_features_come_out_with_the_context_behind_them():
    neck = HVBiLSTM(3, 2, in_index=0).eval()
    feats = [torch.randn(2, 3, 4, 5), torch.randn(2, 7, 2, 2)]
    *same, context = neck(feats)
    assert all(a is b for a, b in zip(same, feats, strict=True))
    assert torch.equal(context, neck.context(feats[0]))


def test_every_parameter_has_a_gradient():
    neck = HVBiLSTM(3, 2)
    neck([torch.randn(2, 3, 4, 5)])[-1].square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in neck.parameters())


def test_dropout_acts_before_the_lstms():
    neck = HVBiLSTM(3, 2, dropout=1.0)
    x = torch.randn(1, 3, 4, 5)
    assert torch.equal(neck.context(x), neck.context(x + 1))
    assert not torch.equal(neck.eval().context(x), neck.context(x + 1))


@pytest.mark.parametrize('size', [(1, 1), (1, 6), (6, 1)])
def test_thin_grids(neck, size):
    assert neck.context(torch.randn(2, 3, *size)).shape == (2, 8, *size)


def test_bfloat16(neck):
    x = torch.randn(2, 3, 4, 5)
    with torch.autocast('cpu', torch.bfloat16):
        got = neck.context(x).float()
    torch.testing.assert_close(got, neck.context(x), atol=0.02, rtol=0)


def test_default_width_is_that_of_the_tokens():
    neck = MODELS.build(dict(type='HVBiLSTM', in_channels=8))
    assert neck.context(torch.randn(1, 8, 2, 2)).shape == (1, 768, 2, 2)


@pytest.mark.parametrize('channels', [(0, 2), (3, 0)])
def test_channels_are_checked(channels):
    with pytest.raises(ValueError, match='HVBiLSTM: in_channels and hidden_channels must be'):
        HVBiLSTM(*channels)
