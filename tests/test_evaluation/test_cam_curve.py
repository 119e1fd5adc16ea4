"""The curve over all background scores, against the published figures and by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmwsss.evaluation.cam_curve import (
    DEFAULT_THRESHOLDS,
    cam_curve,
    cam_histogram,
    check_thresholds,
)

REFERENCE = Path(__file__).parents[1] / 'data/reference/seam/evaluation.npz'
PAIRS = dict(count_tp='tp', count_pred='pred', count_gt='gt', iou='iou', miou='miou')


def reference_scores(data, i):
    scores = torch.full((20, *data[f'gt_{i}'].shape), -torch.inf)
    scores[torch.from_numpy(data[f'classes_{i}'])] = torch.from_numpy(data[f'cam_{i}'])
    return scores


def reference_curve(data, thresholds):
    edges = check_thresholds(thresholds)
    counts = sum(
        cam_histogram(
            reference_scores(data, i), torch.from_numpy(data[f'gt_{i}']), edges, ignore=255
        )
        for i in range(6)
    )
    return cam_curve(counts.numpy(), thresholds)


@pytest.fixture(scope='module')
def data():
    with np.load(REFERENCE) as file:
        return dict(file)


@pytest.fixture(scope='module')
def curve(data):
    return reference_curve(data, data['thresholds'])


@pytest.mark.parametrize('name', PAIRS)
def test_counts_and_iou_are_the_published_ones(data, curve, name):
    np.testing.assert_allclose(getattr(curve, PAIRS[name]), data[name], rtol=1e-12)


@pytest.mark.parametrize('name', ['m_fp', 'm_fn'])
def test_over_and_under_activation_are_the_published_ones(data, curve, name):
    np.testing.assert_allclose(getattr(curve, name), data[name], rtol=1e-9)


def test_classes_that_the_activation_figures_average(data, curve):
    np.testing.assert_array_equal(curve.num_found, data['m_classes'])


@pytest.mark.parametrize(
    ('name', 'numerator', 'denominator'),
    [
        ('fp_all', lambda c: c.pred - c.tp, lambda c: c.gt + c.pred - c.tp),
        ('fn_all', lambda c: c.gt - c.tp, lambda c: c.gt + c.pred - c.tp),
        ('gt_over_tp', lambda c: c.gt, lambda c: c.tp),
        ('pred_over_tp', lambda c: c.pred, lambda c: c.tp),
    ],
)
def test_ratios_of_the_published_script(data, curve, name, numerator, denominator):
    ratio = numerator(curve) / (denominator(curve) + 1e-10)
    np.testing.assert_allclose(ratio, data[name], rtol=1e-9)


def test_whole_curve_is_the_published_one(data):
    curve = reference_curve(data, [i / 100 for i in range(60)])
    np.testing.assert_allclose(curve.miou * 100, data['curve'], rtol=1e-12)


def test_default_scores_are_the_published_ones_and_others(data):
    assert set(DEFAULT_THRESHOLDS) > {i / 100 for i in range(1, 60)}
    curve = reference_curve(data, DEFAULT_THRESHOLDS)
    np.testing.assert_allclose(curve.miou[18:77] * 100, data['curve'][1:], rtol=1e-12)
    assert len(curve.miou) == 117 and curve.thresholds[0] == 1e-4


@pytest.mark.parametrize(('name', 'stored'), [('fp', 'fp_all'), ('fn', 'fn_all')])
def test_shares_of_the_union_are_the_published_ones(data, curve, name, stored):
    np.testing.assert_allclose(getattr(curve, name), data[stored].mean(axis=1), rtol=1e-9)


def steep_maps(seed):
    """Make maps of two classes that live near 0, and a truth that their bodies fill at 0.003."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.zeros(60, 60, dtype=torch.long)
    target[10:50, 10:50] = 1 + seed % 2
    level = torch.where(target > 0, -2.0, -3.0) + torch.randn(60, 60, generator=generator) / 3
    # far from objects and for the other class nearly nothing, which half precision loses
    maps = torch.stack([level, level - 5]).flip(0 if seed % 2 else ())
    maps[:, :5] -= 5
    return 10**maps, target


def test_maps_near_0_have_their_best_score_resolved():
    """Steps of 0.01 end above; the curve has its best inside, and half precision gives the same."""
    found = []
    for dtype in (torch.float32, torch.float16):
        counts = 0
        for seed in range(4):
            maps, target = steep_maps(seed)
            edges = check_thresholds(DEFAULT_THRESHOLDS)
            counts = counts + cam_histogram(maps.to(dtype), target, edges, ignore=255)
        found.append(cam_curve(counts.numpy(), DEFAULT_THRESHOLDS))
    best = found[0].best
    assert 0.002 <= found[0].thresholds[best] <= 0.005
    published = np.isin(found[0].thresholds, [i / 100 for i in range(1, 60)])
    assert found[0].miou[best] > found[0].miou[published].max() + 0.2
    np.testing.assert_allclose(found[0].miou, found[1].miou, atol=5e-4)


