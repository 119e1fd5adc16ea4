"""Transformations: maps go where the images go."""

import pytest
import torch
from mmseg.registry import MODELS

from mmwsss.models import (
    EquivariantCompose,
    EquivariantRescale,
    EquivariantRotate,
    EquivariantTranslate,
)

KINDS = ['EquivariantRescale', 'EquivariantFlip', 'EquivariantRotate', 'EquivariantTranslate']
RESCALE = dict(type='EquivariantRescale')


@pytest.mark.parametrize('kind', KINDS)
def test_maps_follow_the_images(kind):
    images = torch.rand(2, 3, 24, 36)
    out = MODELS.build(dict(type=kind))(images)
    torch.testing.assert_close(out.warp(images), out.images)
    assert not torch.equal(out.images, images)
    assert out.valid is None or out.valid.shape == (2, 1, 24, 36)


def test_rescale_rounds_down():
    assert EquivariantRescale(0.3)(torch.zeros(1, 3, 128, 99)).images.shape == (1, 3, 38, 29)


def test_rotation_keeps_shapes_where_sides_differ():
    # a disc stays a disc: with the aspect ratio left out it would become an ellipse
    y, x = torch.meshgrid(torch.arange(40) - 19.5, torch.arange(80) - 39.5, indexing='ij')
    disc = ((y**2 + x**2) < 15**2).float()[None, None]
    torch.manual_seed(1)  # 21 degrees
    out = EquivariantRotate(40.0)(disc)
    assert (out.images - disc).abs().mean() < 0.01
    assert out.valid[0, 0, 20, 40] == 1
    assert out.valid.mean() < 1


def test_rotation_turns_by_the_angle():
    image = torch.zeros(1, 1, 41, 81)
    image[0, 0, 20, 60:70] = 1  # to the right of the centre
    torch.manual_seed(1)
    angle = torch.deg2rad(torch.empty(1).uniform_(-40, 40))
    torch.manual_seed(1)
    out = EquivariantRotate(40.0)(image).images[0, 0]
    y, x = (out > 0.3).nonzero().float().mean(0) - torch.tensor([20.0, 40.0])
    torch.testing.assert_close(torch.atan2(-y, x), angle[0], atol=0.05, rtol=0)


def test_translation_fills_from_the_image_only():
    images = torch.ones(4, 3, 20, 20)
    out = EquivariantTranslate(6)(images)
    assert 0.3 < out.valid.mean() < 1
    inside = (out.images == 1).all(dim=1, keepdim=True)
    assert (inside <= (out.valid > 0)).all()


def test_translation_is_in_pixels():
    # a ramp along each axis: values are coordinates
    rows, columns = torch.meshgrid(torch.arange(60.0), torch.arange(90.0), indexing='ij')
    images = torch.stack([rows, columns])[None].repeat(50, 1, 1, 1)
    out = EquivariantTranslate()(images)
    shift = (out.images - images)[:, :, 30, 45]
    assert 13 < shift.abs().max() <= 15
    assert 13 < shift[:, 0].abs().max()


@pytest.mark.parametrize('kind', KINDS[1:])
def test_composed_maps_follow_the_images(kind):
    images = torch.rand(2, 3, 60, 90)
    torch.manual_seed(0)
    out = EquivariantCompose([dict(type=kind), RESCALE])(images)
    assert out.images.shape == (2, 3, 18, 27)
    torch.testing.assert_close(out.warp(images), out.images)
    torch.manual_seed(0)
    first = MODELS.build(dict(type=kind))(images)
    torch.testing.assert_close(out.images, EquivariantRescale()(first.images).images)
    if first.valid is None:
        assert out.valid is None
    else:
        assert out.valid.shape == (2, 1, 18, 27)
        assert set(out.valid.unique().tolist()) == {0, 1}
        # no pixel that counts has anything of the outside in it
        warped = EquivariantRescale()(first.valid).images
        assert warped[out.valid > 0].min() > 0.99


def test_composition_needs_a_part():
    with pytest.raises(ValueError, match='transformations must not be empty'):
        EquivariantCompose([])


def test_rescale_is_checked():
    with pytest.raises(ValueError, match='scale must be positive'):
        EquivariantRescale(0)
