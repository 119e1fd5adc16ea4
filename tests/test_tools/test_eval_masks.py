"""eval_masks.py: the figures, the pairs, processes, messages."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmseg.evaluation import IoUMetric

from mmwsss.cli.launch import run_tool
from mmwsss.datasets.class_palettes import write_mask_file
from mmwsss.errors import UsageError
from mmwsss.evaluation.mask_scores import mask_figures
from tests.loading import load_file
from tests.weak_data import save_mask, save_text

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / 'tests/data/reference/seam/evaluation.npz'


@pytest.fixture(scope='module')
def tool():
    return load_file('tools/eval_masks.py')


@pytest.fixture(scope='module')
def data():
    with np.load(REFERENCE) as file:
        return dict(file)


@pytest.fixture
def folder(data, tmp_path):
    """Masks of the published evaluation: predictions at background score 0.2, and the truth."""
    for i in range(6):
        save_mask(tmp_path / f'pred/{i}.png', data[f'pred_{i}'])
        save_mask(tmp_path / f'gt/{i}.png', data[f'gt_{i}'])
    return tmp_path


def run(tool, folder, *options):
    words = [folder / 'pred', folder / 'gt', '--out', folder / 'out.json', '--workers', '1']
    tool.eval_masks(tool.make_parser().parse_args([str(word) for word in (*words, *options)]))
    return json.loads((folder / 'out.json').read_text())


def test_figures_are_those_of_the_published_evaluation(tool, data, folder):
    found = run(tool, folder)
    assert found['pairs'] == 6
    assert found['mIoU'] == pytest.approx(100 * data['miou'][1], abs=1e-3)
    assert found['m_FP'] == pytest.approx(data['m_fp'][1], abs=1e-3)
    assert found['m_FN'] == pytest.approx(data['m_fn'][1], abs=1e-3)
    assert found['FP'] == pytest.approx(100 * data['fp_all'][1].mean(), abs=1e-3)
    assert found['FN'] == pytest.approx(100 * data['fn_all'][1].mean(), abs=1e-3)
    tp, pred, gt = (data[f'count_{kind}'][1] for kind in ('tp', 'pred', 'gt'))
    expected = {'IoU': (tp, gt + pred - tp), 'precision': (tp, pred), 'recall': (tp, gt)}
    for i, rates in enumerate(found['classes'].values()):
        for key, (above, below) in expected.items():
            value = 100 * above[i] / below[i] if below[i] else None
            assert rates[key] == (value if value is None else pytest.approx(value, abs=1e-3))


def test_present_classes_are_those_of_the_metric_of_mmseg(tool, data, folder):
    areas = [
        IoUMetric.intersect_and_union(
            *(torch.from_numpy(data[f'{kind}_{i}']) for kind in ('pred', 'gt')), 21, 255
        )
        for i in range(6)
    ]
    totals = [sum(area) for area in zip(*areas, strict=True)]
    iou = IoUMetric.total_area_to_metrics(*totals)['IoU']
    found = run(tool, folder)
    assert found['mIoU_present'] == pytest.approx(100 * np.nanmean(iou), abs=1e-3)
    assert found['mIoU_present'] > found['mIoU']


def test_two_processes_find_the_same(tool, folder):
    assert run(tool, folder, '--workers', '2') == run(tool, folder)


def test_what_is_printed(tool, folder, capsys):
    found = run(tool, folder)
    printed = capsys.readouterr().out
    assert re.search(r'\| sheep +\|', printed)
    assert '1 classes occur in neither folder and count as 0; without them mIoU is' in printed
    assert f'6 pairs of masks: mIoU {found["mIoU"]}, m_FP {found["m_FP"]}' in printed
    assert 'no class' not in printed


def test_undecided_pixels_are_missed(tool, tmp_path, capsys):
    truth = np.array([[0, 0, 1, 1, 255]], np.uint8)
    save_mask(tmp_path / 'gt/a.png', truth)
    save_mask(tmp_path / 'pred/a.png', np.array([[0, 255, 1, 1, 255]], np.uint8))
    found = run(tool, tmp_path, '--classes', 'dog')
    assert found['undecided'] == 25
    assert found['classes']['background'] == dict(IoU=50, precision=100, recall=50)
    assert found['classes']['dog'] == dict(IoU=100, precision=100, recall=100)
    assert '25.0 % of the pixels have no class (255) and count as missed' in capsys.readouterr().out


def test_many_pixels_are_counted_exactly():
    """The sum of float32 counts would stop at 2 ** 24."""
    counts = np.array([[2**24, 1], [2**24, 1], [2**24 + 3, 1]], np.int64)
    found = mask_figures(counts + counts, ['background', 'dog'])
    expected = 100 * 2 * 2**24 / (2 * (2**24 + 3))
    assert found['classes']['background']['IoU'] == round(expected, 4)


def test_masks_are_eroded(tool, tmp_path):
    mask = np.zeros((9, 9), np.uint8)
    mask[2:7, 2:7] = 1
    save_mask(tmp_path / 'pred/a.png', mask)
    save_mask(tmp_path / 'gt/a.png', mask)
    found = run(tool, tmp_path, '--classes', 'dog', '--erosion', '3')
    assert found['classes']['dog'] == dict(IoU=36, precision=100, recall=36)
    with pytest.raises(UsageError, match='--erosion must be an odd number of pixels'):
        run(tool, tmp_path, '--classes', 'dog', '--erosion', '2')


def test_split_names_the_pairs(tool, folder):
    split = save_text(folder / 'split.txt', '1\nJPEGImages/3.jpg\n')
    assert run(tool, folder, '--split', str(split))['pairs'] == 2


def test_classes_of_emblems(tool, tmp_path):
    description = dict(
        drawing=1, settings={}, classes=['background', 'bars'], palette=[[0] * 3] * 2, complete=True
    )
    save_text(tmp_path / 'emblems.json', json.dumps(description))
    for kind in ('pred', 'gt'):
        write_mask_file(tmp_path / kind / 'a.png', np.eye(3, dtype=np.uint8), [])
    assert list(run(tool, tmp_path, '--data-root', str(tmp_path))['classes']) == [
        'background',
        'bars',
    ]


@pytest.mark.parametrize('workers', ['1', '2'])
@pytest.mark.parametrize(
    ('harm', 'message'),
    [
        (
            lambda f: (f / 'pred/3.png').unlink(),
            r'pred lacks 1 of 6 masks \(3\): make them, or name the images with --split',
        ),
        (lambda f: (f / 'gt/2.png').unlink(), r'gt lacks 1 of 6 masks \(2\)'),
        (
            lambda f: save_mask(f / 'pred/4.png', np.zeros((4, 5), np.uint8)),
            r'pred/4\.png is 5 x 4 where .*gt/4\.png is 38 x 25: give masks of the same images',
        ),
        (
            lambda f: save_mask(f / 'pred/1.png', np.full((36, 28), 21, np.uint8)),
            r'pred/1\.png holds the values \[21\] where 0 to 20 and 255',
        ),
        (lambda f: (f / 'gt/5.png').write_bytes(b'PNG'), r'gt/5\.png is truncated or no image'),
    ],
)
def test_wrong_masks_are_named(tool, folder, harm, message, workers):
    harm(folder)
    with pytest.raises(UsageError, match=message):
        run(tool, folder, '--workers', workers)
    assert not (folder / 'out.json').exists()


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--split', 'absent.txt'], 'absent.txt cannot be read; give a text file'),
        (['--split', 'SPLIT'], r'split\.txt names 1 twice; give a file with'),
        (['--split', 'EMPTY'], r'empty\.txt names no image; give a file with'),
        (['--split', 'OTHER'], r'pred lacks 1 of 2 masks \(9\): make them\.'),
        (['--data-root', 'absent'], r'absent/emblems\.json cannot be read'),
        (['--classes', 'dog', 'dog'], 'at least one class beside the background'),
        (['--workers', '0'], '--workers must be at least 1, got 0'),
        (['--out', 'gt/0.png/x.json'], r'--out .*x\.json cannot be written'),
    ],
)
def test_wrong_calls_end_with_a_sentence(tool, folder, capsys, monkeypatch, words, message):
    monkeypatch.chdir(folder)
    files = dict(SPLIT=('split', '1\n2\n1\n'), EMPTY=('empty', '\n'), OTHER=('other', '1\n9\n'))
    for i, word in enumerate(words):
        if word in files:
            name, text = files[word]
            words = [*words]
            words[i] = str(save_text(folder / f'{name}.txt', text))
    with pytest.raises(SystemExit, match='2'):
        run_tool(tool.make_parser(), tool.eval_masks, ['pred', 'gt', '--workers', '1', *words])
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert [line for line in error.splitlines() if line.startswith('eval_masks.py: ')]


@pytest.mark.parametrize(('pred', 'gt'), [('gt', 'absent'), ('absent', 'gt')])
def test_folder_without_masks(tool, folder, pred, gt):
    args = tool.make_parser().parse_args([str(folder / pred), str(folder / gt)])
    with pytest.raises(UsageError, match='absent holds no masks'):
        tool.eval_masks(args)


@pytest.mark.parametrize(('value', 'words'), [(0, 'nothing but background'), (255, 'No pixel')])
def test_true_masks_without_a_class_are_told(tool, tmp_path, capsys, value, words):
    save_mask(tmp_path / 'pred/a.png', np.uint8([[0, 1]]))
    save_mask(tmp_path / 'gt/a.png', np.uint8([[value, 255]]))
    if value:
        with pytest.raises(UsageError, match=words):
            run(tool, tmp_path, '--classes', 'dog')
        return
    assert words in run(tool, tmp_path, '--classes', 'dog')['note']
    first, *_, last = capsys.readouterr().out.strip().splitlines()
    assert words in first and words in last
