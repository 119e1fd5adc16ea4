"""ImageLabelMetric: figures by hand, thresholds, predictions without scores, errors."""

import pytest
import torch

from mmwsss.evaluation import ImageLabelMetric


def sample(predicted, true):
    return dict(pred_score=torch.tensor(predicted), gt_score=torch.tensor(true))


SAMPLES = [
    sample([0.9, 0.5, 0.1], [1.0, 0.0, 0.0]),  # F1 2/3, precision 1/2, recall 1
    sample([0.4, 0.2, 0.1], [1.0, 1.0, 0.0]),  # nothing predicted
    sample([0.4, 0.8, 0.7], [0.0, 1.0, 1.0]),
    sample([0.4, 0.2, 0.1], [0.0, 0.0, 0.0]),  # nothing there
]


@pytest.mark.parametrize(
    ('threshold', 'expected'),
    [(0.5, (100 * 5 / 12, 37.5, 50.0)), (0.45, (100 * 5 / 12, 37.5, 50.0)), (0.6, (50, 50, 50))],
)
def test_figures_by_hand(threshold, expected):
    metric = ImageLabelMetric(threshold)
    for one in SAMPLES:
        metric.process({}, [one])
    found = metric.evaluate(len(SAMPLES))
    assert found == pytest.approx(
        dict(zip(('tags/F1', 'tags/precision', 'tags/recall'), expected, strict=True)), abs=0.01
    )


def test_padding_of_a_sampler_is_left_out():
    metric = ImageLabelMetric(prefix='classes')
    metric.process({}, [SAMPLES[2], SAMPLES[1]])
    assert metric.evaluate(1)['classes/F1'] == 100


def test_predictions_without_scores_give_no_figures():
    metric = ImageLabelMetric()
    metric.process({}, [dict(gt_score=torch.ones(2))])
    assert metric.evaluate(1) == {}


def test_errors():
    with pytest.raises(ValueError, match='threshold must lie in 0 to 1, got 2'):
        ImageLabelMetric(2)
    with pytest.raises(ValueError, match=r'image a\.jpg has no gt_score: ImageLabelMetric needs'):
        ImageLabelMetric().process({}, [dict(pred_score=torch.ones(2), img_path='a.jpg')])
