"""refine_maps.py: the maps, resuming, messages; and the stage of pipelines that runs it."""

import numpy as np
import pytest
import torch

from mmwsss.evaluation import read_cam_file, write_cam_file
from mmwsss.evaluation.cam_images import read_image_and_cams
from mmwsss.models.refiners import PAR
from mmwsss.pipeline.stages import RefineMaps
from tests.cam_folder import CLASSES, HARMS, copy_cam_folder, draw_cam_folder
from tests.loading import load_file

SETTINGS = ('num_iters=2', 'dilations=[1,2]')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return draw_cam_folder(tmp_path_factory.mktemp('refine_maps'))


def run(folder, out_dir, *options):
    tool = load_file('tools/refine_maps.py')
    words = [folder / 'cams', '--images', folder / 'images', '--out-dir', out_dir, '--workers', 1]
    words = [*words, '--par-config', *SETTINGS, *options]
    tool.refine_maps(tool.make_parser().parse_args([str(word) for word in words]))


@pytest.fixture(scope='module')
def made(folder):
    run(folder, folder / 'made')
    return folder / 'made'


@pytest.mark.parametrize('name', CLASSES)
def test_maps_compete_with_the_background_as_refined_scores_do(folder, made, name):
    path = next((folder / 'images').rglob(f'{name}.png'))
    image, keys, cams = read_image_and_cams(path, folder / f'cams/{name}.npz')
    found_keys, found = read_cam_file(made / f'{name}.npz')
    np.testing.assert_array_equal(found_keys, keys)
    assert found.shape == cams.shape
    scores = torch.cat([torch.full((1, *cams.shape[1:]), 0.25), cams])
    scores = PAR(2, (1, 2))(image[None] / 255, scores[None])[0]
    np.testing.assert_allclose(found * (scores[0] / 0.25).numpy(), scores[1:], atol=1e-3)
    if len(keys):
        assert np.abs(found - cams.numpy()).max() > 0.05


def test_constant_map_stays_what_it_is(folder, tmp_path):
    copy_cam_folder(folder, tmp_path)
    write_cam_file(tmp_path / 'cams/a.npz', np.array([0]), np.full((1, 24, 31), 0.5))
    run(tmp_path, tmp_path / 'out')
    np.testing.assert_allclose(read_cam_file(tmp_path / 'out/a.npz')[1], 0.5, atol=1e-3)


def test_run_goes_on_where_it_was(folder, made, tmp_path, capsys):
    (tmp_path / 'a.npz').write_bytes(b'')
    run(folder, tmp_path)
    assert '3 files written' in capsys.readouterr().out
    assert (tmp_path / 'a.npz').read_bytes() == b''
    run(folder, tmp_path, '--overwrite')
    assert (tmp_path / 'a.npz').read_bytes() == (made / 'a.npz').read_bytes()


@pytest.mark.parametrize(('harm', 'message'), HARMS)
def test_harm_is_one_sentence(folder, tmp_path, harm, message):
    harm(copy_cam_folder(folder, tmp_path))
    with pytest.raises(ValueError, match=message):
        run(tmp_path, tmp_path / 'out')


@pytest.mark.parametrize('words', [['num_iters=0'], ['iterations=2']])
def test_wrong_settings_are_refused(folder, tmp_path, words):
    with pytest.raises(ValueError, match='--par-config .*num_iters|--par-config .*iterations'):
        run(folder, tmp_path, '--par-config', *words)


def test_stage_hands_its_settings_on():
    stage = RefineMaps('x', cams='y', splits=['val'], par=dict(num_iters=5, dilations=[1, 2]))
    assert stage.words('val') == ['--par-config', 'num_iters=5', 'dilations=[1,2]']
    assert stage.entry == dict(num_iters=5, dilations=[1, 2])
    # what is left out counts as what it is
    default = RefineMaps('x', cams='y', splits=['val'])
    assert default.words('val') == [] and default.entry['num_iters'] == 10
    assert default.title == 'maps of y, refined by PAR'


@pytest.mark.parametrize('par', [dict(num_iters=0), dict(iterations=2)])
def test_stage_refuses_wrong_settings(par):
    with pytest.raises(ValueError, match='num_iters|iterations'):
        RefineMaps('x', cams='y', splits=['val'], par=par)
