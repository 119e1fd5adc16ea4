"""CAM head: pooling, maps, loss, and its use as an auxiliary head."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmwsss.models import CAMHead


@pytest.fixture
def feats():
    return [torch.randn(2, 4, 3, 5)]


def sample(**data):
    out = SegDataSample(metainfo=dict(img_path='dog.jpg'))
    out.set_data(data)
    return out


@pytest.mark.parametrize(
    ('pooling', 'expected'),
    [
        ('gap', lambda cam: cam.mean((2, 3))),
        ('gmp', lambda cam: cam.amax((2, 3))),
        (
            dict(type='AdaptiveKPooling', k=2, margin=0),
            lambda cam: cam.flatten(2).topk(2).values.mean(2),
        ),
    ],
)
def test_scores_are_the_pooled_maps(feats, pooling, expected):
    head = CAMHead(4, 3, pooling=pooling).eval()
    cam, scores = head(feats)
    assert cam.shape == (2, 2, 3, 5)
    torch.testing.assert_close(scores, expected(cam))


def test_pooling_on_features_comes_before_the_classifier(feats):
    head = CAMHead(4, 3, pooling='gmp', pool_on='features').eval()
    cam, scores = head(feats)
    expected = feats[0].amax((2, 3)) @ head.conv_cam.weight.flatten(1).T
    torch.testing.assert_close(scores, expected)
    assert not torch.allclose(scores, cam.amax((2, 3)))


@pytest.mark.parametrize('pool_on', ['cam', 'features'])
def test_background_has_a_map_and_no_score(feats, pool_on):
    head = CAMHead(4, 3, with_background=True, pool_on=pool_on).eval()
    cam, scores = head(feats)
    assert cam.shape == (2, 3, 3, 5)
    torch.testing.assert_close(scores, cam[:, 1:].mean((2, 3)))
    scores.sum().backward()
    assert head.conv_cam.weight.grad[0].abs().sum() == 0


def test_loss_is_the_multi_label_soft_margin(feats):
    head = CAMHead(4, 3, dropout=0, loss_cls=dict(type='MultiLabelSoftMarginLoss', loss_weight=3.0))
    labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    losses = head.loss(feats, [sample(gt_score=label) for label in labels])
    expected = F.binary_cross_entropy_with_logits(head(feats)[1], labels)
    torch.testing.assert_close(losses['loss_cls'], 3 * expected)


def test_labels_come_from_the_mask_where_there_are_no_tags(feats):
    head = CAMHead(4, 3, dropout=0)
    masks = torch.tensor([[[0, 2, 255]], [[1, 1, 2]]])
    tagged = [sample(gt_score=torch.tensor(t)) for t in ([0.0, 1.0], [1.0, 1.0])]
    masked = [sample(gt_sem_seg=PixelData(data=m[None])) for m in masks]
    torch.testing.assert_close(head.loss(feats, masked), head.loss(feats, tagged))


def test_sample_without_labels_is_refused(feats):
    with pytest.raises(ValueError, match='dog.jpg has no image-level labels'):
        CAMHead(4, 3).loss(feats, [sample(), sample()])


def test_labels_of_another_data_set_are_refused(feats):
    batch = [sample(gt_score=torch.zeros(20))] * 2
    with pytest.raises(ValueError, match='labelled among 20 .* num_classes=3.*num_classes=21'):
        CAMHead(4, 3).loss(feats, batch)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(num_classes=1), 'num_classes includes the background'),
        (dict(num_classes=3, pooling='sum'), "pooling must be 'gap', 'gmp'"),
        (dict(num_classes=3, pool_on='image'), "pool_on must be 'cam' or 'features'"),
    ],
)
def test_arguments_are_checked(kwargs, message):
    with pytest.raises(ValueError, match=message):
        CAMHead(4, **kwargs)
