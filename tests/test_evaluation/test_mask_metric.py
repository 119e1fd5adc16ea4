"""Masks that a test run writes, and their figures."""

import numpy as np
import pytest
import torch
from mmseg.evaluation import IoUMetric
from PIL import Image

from mmwsss.evaluation import MaskMetric

PALETTE = [[0, 0, 0], [10, 20, 30], [40, 50, 60]]


def sample(prediction, truth=None):
    out = dict(img_path='some/where/a.b.jpg', pred_sem_seg=dict(data=torch.tensor([prediction])))
    if truth is not None:
        out['gt_sem_seg'] = dict(data=torch.tensor([truth]))
    return out


def run(metric, *samples):
    metric.dataset_meta = dict(classes=('background', 'x', 'y'), palette=PALETTE)
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def test_masks_are_palette_pictures(tmp_path):
    found = run(MaskMetric(output_dir=str(tmp_path / 'out'), format_only=True), sample([[0, 2]]))
    with Image.open(tmp_path / 'out/a.b.png') as picture:
        assert np.asarray(picture).tolist() == [[0, 2]]
        assert picture.mode == 'P' and picture.getpalette()[:9] == sum(PALETTE, [])
    assert found == {}


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(MaskMetric(format_only=True), sample([[0, 2]])) == {}
    assert not list(tmp_path.iterdir())


def test_figures_are_those_of_mmseg(tmp_path):
    samples = [sample([[0, 1], [1, 2]], [[0, 1], [2, 255]]), sample([[2, 2]], [[2, 0]])]
    expected = run(IoUMetric(), *samples)
    assert run(MaskMetric(output_dir=str(tmp_path)), *samples) == expected
    assert expected['mIoU'] == pytest.approx(44.44)
