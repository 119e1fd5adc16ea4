"""Parts of MCTformer: pooling by rank, the contrast of class tokens, scores of tokens, schedule."""

import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS
from mmseg.registry import MODELS

from mmwsss.models.heads import CAMHead, RankingPooling, TokenScoreHead, ranking_pooling
from mmwsss.models.losses import contrastive_class_token_loss


def test_decay_0_is_the_maximum_and_1_the_mean():
    x = torch.randn(2, 7, 3)
    torch.testing.assert_close(ranking_pooling(x, decay=0), x.amax(dim=1))
    torch.testing.assert_close(ranking_pooling(x, decay=1), x.mean(dim=1))


@pytest.mark.parametrize('decay', [0.0, 0.5, 1.0])
def test_gradient_of_the_pooling(decay):
    x = torch.randn(2, 5, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: ranking_pooling(x, decay=decay), x)


def test_pooling_in_half_precision_keeps_the_weights():
    x = torch.randn(1, 784, 2)
    found = ranking_pooling(x.bfloat16(), decay=0.996)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), ranking_pooling(x, decay=0.996), rtol=0.02, atol=0.02)


@pytest.mark.parametrize('decay', [-0.1, 1.1])
def test_wrong_decay_is_refused(decay):
    with pytest.raises(ValueError, match=f'decay must lie in 0 to 1, got {decay}'):
        RankingPooling(decay)


def test_contrast_by_hand():
    tokens = torch.tensor([[[[3.0, 0], [0, 2], [1, 1]]]])
    labels = torch.tensor([[1.0, 0, 1]])
    r = 0.5**0.5
    rows = torch.tensor([[1, 0, r], [r, r, 1]])
    expected = -rows.log_softmax(dim=1)[[0, 1], [0, 2]].mean()
    torch.testing.assert_close(contrastive_class_token_loss(tokens, labels), expected)


def test_gradient_of_the_contrast():
    tokens = torch.randn(2, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[1.0, 0, 1], [0, 0, 0]])
    assert torch.autograd.gradcheck(lambda x: contrastive_class_token_loss(x, labels), tokens)


@pytest.mark.parametrize('tokens', [torch.zeros(1, 2, 3, 4), torch.full((1, 2, 3, 4), 1e4)])
@pytest.mark.parametrize('labels', [torch.zeros(2, 3), torch.ones(2, 3)])
def test_contrast_stays_finite(tokens, labels):
    tokens.requires_grad_()
    loss = contrastive_class_token_loss(tokens, labels)
    loss.backward()
    assert loss.isfinite() and tokens.grad.isfinite().all()


def test_shapes_of_the_contrast_are_checked():
    with pytest.raises(ValueError, match=r'must be \(B, N, K, C\) and labels \(N, K\), got'):
        contrastive_class_token_loss(torch.zeros(2, 3, 4), torch.zeros(2, 3))


def test_score_of_a_token_is_its_mean():
    head, tokens = TokenScoreHead(4), torch.randn(2, 3, 5)
    torch.testing.assert_close(head(tokens), tokens.mean(dim=2))
    with pytest.raises(ValueError, match='counts the background, so at least 2, got 1'):
        TokenScoreHead(1)


def test_classifier_of_three_by_three_keeps_the_grid():
    head = CAMHead(4, 3, kernel_size=3, bias=True, dropout=0.0)
    cam, scores = head([torch.randn(2, 4, 5, 6)])
    assert cam.shape == (2, 2, 5, 6) and scores.shape == (2, 2)
    assert head.conv_cam.bias is not None


@pytest.mark.parametrize('changes', [dict(kernel_size=2), dict(kernel_size=3, pool_on='features')])
def test_wrong_classifiers_are_refused(changes):
    with pytest.raises(ValueError, match="kernel_size must be odd, and 1 with pool_on='features'"):
        CAMHead(4, 3, **changes)


@pytest.mark.parametrize('size', [1, 3])
def test_retraining_head(size):
    cfg = dict(type='DilatedConvHead', in_channels=4, channels=6, num_classes=3, num_convs=1)
    cfg['loss_decode'] = dict(type='CrossEntropyLoss', avg_non_ignore=True)
    head = MODELS.build(dict(cfg, dilation=2, bias=True, classifier_size=size))
    assert head([torch.randn(1, 4, 9, 7)]).shape == (1, 3, 9, 7)
    assert head.conv_seg.kernel_size == (size, size)
    assert all(name.endswith(('weight', 'bias')) for name, _ in head.named_parameters())
    with pytest.raises(ValueError, match='classifier_size must be odd, got 2'):
        MODELS.build(dict(cfg, classifier_size=2))


@pytest.mark.parametrize('changes', [dict(T_max=0), dict(step_size=0), dict(by_epoch=True)])
def test_wrong_schedules_are_refused(changes):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    cfg = dict(type='EpochCosineLR', optimizer=optimizer, T_max=10, step_size=2)
    with pytest.raises(ValueError, match='EpochCosineLR: T_max and step_size must be at least 1'):
        PARAM_SCHEDULERS.build(dict(cfg, **changes))


def test_schedule_goes_on_where_it_was_stopped():
    def rates(stop):
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        cfg = dict(type='EpochCosineLR', T_max=30, step_size=3, warmup=2, start=0.1, eta_min=0.2)
        scheduler, found = PARAM_SCHEDULERS.build(dict(cfg, optimizer=optimizer)), []
        optimizer.step()
        for i in range(30):
            found.append(optimizer.param_groups[0]['lr'])
            scheduler.step()
            if i == stop:
                state, other = scheduler.state_dict(), optimizer.state_dict()
                optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
                scheduler = PARAM_SCHEDULERS.build(dict(cfg, optimizer=optimizer))
                optimizer.load_state_dict(other)
                scheduler.load_state_dict(state)
                optimizer.step()
        return found

    assert rates(13) == rates(None)
    assert rates(None)[:9] == [0.1] * 6 + [0.55] * 3
