"""eval_cams.py: the figures, the curve, processes, messages."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from mmwsss.cli.evaluate_folders import evaluate_masks
from mmwsss.cli.launch import run_tool
from mmwsss.errors import UsageError
from mmwsss.evaluation import CAMMetric, read_curve, write_cam_file
from mmwsss.evaluation.cam_files import VERSION
from tests.loading import load_file
from tests.test_evaluation.test_cam_metric import make_sample
from tests.weak_data import VOC_CLASSES, save_mask, save_text

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / 'tests/data/reference/seam/evaluation.npz'


@pytest.fixture(scope='module')
def tool():
    return load_file('tools/eval_cams.py')


@pytest.fixture(scope='module')
def data():
    with np.load(REFERENCE) as file:
        return dict(file)


@pytest.fixture
def folder(data, tmp_path):
    """Maps and truth of the published evaluation; the classes of a file are in no order."""
    for i in range(6):
        keys, cams = data[f'classes_{i}'][::-1], data[f'cam_{i}'][::-1]
        write_cam_file(tmp_path / f'cams/{i}.npz', keys, cams, dtype='float32')
        save_mask(tmp_path / f'gt/{i}.png', data[f'gt_{i}'])
    return tmp_path


def run(tool, folder, *options):
    words = [folder / 'cams', folder / 'gt', '--out', folder / 'out.json', '--workers', '1']
    words += ['--curve', folder / 'curve.csv', *options]
    tool.eval_cams(tool.make_parser().parse_args([str(word) for word in words]))
    return json.loads((folder / 'out.json').read_text())


def test_curve_is_the_published_one(tool, data, folder):
    found = run(tool, folder)
    curve = read_curve(folder / 'curve.csv')
    np.testing.assert_allclose(curve['mIoU'][18:77], data['curve'][1:], atol=1e-4)
    assert found['threshold'] == data['curve'].argmax() / 100
    assert found['mIoU'] == pytest.approx(data['curve'].max(), abs=1e-4)


@pytest.mark.parametrize('erosion', [0, 7])
def test_figures_are_those_of_the_metric(tool, data, folder, erosion):
    metric = CAMMetric(erosion=erosion)
    metric.dataset_meta = dict(classes=VOC_CLASSES)
    metric.process({}, [make_sample(data, i).to_dict() for i in range(6)])
    found = run(tool, folder, '--erosion', str(erosion))
    keys = ('mIoU', 'threshold', 'm_FP', 'm_FN', 'FP', 'FN')
    assert {f'cam/{key}': found[key] for key in keys} == metric.evaluate(6)


def test_steep_maps_have_the_same_figures_in_half_precision(tool, tmp_path):
    """Half precision loses what is below 6e-8, where no background score lies."""
    generator = np.random.default_rng(0)
    mask = np.zeros((60, 60), np.uint8)
    mask[10:50, 10:50] = 1
    cams = 10 ** (generator.normal(-6, 2, mask.shape) + 2 * mask)[None]
    save_mask(tmp_path / 'gt/a.png', mask)
    found = []
    for dtype in ('float16', 'float32'):
        write_cam_file(tmp_path / 'cams/a.npz', [0], cams.clip(max=1), dtype=dtype)
        found.append(run(tool, tmp_path, '--classes', 'dog')['mIoU'])
    assert found[0] == pytest.approx(found[1], abs=0.02)


def test_classes_are_those_of_the_masks_at_the_best_score(data, tool, folder):
    """At the best score each pixel gets its best class, or the background."""
    found = run(tool, folder)
    for i in range(6):
        keys, cams = data[f'classes_{i}'], data[f'cam_{i}']
        mask = np.where(cams.max(0) > np.float32(found['threshold']), 1 + keys[cams.argmax(0)], 0)
        save_mask(folder / f'masks/{i}.png', mask.astype(np.uint8))
    masks = evaluate_masks(folder / 'masks', folder / 'gt', VOC_CLASSES, workers=1)
    assert list(masks['classes']) == list(VOC_CLASSES)
    assert {key: found[key] for key in masks} == masks


def test_two_processes_find_the_same(tool, folder):
    assert run(tool, folder, '--workers', '2') == run(tool, folder)


def test_what_is_printed(tool, folder, capsys):
    found = run(tool, folder)
    printed = capsys.readouterr().out
    assert re.search(r'\| sheep +\|', printed)
    words = f'at background score {found["threshold"]}: mIoU {found["mIoU"]}, m_FP {found["m_FP"]}'
    assert f'6 files of maps {words}' in printed


def test_image_without_tags_is_background(tool, tmp_path):
    save_mask(tmp_path / 'gt/a.png', np.array([[0, 0, 1, 255]], np.uint8))
    write_cam_file(tmp_path / 'cams/a.npz', np.zeros(0), np.zeros((0, 1, 4)))
    found = run(tool, tmp_path, '--classes', 'dog')
    assert found['classes']['background'] == dict(IoU=66.6667, precision=66.6667, recall=100)
    assert found['classes']['dog'] == dict(IoU=0, precision=None, recall=0)


def test_first_of_equal_classes_wins(tool, tmp_path):
    save_mask(tmp_path / 'gt/a.png', np.array([[2, 2]], np.uint8))
    write_cam_file(tmp_path / 'cams/a.npz', [4, 1], np.ones((2, 1, 2)))
    assert run(tool, tmp_path)['classes']['bicycle']['recall'] == 100


def test_split_names_the_images(tool, folder):
    split = save_text(folder / 'split.txt', '1\nJPEGImages/3.jpg\n')
    assert run(tool, folder, '--split', str(split))['pairs'] == 2


def truncate(path):
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize('workers', ['1', '2'])
@pytest.mark.parametrize(
    ('harm', 'message'),
    [
        (lambda f: truncate(f / 'cams/3.npz'), r'cams/3\.npz is damaged or no CAM file'),
        (
            lambda f: write_cam_file(f / 'cams/4.npz', [3], np.zeros((1, 4, 5))),
            r'cams/4\.npz: the maps are 5 x 4 where the mask .*gt/4\.png is 38 x 25: give maps and',
        ),
        (
            lambda f: write_cam_file(f / 'cams/1.npz', [20], np.zeros((1, 36, 28))),
            r'cams/1\.npz: keys \[20\] must lie in 0 to 19',
        ),
        (
            # no tool writes such a file
            lambda f: np.savez(
                f / 'cams/1.npz',
                keys=np.array([0]),
                cams=np.full((1, 36, 28), np.nan, np.float32),
                version=VERSION,
            ),
            r'cams/1\.npz has maps with NaN or infinity and cannot be used: delete it and run',
        ),
        (lambda f: (f / 'gt/5.png').write_bytes(b'PNG'), r'gt/5\.png is truncated or no image'),
        (
            lambda f: save_mask(f / 'gt/1.png', np.full((36, 28), 21, np.uint8)),
            r'gt/1\.png holds the values \[21\] where 0 to 20 and 255',
        ),
        (lambda f: (f / 'gt/2.png').unlink(), r'gt lacks 1 of 6 masks \(2\)'),
        (
            lambda f: (f / 'cams/2.npz').unlink(),
            r'cams lacks 1 of 6 maps \(2\): make them, or name the images with --split',
        ),
    ],
)
def test_wrong_files_are_named(tool, folder, harm, message, workers):
    harm(folder)
    with pytest.raises(UsageError, match=message):
        run(tool, folder, '--workers', workers)
    assert not (folder / 'out.json').exists()


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--split', 'absent.txt'], 'absent.txt cannot be read'),
        (['--curve', 'gt/0.png/x.csv'], r'--curve .*x\.csv cannot be written'),
        (['--out', 'gt/0.png/x.json'], r'--out .*x\.json cannot be written'),
    ],
)
def test_wrong_calls_end_with_a_sentence(tool, folder, capsys, monkeypatch, words, message):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit, match='2'):
        run_tool(tool.make_parser(), tool.eval_cams, ['cams', 'gt', '--workers', '1', *words])
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert [line for line in error.splitlines() if line.startswith('eval_cams.py: ')]


def test_folder_without_maps(tool, folder):
    args = tool.make_parser().parse_args([str(folder / 'gt'), str(folder / 'gt')])
    with pytest.raises(UsageError, match=r'gt holds no maps \(\.npz\)'):
        tool.eval_cams(args)
