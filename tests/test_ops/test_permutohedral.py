"""The lattice against Gaussian sums written out, its gradient, and what it refuses."""

import pytest
import torch

from mmwsss.ops import PermutohedralLattice, pixel_features
from mmwsss.ops.permutohedral import _embed


def points(dim, spread, number=1500, batch=1, dtype=torch.float32):
    return spread * torch.rand(batch, dim, number, dtype=dtype)


def gaussian(features):
    rows = features.transpose(1, 2)
    return torch.exp(-torch.cdist(rows, rows).square() / 2)


def waves(features):
    """Values that change over about a standard deviation."""
    return torch.cat([torch.sin(k * features[:, :1]) + 1 for k in (1, 2, 3)], dim=1)


def matrix(lattice):
    """Return the filter as a matrix, which has the value at point j in column j."""
    eye = torch.eye(lattice.num_points, dtype=torch.float64)
    return lattice.filter(eye.expand(lattice.batch, -1, -1)).transpose(1, 2)


@pytest.mark.parametrize(('dim', 'spread'), [(1, 10), (2, 8), (3, 4), (5, 2)])
def test_means_are_those_of_the_gaussian(dim, spread):
    features = points(dim, spread)
    kernel, values = gaussian(features), waves(features)
    lattice = PermutohedralLattice(features)
    means = lattice.filter(values) / lattice.filter(torch.ones_like(values))
    expected = (values @ kernel) / kernel.sum(dim=1)[:, None]
    difference = (means - expected).abs()
    assert expected.std() > 0.2
    assert difference.mean() < 0.025
    assert difference.max() < 0.12


@pytest.mark.parametrize(
    ('dim', 'spread', 'share'), [(1, 10, 0.92), (2, 8, 0.87), (3, 4, 0.81), (5, 2, 0.61)]
)
def test_sums_have_the_size_of_the_gaussian(dim, spread, share):
    features = points(dim, spread, number=3000)
    ones = torch.ones(1, 1, 3000)
    ratio = PermutohedralLattice(features).filter(ones).sum() / gaussian(features).sum()
    assert ratio.item() == pytest.approx(share, abs=0.03)


def test_normalised_filter_is_the_normalised_gaussian():
    features = points(5, 2)
    kernel, values = gaussian(features), waves(features)
    scale = kernel.sum(dim=1)[:, None].rsqrt()
    difference = PermutohedralLattice(features, normalize=True).filter(values) - scale * (
        (scale * values) @ kernel
    )
    assert difference.abs().mean() < 0.035


def test_normalised_filter_scales_before_and_after():
    features = points(3, 2, number=20, dtype=torch.float64)
    plain = matrix(PermutohedralLattice(features))
    scale = plain.sum(dim=2, keepdim=True).rsqrt()
    expected = scale * plain * scale.transpose(1, 2)
    torch.testing.assert_close(matrix(PermutohedralLattice(features, normalize=True)), expected)


@pytest.mark.parametrize('dim', [1, 2, 3])
def test_height_of_the_kernel_is_one(dim):
    features = points(dim, 6, number=3000) - 3
    features[..., 0] = 0  # a corner of the lattice, amid others
    values = torch.zeros(1, 1, 3000)
    values[..., 0] = 1
    out = PermutohedralLattice(features).filter(values)
    torch.testing.assert_close(out[0, 0, 0], torch.tensor(1.0))


@pytest.mark.parametrize(('dim', 'spread'), [(1, 14), (2, 9), (3, 7)])
def test_one_edge_does_not_continue_at_the_other(dim, spread):
    # a box in the coordinates that keys are made of, so that rows of corners end side by side
    basis = _embed(torch.eye(dim))
    basis = (basis[:-1] - basis[-1]) / (dim + 1)
    features = torch.linalg.solve(basis, points(dim, spread))
    kernel = PermutohedralLattice(features).filter(torch.eye(1500)[None])[0]
    rows = features[0].T
    distant = torch.cdist(rows, rows) > 5
    assert distant.any()
    assert kernel[distant].count_nonzero() == 0


def test_far_points_do_not_see_each_other():
    features = 100 * torch.arange(5.0).expand(1, 3, -1)
    values = torch.rand(1, 2, 5)
    out = PermutohedralLattice(features, normalize=True).filter(values)
    torch.testing.assert_close(out, values)


