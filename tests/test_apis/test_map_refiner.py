"""Refinement of maps and masks: what it equals, large pictures, no classes, messages."""

from contextlib import nullcontext

import cv2
import numpy as np
import pytest
import torch
from mmseg.registry import MODELS

from mmwsss.apis import WSSSInferencer, map_refiner
from mmwsss.errors import UsageError
from mmwsss.evaluation import read_cam_file
from mmwsss.evaluation.pseudo_masks import pseudo_mask, refine_cams
from mmwsss.models import PAR, DenseCRF
from tests.tiny_apc import apc_config
from tests.tiny_models import CAM_MODEL, SEG_MODEL, save_photos, save_training

pytestmark = pytest.mark.stack
TAGS = [['cat', 'dog']]
PAR_SETTINGS = dict(type='PAR', num_iters=2, dilations=(1, 2))
CRF_SETTINGS = dict(type='DenseCRF', num_iters=2)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp('refiner')
    save_training(root / 'cam', CAM_MODEL)
    save_training(root / 'seg', SEG_MODEL)
    save_photos(root, ['a.png'])
    return root


def predict(folder, refine=None, tags=TAGS, **options):
    network = WSSSInferencer(
        work_dir=folder / 'cam', device='cpu', show_progress=False, refine=refine
    )
    return network(folder / 'a.png', tags=tags, return_datasamples=True, **options)['predictions']


def pixels(folder):
    image = cv2.imread(str(folder / 'a.png'))[..., ::-1]
    return torch.from_numpy(image.transpose(2, 0, 1).copy())


def maps_of(sample):
    return sample.seg_logits.data[1:]


def mask_of(sample):
    return sample.pred_sem_seg.data[0].numpy()


def test_par_is_that_of_files_of_maps(folder):
    expected = refine_cams(pixels(folder), maps_of(predict(folder)), PAR(2, (1, 2)))
    refined = predict(folder, PAR_SETTINGS)
    torch.testing.assert_close(maps_of(refined), expected)
    mask = pseudo_mask(pixels(folder), np.arange(2), expected, bg_scores=[0.2])
    np.testing.assert_array_equal(mask_of(refined), mask)
    assert (mask != mask_of(predict(folder))).any()


def test_crf_is_that_of_pseudo_masks(folder):
    plain, refined = predict(folder), predict(folder, CRF_SETTINGS)
    torch.testing.assert_close(maps_of(refined), maps_of(plain))
    mask = pseudo_mask(
        pixels(folder), np.arange(2), maps_of(plain), bg_scores=[0.2], crf=DenseCRF(2)
    )
    np.testing.assert_array_equal(mask_of(refined), mask)
    assert (mask != mask_of(plain)).any()


def test_files_hold_the_refined_maps(folder, tmp_path):
    expected = maps_of(predict(folder, 'par', out_dir=tmp_path, cams=True))
    np.testing.assert_allclose(read_cam_file(tmp_path / 'cams/a.npz')[1], expected, atol=1e-3)


@pytest.mark.parametrize('refine', [PAR_SETTINGS, CRF_SETTINGS])
def test_only_tagged_classes_compete(folder, refine):
    assert set(np.unique(mask_of(predict(folder, refine, [['dog']])))) <= {0, 2}
    assert not mask_of(predict(folder, refine, [[]])).any()


@pytest.mark.parametrize('refine', [PAR_SETTINGS, CRF_SETTINGS])
def test_large_pictures_are_refined_at_a_limited_size(folder, refine, monkeypatch):
    monkeypatch.setattr(map_refiner, 'MAX_SIZE', 16)
    for tags in (TAGS, [[]]):
        sample = predict(folder, refine, tags)
        assert sample.seg_logits.data.shape == (3, 24, 32)
        assert mask_of(sample).shape == (24, 32)


@pytest.mark.parametrize(
    ('refine', 'message'),
    [
        ('sharp', "refine takes par or crf, or the config of PAR or DenseCRF, got 'sharp'"),
        (dict(type='RandomWalk'), 'refine takes par or crf'),
        (dict(type='PAR', num_iters=0), 'refine: PAR: num_iters must be at least 1'),
        (dict(type='PAR', steps=1), 'refine: .*steps'),
    ],
)
def test_wrong_settings(folder, refine, message):
    with pytest.raises(UsageError, match=message):
        predict(folder, refine)


MESSAGE = 'does not predict by class activation maps, which refine'


def test_model_without_maps(folder):
    with pytest.raises(UsageError, match=MESSAGE):
        WSSSInferencer(work_dir=folder / 'seg', device='cpu', refine='par')


@pytest.mark.parametrize(('output', 'maps'), [('patch', False), ('cam', True)])
def test_patch_scores_with_the_learned_background_are_no_maps(output, maps):
    network = MODELS.build(apc_config('vit-pcm', {'test_cfg.output': output}))
    with nullcontext() if maps else pytest.raises(UsageError, match=MESSAGE):
        map_refiner.MapRefiner('par', network)
