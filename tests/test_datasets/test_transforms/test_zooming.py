"""Zooming: how large parts are, what they show, and which box holds image."""

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import Compose

from mmwsss.datasets import CropWithValidBox, ZoomIntoPart
from mmwsss.datasets.transforms import draw_part


def sample(height, width):
    rows, columns = np.mgrid[:height, :width]
    return {
        'img': np.stack([rows, columns, rows * 0 + 9], -1).astype(np.uint8),
        'gt_seg_map': (rows % 7).astype(np.uint8),
    }


def test_area_is_uniform_and_aspect_ratio_log_uniform():
    sides = np.array([draw_part((400, 400), (0.1, 0.5), (0.5, 2)) for _ in range(2000)])
    shares, ratios = sides.prod(axis=1) / 400**2, sides[:, 0] / sides[:, 1]
    assert 0.099 < shares.min() < 0.11 and 0.49 < shares.max() < 0.501
    assert shares.mean() == pytest.approx(0.3, abs=0.01)
    assert 0.49 < ratios.min() < 0.52 and 1.9 < ratios.max() < 2.02
    assert np.log(ratios).mean() == pytest.approx(0, abs=0.04)


def test_ratio_is_width_over_height():
    assert draw_part((400, 300), (0.15, 0.15), (2, 2)) == (190, 95)


@pytest.mark.parametrize(('size', 'expected'), [((100, 10), (13, 10)), ((10, 100), (10, 13))])
def test_part_of_a_narrow_image_is_the_largest_allowed(size, expected):
    """None of the draws fits: the whole area as a part that is nearly a square."""
    assert draw_part(size, (1, 1), (3 / 4, 4 / 3)) == expected


def test_every_place_is_possible():
    seen = set()
    for _ in range(400):
        results = ZoomIntoPart(4, scale=(0.6, 0.6), ratio=(1, 1))(sample(5, 5))
        seen.add(tuple(results['img'][0, 0, :2]))
    assert seen == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_the_part_is_stretched_to_a_square():
    results = ZoomIntoPart(8, scale=(1, 1), ratio=(2, 2))(sample(4, 8))
    assert results['img'].shape == (8, 8, 3) and results['gt_seg_map'].shape == (8, 8)
    assert results['img_shape'] == (8, 8) and results['keep_ratio'] is False
    assert results['scale_factor'] == (1.0, 2.0)
    assert (results['gt_seg_map'][:, 0] == [0, 0, 1, 1, 2, 2, 3, 3]).all()
    assert (results['img'][3, :, 1] == range(8)).all()
    assert results['valid_box'] == (0, 0, 8, 8)


def test_the_valid_box_goes_along():
    """Behind a crop that is larger than the image, the box holds the image."""
    empty = 0
    for _ in range(200):
        results = {'img': np.full((30, 40, 3), 9, np.uint8)}
        results = ZoomIntoPart(32)(CropWithValidBox(80)(results))
        top, left, bottom, right = results['valid_box']
        assert 0 <= top <= bottom <= 32 and 0 <= left <= right <= 32
        shown = np.zeros((32, 32), bool)
        shown[top:bottom, left:right] = True
        empty += not shown.any()
        # but for the border, where the two are mixed
        image = (results['img'] == 9).all(axis=2)
        around = (results['img'] == 0).all(axis=2)
        assert (image & ~shown).sum() <= 64 and (around & shown).sum() <= 128
        assert image[top + 2 : max(bottom - 2, 0), left + 2 : max(right - 2, 0)].all()
    assert 0 < empty < 60


@pytest.mark.parametrize('dataset', ['voc', 'coco'])
def test_every_crop_of_the_auto_encoder_is_image(repo, dataset):
    """The published training enlarges the image before it cuts; there is no canvas."""
    cfg = Config.fromfile(repo / f'configs/semformer/caae_deit-b_{dataset}.py')
    steps = cfg.train_pipeline[1:]
    kinds = [step.type for step in steps]
    assert kinds == [
        'JitterColor',
        'RandomScaleImage',
        'ZoomIntoPart',
        'RandomFlip',
        'PackWeakInputs',
    ]
    assert (steps[1].min_factor, steps[1].max_factor) == (1, 3)
    pipeline = Compose(steps[1:-1])
    for _ in range(10):
        results = pipeline({'img': np.full((30, 40, 3), 9, np.uint8)})
        assert (results['img'] == 9).all() and results['img'].shape == (224, 224, 3)
        assert results['valid_box'] == (0, 0, 224, 224)


def test_the_seed_of_numpy_decides():
    found = []
    for _ in range(2):
        np.random.seed(3)
        results = ZoomIntoPart(8)(sample(9, 12))
        found.append(results['img'].tobytes())
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ('arguments', 'match'),
    [
        ({'size': 0}, 'size must be at least 1, got 0'),
        ({'size': 4, 'scale': (0.5, 1.5)}, r'scale must be .* in \(0, 1\], got \(0.5, 1.5\)'),
        ({'size': 4, 'ratio': (2, 1)}, r'ratio must be .* got \(2, 1\)'),
        ({'size': 4, 'ratio': (0, 1)}, r'ratio must be .* got \(0, 1\)'),
    ],
)
def test_wrong_arguments_are_named(arguments, match):
    with pytest.raises(ValueError, match=f'ZoomIntoPart: {match}'):
        ZoomIntoPart(**arguments)


def test_shows_itself():
    transform = ZoomIntoPart(4, (0.5, 1.0))
    assert eval(repr(transform)).__dict__ == transform.__dict__