@pytest.mark.parametrize('normalize', [False, True])
def test_images_of_a_batch_do_not_see_each_other(normalize):
    features = points(3, 4, number=50, batch=3)
    features[1] *= 5
    values = torch.rand(3, 2, 50)
    out = PermutohedralLattice(features, normalize=normalize).filter(values)
    alone = [
        PermutohedralLattice(f[None], normalize=normalize).filter(v[None])
        for f, v in zip(features, values, strict=True)
    ]
    torch.testing.assert_close(out, torch.cat(alone))


def test_order_of_the_points_does_not_matter():
    features, values = points(5, 3, number=200), torch.rand(1, 2, 200)
    order = torch.randperm(200)
    out = PermutohedralLattice(features).filter(values)
    torch.testing.assert_close(
        PermutohedralLattice(features[..., order]).filter(values[..., order]), out[..., order]
    )


def test_rows_are_the_same_filter():
    lattice = PermutohedralLattice(points(2, 3, number=30, batch=2))
    rows = torch.rand(60, 4)
    maps = rows.view(2, 30, 4).transpose(1, 2)
    expected = lattice.filter(maps).transpose(1, 2).flatten(0, 1)
    assert torch.equal(lattice.filter_rows(rows), expected)


def test_single_precision_is_enough():
    features = points(5, 20, number=500, dtype=torch.float64)
    values = torch.rand(1, 3, 500, dtype=torch.float64)
    out = PermutohedralLattice(features.float()).filter(values)
    assert out.dtype == torch.float32
    expected = PermutohedralLattice(features).filter(values).float()
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('normalize', [False, True])
def test_gradcheck(normalize):
    features = points(2, 3, number=6, batch=2, dtype=torch.float64)
    lattice = PermutohedralLattice(features, normalize=normalize)
    values = torch.rand(2, 2, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lattice.filter, values)
    assert torch.autograd.gradgradcheck(lattice.filter, values)


def test_gradient_is_the_transposed_filter():
    lattice = PermutohedralLattice(points(3, 3, number=40, dtype=torch.float64))
    dense = matrix(lattice)[0]
    # blurs along different axes swap only where no corner is missing
    assert (dense - dense.T).abs().max() > 1e-3
    values = torch.rand(1, 1, 40, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(40, dtype=torch.float64)
    (lattice.filter(values)[0, 0] * weight).sum().backward()
    torch.testing.assert_close(values.grad[0, 0], dense.T @ weight)


@pytest.mark.parametrize(
    ('features', 'message'),
    [
        (torch.zeros(2, 5), r'must be \(N, D, P\) in float32 or float64 and not empty'),
        (torch.zeros(1, 2, 0), r'not empty, got \(1, 2, 0\)'),
        (torch.zeros(1, 2, 4, dtype=torch.float16), 'got .* in torch.float16'),
        (torch.tensor([[[0.0, float('nan')]]]), 'must be finite'),
        (torch.tensor([[[0.0, 1e9]]]).expand(1, 5, -1), 'fewer than 2'),
        (torch.zeros(1, 1, 1).expand(1, 1, 2**30), 'too many for one lattice'),
    ],
)
def test_refuses_features(features, message):
    with pytest.raises(ValueError, match=message):
        PermutohedralLattice(features)


@pytest.mark.parametrize('shape', [(1, 2, 5), (2, 3, 4), (5, 4)])
def test_refuses_values_of_other_points(shape):
    lattice = PermutohedralLattice(torch.zeros(2, 3, 5))
    with pytest.raises(ValueError, match=r'values must be \(2, C, 5\) as the features are'):
        lattice.filter(torch.zeros(shape))


def test_features_are_x_y_and_colours_over_their_deviations():
    images = torch.randint(256, (2, 3, 4, 5), dtype=torch.uint8)
    features = pixel_features(images, sigma_xy=2, sigma_rgb=10).unflatten(2, (4, 5))
    expected = [3 / 2, 1 / 2, *(images[1, :, 1, 3] / 10)]
    torch.testing.assert_close(features[1, :, 1, 3], torch.tensor(expected))
