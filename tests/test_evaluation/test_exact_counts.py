"""Counts of pixels: exact at any number, and never of the value that means ignored."""

import re

import numpy as np
import pytest
import torch
from mmseg.evaluation import IoUMetric

from mmwsss.datasets import MaskError, read_mask
from mmwsss.datasets.class_palettes import read_classes, write_mask_file
from mmwsss.evaluation import CAMMetric, MaskMetric, PredictionError
from mmwsss.evaluation.mask_scores import class_areas, mask_counts, truth_note
from mmwsss.evaluation.pseudo_masks import pseudo_mask
from mmwsss.models.utils import labels_from_mask
from tests.weak_data import save_mask

SIDE = 4100  # an odd number of pixels above 2 ** 24, where float32 knows no odd number
ODD = 2**24 + 1


@pytest.fixture(scope='module')
def large():
    truth = np.zeros(SIDE * SIDE, np.uint8)
    truth[ODD:] = 1
    return truth.reshape(SIDE, SIDE)


def test_counts_of_a_large_mask_are_exact(large):
    assert mask_counts(large * 0, large, 2)[2].tolist() == [ODD, large.size - ODD]


@pytest.mark.parametrize('kind', [IoUMetric, MaskMetric])
def test_metrics_add_up_whole_numbers(kind):
    metric = kind()
    metric.dataset_meta = dict(classes=('background', 'dog'), palette=[[0] * 3] * 2)
    pair = torch.tensor([[0, 1, 1]]), torch.tensor([[0, 1, 255]])
    metric.process(
        {}, [dict(pred_sem_seg=dict(data=pair[0][None]), gt_sem_seg=dict(data=pair[1][None]))]
    )
    assert [area.dtype for area in metric.results[0]] == [torch.int64] * 4
    assert [area.tolist() for area in metric.results[0]] == [[1, 1], [1, 1], [1, 1], [1, 1]]


def test_areas_leave_out_what_is_no_class():
    areas = class_areas(torch.tensor([0, 2, 255, 1]), torch.tensor([0, 0, 1, 255]), 2, 255)
    assert [area.tolist() for area in areas] == [[1, 0], [2, 1], [1, 0], [2, 1]]


# 255 is no class


@pytest.mark.parametrize('number', [256, 301])
def test_more_classes_than_a_mask_holds_are_refused(number, tmp_path):
    save_mask(tmp_path / 'a.png', np.uint8([[0, 254]]))
    words = [f'k{i}' for i in range(1, number)]
    calls = [
        lambda: read_classes(words),
        lambda: read_mask(tmp_path / 'a.png', number),
        lambda: write_mask_file(tmp_path / 'b.png', np.zeros((1, 1), np.uint8), [[0] * 3] * number),
        lambda: pseudo_mask(
            torch.zeros(3, 1, 1), np.array([number - 2]), torch.ones(1, 1, 1), bg_scores=[0.2]
        ),
    ]
    for call in calls:
        with pytest.raises(MaskError, match=f'{number} classes .* 255 means ignored'):
            call()
    assert not (tmp_path / 'b.png').exists()


def test_as_many_classes_as_a_mask_holds(tmp_path):
    save_mask(tmp_path / 'a.png', np.uint8([[0, 254, 255]]))
    assert read_mask(tmp_path / 'a.png', 255)[1] == [0, 254, 255]
    assert len(read_classes([f'k{i}' for i in range(254)]).classes) == 255


@pytest.mark.parametrize('kind', [CAMMetric, MaskMetric])
def test_metrics_do_not_ignore_a_class(kind):
    metric = kind()
    metric.dataset_meta = dict(classes=[str(i) for i in range(256)])
    with pytest.raises(ValueError, match='ignore_index=255 is one of the 256 classes'):
        metric.process({}, [])


def test_ignored_pixels_are_no_tag_of_a_model_with_more_classes():
    assert labels_from_mask(torch.tensor([[[0, 255, 256]]]), 300).nonzero().tolist() == [[255]]


# figures without meaning


@pytest.mark.parametrize(
    ('true', 'words'),
    [([0, 0], 'No pixel'), ([9, 0], 'nothing but background'), ([9, 1], '^$'), ([0, 1], '^$')],
)
def test_note_on_true_masks(true, words):
    assert re.search(words, truth_note(true))


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize('kind', [CAMMetric, MaskMetric])
def test_predictions_that_are_not_finite_are_refused(kind, value):
    metric = kind()
    metric.dataset_meta = dict(classes=('background', 'dog'))
    logits = torch.tensor([[[0.2, value]], [[0.1, 0.3]]])
    sample = dict(img_path='rex.jpg', seg_logits=dict(data=logits))
    with pytest.raises(PredictionError, match=r'rex\.jpg: the model predicts NaN or infinity'):
        metric.process({}, [sample])
