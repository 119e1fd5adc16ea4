"""The dense CRF against the package's numbers, and what it accepts."""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS

from mmwsss.models import DenseCRF
from mmwsss.ops import PermutohedralLattice, label_probs, mean_field, pixel_features

REFERENCE = Path(__file__).parents[1] / 'data/reference'
LABELS = dict(bilateral=dict(sxy=50, srgb=5, weight=10))


def load(name):
    with np.load(REFERENCE / f'{name}.npz') as file:
        data = {k: torch.from_numpy(v) for k, v in file.items() if v.dtype.kind in 'fiu'}
    return dict(data, image=data['image'].permute(2, 0, 1)[None])


def check(probs, expected):
    """Hold what is promised: a difference below 1e-3, the class of 99.9 % of the pixels."""
    assert (probs[0] - expected).abs().max() < 1e-3
    assert (probs[0].argmax(dim=0) == expected.argmax(dim=0)).float().mean() > 0.999


def with_background(cams, alpha):
    return torch.cat([(1 - cams.amax(dim=0, keepdim=True)) ** alpha, cams])[None]


@pytest.fixture(scope='module')
def crf_data():
    return load('semformer/crf')


@pytest.fixture
def scene():
    """Draw two noisy images, halves of other colours, and vague probabilities of 3 classes."""
    images = torch.full((2, 3, 20, 30), 90)
    images[0, :, :, 12:] = torch.tensor([200, 60, 20])[:, None, None]
    images[1, :, 8:] = torch.tensor([10, 160, 120])[:, None, None]
    images += torch.randint(-8, 8, images.shape)
    return images.to(torch.uint8), torch.randn(2, 3, 20, 30).softmax(dim=1)


@pytest.mark.parametrize(
    ('key', 'settings'),
    [
        ('crf_probs', dict()),
        (
            'crf_probs_scale4',
            dict(gaussian=dict(sxy=3 / 4, weight=3), bilateral=dict(sxy=20, srgb=13, weight=10)),
        ),
    ],
)
def test_probabilities_equal_the_packages(crf_data, key, settings):
    check(DenseCRF(**settings)(crf_data['image'], crf_data['probs'][None]), crf_data[key])


def test_maps_that_do_not_sum_to_1_equal_the_packages(crf_data):
    probs = with_background(crf_data['cams'], 4)
    check(DenseCRF()(crf_data['image'], probs), crf_data['crf_alpha4'])


@pytest.mark.parametrize(
    ('name', 'num_iters'), [('fg', 10), ('bg', 10), ('pseudo', 1)], ids=['fg', 'bg', 'pseudo']
)
def test_labels_equal_the_packages(crf_data, name, num_iters):
    labels = crf_data[f'{name}_label_in'][None]
    probs = DenseCRF(num_iters, **LABELS).from_labels(crf_data['image'], labels, 3)
    check(probs, crf_data[f'{name}_q'])
    assert torch.equal(probs[0].argmax(dim=0), crf_data[f'{name}_label_crf'].long())


def test_two_refinements_share_the_kernels_of_an_image(monkeypatch):
    data, crf = load('seam/seam_cam'), DenseCRF()
    kernels = crf.kernels(data['image'])
    monkeypatch.setattr(PermutohedralLattice, '__init__', None)  # nobody makes another one
    for alpha in (4, 24):
        check(crf.refine(kernels, with_background(data['norm_cam'], alpha)), data[f'crf_{alpha}'])


def test_images_of_a_batch_do_not_see_each_other(scene):
    images, probs = scene
    crf = DenseCRF(3)
    alone = [crf(i[None], p[None]) for i, p in zip(images, probs, strict=True)]
    torch.testing.assert_close(crf(images, probs), torch.cat(alone), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('classes', [3, 20])
def test_mean_field_is_the_formula(classes):
    features = 2 * torch.rand(2, 2, 15)
    kernel = PermutohedralLattice(features, normalize=True)
    dense = kernel.filter(torch.eye(15).expand(2, -1, -1))
    probs = torch.rand(2, classes, 15)
    probs[:, 0, 0] = 0
    expected = probs.clamp(min=1e-5) / probs.clamp(min=1e-5).sum(dim=1, keepdim=True)
    for _ in range(2):
        expected = (probs.clamp(min=1e-5).log() + 7 * expected @ dense).softmax(dim=1)
    out = mean_field(probs, [(kernel, 3), (kernel, 4)], num_iters=2)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('left_out', ['gaussian', 'bilateral'])
def test_either_term_can_be_left_out(scene, left_out):
    images, probs = scene
    sigmas = dict(sigma_xy=80, sigma_rgb=13) if left_out == 'gaussian' else dict(sigma_xy=3)
    kernel = PermutohedralLattice(pixel_features(images, **sigmas), normalize=True)
    weight = 10 if left_out == 'gaussian' else 3
    expected = mean_field(probs.flatten(2), [(kernel, weight)], num_iters=10).view_as(probs)
    assert torch.equal(DenseCRF(**{left_out: None})(images, probs), expected)


def test_labels_follow_the_edges_and_255_has_no_say(scene):
    labels = torch.full((2, 20, 30), 255)
    labels[0, 5, ::4], labels[1, ::4, 5] = 0, 0
    labels[0, 5, 16::4], labels[1, 12::4, 5] = 2, 2
    out = DenseCRF().from_labels(scene[0], labels, 3).argmax(dim=1)
    expected = torch.zeros(2, 20, 30, dtype=torch.long)
    expected[0, :, 12:], expected[1, 8:] = 2, 2
    assert torch.equal(out, expected)


def test_gives_float32_probabilities_without_gradient(scene):
    images, probs = scene
    out = DenseCRF()(images, probs.half().requires_grad_())
    assert out.dtype == torch.float32
    assert not out.requires_grad
    torch.testing.assert_close(out.sum(dim=1), torch.ones(2, 20, 30))


def test_does_not_change_its_inputs(scene):
    before = [x.clone() for x in scene]
    DenseCRF(1)(*scene)
    assert all(torch.equal(x, y) for x, y in zip(scene, before, strict=True))


def test_is_built_from_a_config():
    crf = MODELS.build(dict(type='DenseCRF', num_iters=1, gaussian=None))
    assert (crf.num_iters, crf.gaussian) == (1, None)
    assert crf.bilateral == dict(sxy=80, srgb=13, weight=10)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(num_iters=0), 'num_iters must be at least 1, got 0'),
        (dict(gaussian=None, bilateral=None), 'must not both be None'),
        (dict(backend='cuda'), "backend must be 'torch' or 'pydensecrf', got 'cuda'"),
        (dict(gaussian=dict(sxy=3, compat=3)), 'dict of positive sxy, weight, got'),
        (dict(bilateral=dict(sxy=80, srgb=0, weight=1)), 'positive srgb, sxy, weight, got'),
    ],
)
def test_refuses_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        DenseCRF(**settings)