@pytest.mark.parametrize('i', range(6))
def test_label_map_is_the_published_one(data, i):
    # the counts of an image whose truth is the published label map: all are right
    edges = check_thresholds([0.2])
    target = torch.from_numpy(data[f'pred_{i}'])
    counts = cam_histogram(reference_scores(data, i), target, edges, ignore=255)
    curve = cam_curve(counts.numpy(), [0.2])
    np.testing.assert_array_equal(curve.tp, curve.gt)


@pytest.mark.parametrize('value', DEFAULT_THRESHOLDS)
def test_score_equal_to_a_threshold_is_background(value):
    edges = check_thresholds(DEFAULT_THRESHOLDS)
    scores = torch.tensor(value, dtype=torch.float32).view(1, 1, 1)
    counts = cam_histogram(scores, torch.ones(1, 1, dtype=torch.long), edges, ignore=255)
    tp = cam_curve(counts.numpy(), DEFAULT_THRESHOLDS).tp[:, 1]
    np.testing.assert_array_equal(tp, np.array(DEFAULT_THRESHOLDS) < value)


def brute_force(scores, target, threshold):
    """Argmax over [threshold, scores, 0 for absent], as the published script does it."""
    logits = torch.cat([torch.full((1, *target.shape), threshold), scores])
    pred = np.where(logits.isinf(), 0, logits).argmax(axis=0)
    kept = target != 255
    pred, target = pred[kept], target[kept]
    tp = np.bincount(pred[pred == target], minlength=len(logits))
    return tp, np.bincount(pred, minlength=len(logits)), np.bincount(target, minlength=len(logits))


@pytest.mark.parametrize('threshold', [0.0, 0.25, 0.5])
def test_equals_an_argmax_at_each_threshold(threshold):
    generator = torch.Generator().manual_seed(0)
    # few distinct values: many ties among classes and with the thresholds
    scores = torch.randint(-4, 8, (5, 40, 30), generator=generator) / 8
    scores[3] = -torch.inf
    target = torch.randint(0, 7, (40, 30), generator=generator).numpy()
    target[target == 6] = 255
    thresholds = [0.0, 0.25, 0.5]
    counts = cam_histogram(
        scores, torch.from_numpy(target), check_thresholds(thresholds), ignore=255
    )
    curve = cam_curve(counts.numpy(), thresholds)
    j = thresholds.index(threshold)
    for ours, expected in zip(
        (curve.tp[j], curve.pred[j], curve.gt[j]),
        brute_force(scores, target, threshold),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, expected)


def test_image_of_void_counts_nothing():
    counts = cam_histogram(
        torch.rand(2, 3, 3), torch.full((3, 3), 255), check_thresholds([0.1]), ignore=255
    )
    assert counts.sum() == 0


def test_void_does_not_matter():
    target = torch.tensor([[1, 255]])
    scores = torch.rand(2, 1, 2)
    other = scores.clone()
    other[:, 0, 1] = 1
    edges = check_thresholds([0.1])
    torch.testing.assert_close(
        cam_histogram(scores, target, edges, ignore=255),
        cam_histogram(other, target, edges, ignore=255),
    )


def test_nothing_found_gives_nan_activation_and_no_warning():
    curve = cam_curve(np.zeros((2, 1, 3), dtype=np.int64), [0.1, 0.2])
    assert np.isnan(curve.m_fp).all()


@pytest.mark.parametrize('thresholds', [[], [0.2, 0.1], [0.1, 0.1], [-0.1], [float('nan')]])
def test_thresholds_must_increase(thresholds):
    with pytest.raises(ValueError, match=r'increasing numbers of at least 0, got \['):
        check_thresholds(thresholds)


@pytest.mark.parametrize(
    ('scores', 'target', 'message'),
    [
        (torch.zeros(2, 3, 3), torch.zeros(3, 4), r'\(3, 3\) pixels do not fit a mask of \(3, 4\)'),
        (torch.zeros(2, 1, 1), torch.full((1, 1), 3), 'value 3, but the classes are 0 to 2'),
        (torch.zeros(2, 1, 1), torch.full((1, 1), -1), 'value -1, but the classes are 0 to 2'),
        (torch.full((2, 1, 1), torch.nan), torch.zeros(1, 1), 'hold NaN'),
    ],
)
def test_input_that_does_not_fit(scores, target, message):
    with pytest.raises(ValueError, match=message):
        cam_histogram(scores, target, check_thresholds([0.1]), ignore=255)
