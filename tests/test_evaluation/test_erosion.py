"""Erosion of class masks: the published labels, every background score at once, bad input."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmwsss.evaluation.cam_curve import cam_curve, cam_histogram, check_thresholds
from mmwsss.evaluation.erosion import check_erosion, erode_best, erode_mask

REFERENCE = Path(__file__).parents[1] / 'data/reference/semformer/semformer_cam.npz'
THRESHOLDS = [0.0, 0.1, 0.3, 0.6]


def eroded(label, side):
    """Erode the mask of each class with OpenCV, one after the other."""
    out = np.zeros_like(label)
    for value in np.unique(label[label > 0]):
        mask = cv2.erode((label == value).astype(np.uint8), np.ones((side, side), np.uint8))
        out[mask > 0] = value
    return out


@pytest.fixture
def maps():
    """Smooth maps of three classes, the second nowhere."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(1, 3, 5, 6, generator=generator)
    maps = F.interpolate(maps, (40, 50), mode='bicubic')[0]
    maps[1] = -torch.inf
    return maps


def labels_at(maps, threshold):
    best, index = maps.max(dim=0)
    return torch.where(best > threshold, index + 1, 0).to(torch.uint8).numpy()


def test_published_labels():
    with np.load(REFERENCE) as file:
        label, expected = file['eval_label'], file['eval_label_eroded']
        maps = torch.from_numpy(file['hr_cam'])
    found = erode_mask(torch.from_numpy(label), 7)
    np.testing.assert_array_equal(found, expected)
    best = erode_best(*maps.max(dim=0), 7)
    found = torch.where(best > 0.3, maps.argmax(dim=0) + 1, 0)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('side', [3, 7])
@pytest.mark.parametrize('j', range(len(THRESHOLDS)))
def test_one_pass_erodes_at_every_score(maps, side, j):
    truth = torch.from_numpy(eroded(labels_at(maps, THRESHOLDS[j]), side))
    counts = cam_histogram(
        maps, truth, check_thresholds(THRESHOLDS), ignore=255, erosion=side
    ).numpy()
    curve = cam_curve(counts, THRESHOLDS)
    # right wherever the truth is what OpenCV leaves
    np.testing.assert_array_equal(curve.tp[j], curve.gt[j])
    np.testing.assert_array_equal(curve.pred[j], curve.gt[j])
    assert curve.gt[j][1:].sum() < (labels_at(maps, THRESHOLDS[j]) > 0).sum()


@pytest.mark.parametrize('side', [0, 1])
def test_no_erosion(maps, side):
    best, index = maps.max(dim=0)
    assert torch.equal(erode_best(best, index, side), best)
    assert torch.equal(erode_mask(index, side), index)


def test_undecided_pixels_stay_so():
    mask = torch.tensor([[255, 255, 1, 1, 1]], dtype=torch.uint8)
    assert erode_mask(mask, 3).tolist() == [[255, 255, 0, 1, 1]]


@pytest.mark.parametrize('erosion', [2, -1, -3])
def test_sides_are_checked(erosion):
    with pytest.raises(ValueError, match=f'an odd number of pixels, or 0 for none, got {erosion}'):
        check_erosion(erosion)
