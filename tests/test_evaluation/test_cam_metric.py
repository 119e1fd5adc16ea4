"""CAMMetric: figures, tags, files, processes, messages."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dist import collect_results
from mmengine.evaluator import Evaluator
from mmengine.structures import PixelData
from mmseg.registry import METRICS
from mmseg.structures import SegDataSample

from mmwsss.evaluation import CAMMetric, read_curve

REFERENCE = Path(__file__).parents[1] / 'data/reference/seam/evaluation.npz'
CLASSES = tuple(f'class{i}' for i in range(21))


def make_sample(data, i, *, absent=-1.0):
    classes = torch.from_numpy(data[f'classes_{i}'])
    mask = torch.from_numpy(data[f'gt_{i}']).long()
    logits = torch.full((21, *mask.shape), absent)
    logits[0] = 0.2
    logits[classes + 1] = torch.from_numpy(data[f'cam_{i}'])
    sample = SegDataSample(metainfo=dict(img_path=f'images/{i}.jpg'))
    sample.set_data(
        dict(
            seg_logits=PixelData(data=logits),
            gt_sem_seg=PixelData(data=mask[None]),
            gt_score=torch.zeros(20).scatter_(0, classes, 1.0),
        )
    )
    return sample


@pytest.fixture(scope='module')
def data():
    with np.load(REFERENCE) as file:
        return dict(file)


@pytest.fixture
def samples(data):
    return [make_sample(data, i) for i in range(6)]


def evaluate(samples, **kwargs):
    evaluator = Evaluator(METRICS.build(dict(type='CAMMetric', **kwargs)))
    evaluator.dataset_meta = dict(classes=CLASSES)
    evaluator.process(samples)
    return evaluator.evaluate(len(samples))


def test_best_of_the_published_curve(data, samples):
    result = evaluate(samples)
    assert result['cam/mIoU'] == pytest.approx(data['curve'].max(), abs=5e-5)
    assert result['cam/threshold'] == data['curve'].argmax() / 100


def test_erosion_of_class_masks(samples):
    assert evaluate(samples, erosion=7) != evaluate(samples)
    with pytest.raises(ValueError, match='erosion must be an odd number of pixels'):
        evaluate(samples, erosion=4)


@pytest.mark.parametrize('j', range(3))
def test_activation_figures_at_the_best_threshold(data, samples, j):
    result = evaluate(samples, thresholds=data['thresholds'][[j]])
    assert result == {
        'cam/mIoU': pytest.approx(data['miou'][j] * 100, abs=5e-5),
        'cam/threshold': data['thresholds'][j],
        'cam/m_FP': pytest.approx(data['m_fp'][j], abs=5e-5),
        'cam/m_FN': pytest.approx(data['m_fn'][j], abs=5e-5),
        'cam/FP': pytest.approx(data['fp_all'][j].mean() * 100, abs=5e-5),
        'cam/FN': pytest.approx(data['fn_all'][j].mean() * 100, abs=5e-5),
    }


def test_order_of_images_does_not_matter(samples):
    assert evaluate(samples) == evaluate(samples[::-1])


def test_prefix(samples):
    assert set(evaluate(samples, prefix='mine')) == {
        'mine/mIoU',
        'mine/threshold',
        'mine/m_FP',
        'mine/m_FN',
        'mine/FP',
        'mine/FN',
    }


def test_classes_without_tag_do_not_compete(data, samples):
    loud = [make_sample(data, i, absent=2.0) for i in range(6)]
    assert evaluate(loud) == evaluate(samples)


def test_tags_may_be_left_out_of_account(data):
    loud = [make_sample(data, i, absent=2.0) for i in range(6)]
    assert evaluate(loud, use_image_labels=False)['cam/mIoU'] < 5


def test_samples_without_tags(samples):
    expected = evaluate(samples)
    for sample in samples:
        del sample.gt_score
    assert evaluate(samples) == expected


@pytest.mark.parametrize('world_size', [2, 4])
def test_processes_give_the_figures_of_one(samples, world_size, monkeypatch):
    # what mmengine's sampler and collect_results do: pad, deal out, interleave, cut
    expected = evaluate(samples)
    padded = (samples * 2)[: -(-len(samples) // world_size) * world_size]
    parts = []
    for rank in range(world_size):
        metric = CAMMetric()
        metric.dataset_meta = dict(classes=CLASSES)
        metric.process({}, [sample.to_dict() for sample in padded[rank::world_size]])
        parts.append(pickle.loads(pickle.dumps(metric.results)))

    def collect(results, size, *args, **kwargs):
        dealt = [item for items in zip(*parts, strict=True) for item in items]
        return collect_results(dealt, size)

    monkeypatch.setattr('mmengine.evaluator.metric.collect_results', collect)
    assert metric.evaluate(len(samples)) == expected


def test_curve_files(data, samples, tmp_path):
    evaluate(samples, output_dir=str(tmp_path / 'new'))
    curve = read_curve(tmp_path / 'new/curve.csv')
    np.testing.assert_allclose(curve['mIoU'][18:77], data['curve'][1:], rtol=1e-9)
    assert (tmp_path / 'new/curve.png').read_bytes().startswith(b'\x89PNG')


def test_table_names_every_class(samples, monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mmwsss.evaluation.metrics.cam_metric.print_log', lambda text, logger: lines.append(text)
    )
    evaluate(samples)
    table = '\n'.join(lines)
    assert all(f' {name} ' in table for name in CLASSES)
    assert 'over the 1' in table  # how many classes m_FP averages


def test_beside_the_iou_metric(samples):
    evaluator = Evaluator([METRICS.build(dict(type=kind)) for kind in ('IoUMetric', 'CAMMetric')])
    evaluator.dataset_meta = dict(classes=CLASSES)
    for sample in samples:
        sample.pred_sem_seg = PixelData(data=sample.seg_logits.data.argmax(0, keepdim=True))
    evaluator.process(samples)
    assert {'mIoU', 'cam/mIoU'} < set(evaluator.evaluate(len(samples)))


def without(sample, field):
    delattr(sample, field)
    return sample


def with_mask(sample, mask):
    sample.gt_sem_seg = PixelData(data=mask)
    return sample


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda s: without(s, 'gt_sem_seg'), r'images/0.jpg has no gt_sem_seg: .*seg_map_path'),
        (lambda s: without(s, 'seg_logits'), r'images/0.jpg has no seg_logits'),
        (lambda s: with_mask(s, torch.zeros(1, 9, 9)), r'0.jpg: .* mask of \(9, 9\)\.$'),
        (lambda s: with_mask(s, torch.full((1, 30, 41), 21)), r'0.jpg: the mask has the value 21'),
    ],
)
def test_sample_that_cannot_be_evaluated(samples, change, message):
    with pytest.raises(ValueError, match=message):
        evaluate([change(samples[0])])


def test_model_of_another_number_of_classes(samples):
    metric = CAMMetric()
    metric.dataset_meta = dict(classes=CLASSES[:5])
    with pytest.raises(ValueError, match='predicts 21 classes but the data set has 5'):
        metric.process({}, [samples[0].to_dict()])


@pytest.mark.parametrize(
    'text', ['', 'a,b\n1,2\n', 'threshold,mIoU,m_FP,m_FN,classes_found\n1,2\n']
)
def test_file_that_is_no_curve(tmp_path, text):
    path = tmp_path / 'curve.csv'
    path.write_text(text)
    with pytest.raises(ValueError, match=r'curve.csv is not a threshold curve'):
        read_curve(path)
