"""AffinityNet and IRN's boundary branch as MMSeg models, tiny."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

pytestmark = pytest.mark.stack
BN = dict(type='BN', requires_grad=False)
CONFIGS = dict(
    AffinityNet=dict(
        type='AffinityNet',
        backbone=dict(type='ResNet38d', width=1 / 16, depths=(1, 1, 1, 1, 1, 1)),
        in_channels=(32, 64, 256),
        embed_channels=(2, 4, 8),
        radius=3,
    ),
    IRNBoundary=dict(
        type='IRNBoundary',
        backbone=dict(
            type='ResNetWithStem',
            depth=18,
            base_channels=4,
            stem_channels=4,
            strides=(1, 2, 2, 1),
            norm_cfg=BN,
            norm_eval=True,
            frozen_stages=4,
        ),
        in_channels=(4, 4, 8, 16, 32),
        embed_channels=8,
        radius=3,
    ),
)
STRIDES = dict(AffinityNet=8, IRNBoundary=4)
OUTPUTS = dict(AffinityNet=('features', 14), IRNBoundary=('edge_logits', 1))
NAMES = list(CONFIGS)


def build(name, **changes):
    torch.manual_seed(0)
    return MODELS.build({**CONFIGS[name], **changes})


def samples(label_map):
    out = []
    for label in label_map:
        sample = SegDataSample()
        sample.gt_sem_seg = PixelData(data=label[None].long())
        out.append(sample)
    return out


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('size', [(64, 80), (50, 75)])
def test_tensor_mode(name, size):
    with torch.no_grad():
        outputs = build(name).eval()(torch.rand(2, 3, *size), mode='tensor')
    key, channels = OUTPUTS[name]
    grid = [-(-n // STRIDES[name]) for n in size]
    assert {k: list(v.shape) for k, v in outputs.items()} == {key: [2, channels, *grid]}


@pytest.mark.parametrize('name', NAMES)
def test_every_trained_parameter_gets_a_gradient(name):
    model = build(name).train()
    label_map = torch.randint(0, 3, (2, 64, 80))
    losses = model(torch.rand(2, 3, 64, 80), samples(label_map), mode='loss')
    assert list(losses) == ['loss_affinity']
    losses['loss_affinity'].backward()
    trained = {k: p.grad for k, p in model.named_parameters() if p.requires_grad}
    assert all(grad is not None and grad.abs().sum() > 0 for grad in trained.values())
    # IRN's backbone is frozen as a whole
    assert any(k.startswith('backbone') for k in trained) == (name == 'AffinityNet')


@pytest.mark.parametrize('name', NAMES)
def test_label_is_read_at_the_centres_of_cells(name):
    """A label on the grid, and a larger one that agrees with it at the centres alone."""
    model, stride = build(name).eval(), STRIDES[name]
    grid = torch.randint(0, 3, (2, 64 // stride, 80 // stride))
    large = torch.full((2, 64, 80), 255)
    large[:, stride // 2 :: stride, stride // 2 :: stride] = grid
    inputs = torch.rand(2, 3, 64, 80)
    losses = [model(inputs, samples(x), mode='loss')['loss_affinity'] for x in (grid, large)]
    assert torch.equal(*losses)


@pytest.mark.parametrize('name', NAMES)
def test_sample_without_label_is_named(name):
    sample = SegDataSample(metainfo=dict(img_path='dog.jpg'))
    with pytest.raises(ValueError, match=r'image dog\.jpg has no affinity label'):
        build(name)(torch.rand(1, 3, 64, 80), [sample], mode='loss')


@pytest.mark.parametrize(
    ('name', 'changes', 'message'),
    [
        ('AffinityNet', dict(radius=1), 'AffinityNet: radius must be at least 2, got 1'),
        ('AffinityNet', dict(in_indices=(1,)), 'must have the same length, got 3, 1 and 3'),
        ('IRNBoundary', dict(scale_factors=(1, 2)), 'must have the same length, got 5 and 2'),
    ],
)
def test_wrong_arguments_are_refused(name, changes, message):
    with pytest.raises(ValueError, match=message):
        build(name, **changes)


@pytest.mark.parametrize('name', NAMES)
def test_arguments_that_init_model_sets_are_accepted(name):
    build(name, pretrained=None, train_cfg=None)


@pytest.mark.parametrize('name', NAMES)
def test_pretrained_weights_of_the_backbone(name, tmp_path):
    model = build(name)
    weights = {k: torch.full_like(v, 0.5) for k, v in model.backbone.state_dict().items()}
    torch.save(weights, tmp_path / 'backbone.pth')
    model = build(name, pretrained=str(tmp_path / 'backbone.pth'))
    model.init_weights()
    assert all(torch.equal(v, weights[k]) for k, v in model.backbone.state_dict().items())


@pytest.mark.parametrize('name', NAMES)
def test_there_is_no_segmentation(name):
    with pytest.raises(NotImplementedError, match=f'{name} gives no segmentation'):
        build(name).encode_decode(torch.rand(1, 3, 64, 80), [])


def test_affinitynet_predicts_its_features():
    model = build('AffinityNet').eval()
    inputs = torch.rand(2, 3, 64, 80)
    with torch.no_grad():
        found = model(inputs, [SegDataSample(), SegDataSample()], mode='predict')
        expected = model(inputs, mode='tensor')['features']
    for sample, features in zip(found, expected, strict=True):
        assert torch.equal(sample.affinity_features.data, features)


def pad(images, size):
    return torch.nn.functional.pad(
        images, (0, size[1] - images.shape[3], 0, size[0] - images.shape[2])
    )


def predict(model, images, size):
    meta = dict(img_shape=tuple(images.shape[2:]))
    with torch.no_grad():
        found = model(
            pad(images, size), [SegDataSample(metainfo=meta) for _ in images], mode='predict'
        )
    return torch.stack([sample.edge.data for sample in found])


def test_irn_predicts_the_mirror_image_mirrored():
    """Only if the mirror image is padded on the right, as the image is."""
    model = build('IRNBoundary').eval()
    images = torch.randn(2, 3, 51, 68)  # 68 is a multiple of the stride, or mirroring shifts cells
    plain = predict(model, images, (96, 96))
    assert plain.shape == (2, 1, 13, 17)
    assert 0 < plain.min() < plain.max() < 1
    torch.testing.assert_close(predict(model, images.flip(3), (96, 96)), plain.flip(3))


def test_irn_averages_logits_of_image_and_mirror():
    model = build('IRNBoundary').eval()
    images = torch.randn(1, 3, 64, 80)
    with torch.no_grad():
        logits = [model(x, mode='tensor')['edge_logits'] for x in (images, images.flip(3))]
    expected = ((logits[0] + logits[1].flip(3)) / 2).sigmoid()
    torch.testing.assert_close(predict(model, images, (64, 80)), expected)
    with torch.no_grad():
        alone = model(images, mode='predict')[0].edge.data
    torch.testing.assert_close(alone, expected[0])


def test_irn_refuses_a_batch_of_different_sizes():
    data_samples = [SegDataSample(metainfo=dict(img_shape=(64, n))) for n in (60, 80)]
    with pytest.raises(ValueError, match=r'must have one size, got \[\(64, 60\), \(64, 80\)\]'):
        build('IRNBoundary')(torch.rand(2, 3, 64, 80), data_samples, mode='predict')


@pytest.mark.parametrize('deep', [False, True])
def test_stem_comes_before_the_stages(deep):
    cfg = dict(depth=18, base_channels=4, stem_channels=4, deep_stem=deep, out_indices=(1, 3))
    backbone = MODELS.build(dict(type='ResNetWithStem', **cfg))
    plain = MODELS.build(dict(type='ResNet', **cfg))
    plain.load_state_dict(backbone.state_dict())
    for network in (backbone, plain):
        network.eval()  # MMSeg's ResNet does not return itself
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        stem, *stages = backbone(x)
        expected = plain(x)
        seen = []
        plain.layer1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        plain(x)
    assert torch.equal(stem, seen[0])
    assert all(map(torch.equal, stages, expected))
    assert len(stages) == len(expected) == 2
