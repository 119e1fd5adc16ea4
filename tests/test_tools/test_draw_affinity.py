"""draw_affinity.py: what it draws is what SEAM and AFA spread maps along."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

from mmwsss.cli import launch
from mmwsss.models.segmentors.seam import correlation_input
from tests.leftovers import forget_runs
from tests.loading import load_file
from tests.weak_data import make_image, save_image

pytestmark = pytest.mark.stack
CONFIGS = Path(__file__).parents[2] / 'configs'
NAMES = dict(seam='seam/seam_r38-tiny_emblems', afa='afa/afa_mit-tiny_emblems')
tool = load_file('tools/analysis_tools/draw_affinity.py')


def build(name):
    torch.manual_seed(0)
    return MODELS.build(Config.fromfile(CONFIGS / f'{NAMES[name]}.py').model).eval()


def test_affinity_of_seam_is_that_of_its_module():
    model, inputs = build('seam'), torch.randn(2, 3, 64, 80)
    pairs = model.pair_maps(inputs)
    affinity = pairs.maps['affinity']
    cells = pairs.grid[0] * pairs.grid[1]
    assert affinity.shape == (2, cells, cells)
    assert affinity.min() == 0
    torch.testing.assert_close(affinity, affinity.transpose(1, 2))
    with torch.no_grad():
        feats = model.extract_feat(inputs)
        cam = correlation_input(model.cam_head(feats)[0])
        expected = model.pcm(inputs, cam, feats)
        spread = cam.flatten(2) @ (affinity / (affinity.sum(dim=1, keepdim=True) + 1e-5))
    torch.testing.assert_close(spread.view_as(cam), expected, rtol=1e-4, atol=1e-5)


def test_maps_of_afa_are_its_attention_and_its_affinity():
    model, inputs = build('afa'), torch.randn(2, 3, 64, 80)
    pairs = model.pair_maps(inputs)
    with torch.no_grad():
        outputs = model(inputs, mode='tensor')
    assert pairs.grid == tuple(outputs['cam'].shape[2:])
    torch.testing.assert_close(pairs.maps['affinity'], outputs['attn_pred'], rtol=1e-4, atol=1e-5)
    attention = pairs.maps['attention']
    torch.testing.assert_close(attention.sum(dim=2), torch.ones(attention.shape[:2]))


def test_seam_without_its_module_has_none():
    cfg = Config.fromfile(CONFIGS / f'{NAMES["seam"]}.py').model
    cfg.update(pcm=None, loss_ecr=None, loss_rvmin=None)
    cfg.test_cfg.maps = 'raw'
    with pytest.raises(ValueError, match='without pcm there is no affinity of pixels'):
        MODELS.build(cfg).pair_maps(torch.zeros(1, 3, 64, 64))


@pytest.fixture
def files(tmp_path):
    """Return what gives the arguments of a network with random weights."""
    save_image(tmp_path / 'dog.png', make_image([1, 2], (64, 80), 0)[0])

    def files(name):
        weights = dict(state_dict=build(name).state_dict(), meta={})
        torch.save(weights, tmp_path / 'weights.pth')
        return [CONFIGS / f'{NAMES[name]}.py', tmp_path / 'weights.pth', tmp_path / 'dog.png']

    return files


def run(*argv):
    forget_runs()
    launch.run_tool(tool.make_parser(), tool.main, [str(word) for word in argv])


@pytest.mark.parametrize(('name', 'columns'), [('seam', 2), ('afa', 3)])
@pytest.mark.filterwarnings('ignore')  # MMSegmentation's, of a checkpoint without classes
def test_a_row_for_each_point_and_a_column_for_each_map(
    files, name, columns, tmp_path, monkeypatch, capsys
):
    rows = []
    monkeypatch.setattr(
        'mmwsss.visualization.picture_grid',
        lambda pictures, titles, **kwargs: rows.extend(pictures) or (pictures, titles),
    )
    monkeypatch.setattr('mmwsss.visualization.save_figure', lambda figure, path: None)
    out = tmp_path / 'new/affinity.png'
    run(*files(name), '--points', '5,60', '79,0', '--out', out)
    assert [len(row) for row in rows] == [columns] * 2
    assert all(picture.shape == (64, 80, 3) for row in rows for picture in row)
    assert not np.array_equal(rows[0][1], rows[1][1])
    assert '2 points' in capsys.readouterr().out


@pytest.mark.filterwarnings('ignore')
def test_the_picture_is_written(files, tmp_path):
    run(*files('seam'), '--points', '1,2', '--out', tmp_path / 'affinity.png')
    assert cv2.imread(str(tmp_path / 'affinity.png')).shape[2] == 3


def test_cell_of_a_point():
    assert tool.cell_of((0, 0), (60, 80), (3, 4)) == 0
    assert tool.cell_of((79, 59), (60, 80), (3, 4)) == 11
    assert tool.cell_of((20, 19), (60, 80), (3, 4)) == 1


@pytest.mark.parametrize(
    ('points', 'message'),
    [
        (['80,0'], r'--points: 80,0 lies outside the photograph of 80 x 64'),
        (['5'], r"a point is X,Y in pixels, got '5'"),
    ],
)
@pytest.mark.filterwarnings('ignore')
def test_wrong_points_give_one_sentence(files, points, message, tmp_path, capsys):
    with pytest.raises(SystemExit, match='2'):
        run(*files('seam'), '--points', *points, '--out', tmp_path / 'x.png')
    assert message in capsys.readouterr().err


@pytest.mark.filterwarnings('ignore')
def test_a_model_without_affinity_is_refused(files, tmp_path, capsys):
    _, weights, photo = files('seam')
    config = CONFIGS / 'cam/cam_r38-tiny_emblems.py'
    with pytest.raises(SystemExit, match='2'):
        run(config, weights, photo, '--points', '1,1', '--out', tmp_path / 'x.png')
    assert 'WeakSegmentor has no affinity of places' in capsys.readouterr().err
