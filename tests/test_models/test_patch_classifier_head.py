"""Patch classifier: probabilities of patches and images, its loss with the background."""

import pytest
import torch
import torch.nn.functional as F
from mmseg.structures import SegDataSample

from mmwsss.models import MultiLabelCrossEntropyLoss, PatchClassifierHead
from mmwsss.models.heads import adaptive_k_pooling
from mmwsss.models.losses import multi_label_cross_entropy


@pytest.fixture
def feats():
    return [torch.randn(2, 4, 3, 5)]


def test_scores_are_a_softmax_of_a_linear_layer_without_bias(feats):
    head = PatchClassifierHead(4, 3).eval()
    head.conv_cam.weight.data *= 0.01  # all scores of a class near its best: the margin counts
    scores, pooled = head(feats)
    weight = head.conv_cam.weight.flatten(1)
    expected = torch.einsum('cd,ndhw->nchw', weight, feats[0]).softmax(dim=1)
    assert sum(p.numel() for p in head.parameters()) == weight.numel()
    torch.testing.assert_close(scores, expected)
    torch.testing.assert_close(pooled, adaptive_k_pooling(scores.flatten(2).mT, k=6, margin=0.05))


def test_pooling_is_a_setting(feats):
    scores, pooled = PatchClassifierHead(4, 3, pooling='gmp').eval()(feats)
    torch.testing.assert_close(pooled, scores.amax(dim=(2, 3)))


def test_weights_begin_small():
    head = PatchClassifierHead(500, 11)
    head.init_weights()
    assert head.conv_cam.weight.std().item() == pytest.approx(0.05, rel=0.05)
    assert head.conv_cam.weight.mean().item() == pytest.approx(0, abs=0.005)


def test_dropout_drops_single_activations():
    head = PatchClassifierHead(1, 2, dropout=0.5)
    dropped = head.dropout(torch.ones(1, 1, 30, 30)) == 0
    assert 0.4 < dropped.float().mean() < 0.6


def test_loss_has_the_background_always_present(feats):
    head = PatchClassifierHead(4, 3, dropout=0)
    labels = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    samples = [SegDataSample() for _ in labels]
    for sample, label in zip(samples, labels, strict=True):
        sample.set_data(dict(gt_score=label))
    loss = head.loss(feats, samples)['loss_cls']
    p = head(feats)[1]
    expected = -(p[:, 0].log().sum() + p[0, 1].log() + (1 - p[0, 2]).log())
    expected -= (1 - p[1, 1:]).log().sum()
    torch.testing.assert_close(loss, expected / 6)
    loss.backward()
    assert head.conv_cam.weight.grad.abs().sum(dim=(1, 2, 3)).gt(0).all()


def test_half_precision_features_give_float32_scores():
    head = PatchClassifierHead(4, 3).bfloat16()
    scores, pooled = head([torch.randn(2, 4, 3, 5, dtype=torch.bfloat16)])
    assert scores.dtype == pooled.dtype == torch.float32
    assert scores.sum(dim=1).sub(1).abs().max() < 1e-6


@pytest.mark.parametrize('scale', [0.0, 1e4])
def test_equal_and_saturated_scores_have_a_finite_loss(scale):
    head = PatchClassifierHead(4, 3)
    x = (torch.randn(2, 4, 1, 1) * scale).requires_grad_()
    head.loss_by_scores(head([x])[1], torch.tensor([[1.0, 0.0], [0.0, 1.0]]))['loss_cls'].backward()
    assert x.grad.isfinite().all()
    assert head.conv_cam.weight.grad.isfinite().all()


def test_background_alone_is_refused():
    with pytest.raises(ValueError, match='num_classes includes the background'):
        PatchClassifierHead(4, 1)


def test_cross_entropy_is_that_of_the_logits():
    logits, labels = torch.randn(3, 4, dtype=torch.float64), torch.randint(0, 2, (3, 4)).double()
    torch.testing.assert_close(
        multi_label_cross_entropy(logits.sigmoid(), labels),
        F.binary_cross_entropy_with_logits(logits, labels),
    )


def test_cross_entropy_of_half_precision_is_float32():
    probs, labels = torch.rand(3, 4).bfloat16(), torch.ones(3, 4)
    with torch.autocast('cpu', torch.bfloat16):
        loss = multi_label_cross_entropy(probs, labels)
    assert torch.equal(loss, F.binary_cross_entropy(probs.float(), labels))


def test_cross_entropy_gradient():
    probs = torch.rand(3, 4, dtype=torch.float64) * 0.8 + 0.1
    labels = torch.randint(0, 2, (3, 4)).double()
    assert torch.autograd.gradcheck(
        lambda x: multi_label_cross_entropy(x, labels), (probs.requires_grad_(),)
    )


def test_cross_entropy_is_weighed_and_named():
    loss = MultiLabelCrossEntropyLoss(2.0, loss_name='loss_mce')
    probs, labels = torch.rand(2, 3), torch.ones(2, 3)
    assert torch.equal(loss(probs, labels), 2 * multi_label_cross_entropy(probs, labels))
    assert loss.loss_name == 'loss_mce'