def test_refuses_normalised_images(scene):
    with pytest.raises(ValueError, match=r'must be \(N, 3, H, W\) in uint8, not normalised'):
        DenseCRF()(scene[0] / 255, scene[1])


def test_refuses_probabilities_of_another_size(scene):
    with pytest.raises(ValueError, match='same N, H and W, got .* resize the probs'):
        DenseCRF()(scene[0], scene[1].transpose(2, 3))


def test_refuses_kernels_of_other_images(scene):
    crf = DenseCRF()
    kernels = crf.kernels(scene[0][:1])
    with pytest.raises(ValueError, match=r'probs must be \(1, C, 600\) as the kernels are'):
        crf.refine(kernels, scene[1])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(num_labels=1), 'num_labels must be at least 2, got 1'),
        (dict(num_labels=2, gt_prob=1.0), r'gt_prob must lie in \(0, 1\), got 1.0'),
    ],
)
def test_refuses_labels(arguments, message):
    with pytest.raises(ValueError, match=message):
        label_probs(torch.zeros(1, 2, 2, dtype=torch.long), **arguments)


def test_says_how_to_get_the_package(monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match='pip install pydensecrf2'):
        DenseCRF(backend='pydensecrf')


class FakeCRF:
    """Stand-in of the package's model that records what it is told."""

    made = []

    def __init__(self, width, height, labels):
        self.calls = dict(size=(width, height, labels))
        self.made.append(self.calls)

    def __getattr__(self, name):
        def record(*args, **kwargs):
            self.calls[name] = (*args, *kwargs.values())

        return record

    def inference(self, num_iters):
        energy = self.calls['setUnaryEnergy'][0]
        return num_iters * energy


@pytest.fixture
def fake_package(monkeypatch):
    package, module = ModuleType('pydensecrf'), ModuleType('pydensecrf.densecrf')
    package.__spec__ = importlib.machinery.ModuleSpec('pydensecrf', None)
    module.DenseCRF2D = FakeCRF
    monkeypatch.setattr(FakeCRF, 'made', [])
    monkeypatch.setitem(sys.modules, 'pydensecrf', package)
    monkeypatch.setitem(sys.modules, 'pydensecrf.densecrf', module)
    return FakeCRF.made


def test_package_is_given_each_image(scene, fake_package):
    images, probs = scene
    out = DenseCRF(2, backend='pydensecrf')(images, probs)
    torch.testing.assert_close(out, -2 * probs.log())
    assert [made['size'] for made in fake_package] == [(30, 20, 3)] * 2
    second = fake_package[1]
    assert second['addPairwiseGaussian'] == (3, 3)
    *sigmas, image, weight = second['addPairwiseBilateral']
    assert (*sigmas, weight) == (80, 13, 10)
    assert np.array_equal(image, images[1].permute(1, 2, 0).numpy())


@pytest.mark.parametrize('left_out', ['gaussian', 'bilateral'])
def test_package_is_not_told_of_a_term_left_out(scene, fake_package, left_out):
    DenseCRF(backend='pydensecrf', **{left_out: None})(*scene)
    assert f'addPairwise{left_out.capitalize()}' not in fake_package[0]


def test_package_refuses_probabilities_of_another_size(scene, fake_package):
    crf = DenseCRF(backend='pydensecrf')
    with pytest.raises(ValueError, match='same N, H and W'):
        crf.refine(crf.kernels(scene[0]), scene[1][:1])


@pytest.mark.pydensecrf
@pytest.mark.parametrize(
    'settings',
    [
        dict(),
        dict(gaussian=None),
        dict(bilateral=None),
        dict(num_iters=1, bilateral=dict(sxy=32, srgb=13, weight=10)),
    ],
)
def test_equals_the_package_where_it_is_installed(scene, settings):
    package = DenseCRF(**settings, backend='pydensecrf')(*scene)
    out = DenseCRF(**settings)(*scene)
    for probs, expected in zip(out, package, strict=True):
        check(probs[None], expected)
