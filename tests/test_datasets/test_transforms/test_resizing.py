"""Sizes and interpolation of the resizing transforms."""

import numpy as np
import pytest
from mmseg.registry import TRANSFORMS
from PIL import Image

from mmwsss.datasets import LimitLongSide, RandomScaleImage, ResizeLongSide, ScaleImage


def sample(height, width):
    rng = np.random.default_rng(0)
    return {'img': rng.integers(0, 255, (height, width, 3), np.uint8)}


@pytest.mark.parametrize('shape', [(30, 40), (40, 30), (35, 35)])
def test_long_side_is_uniform_and_the_other_follows(shape):
    seen = set()
    for _ in range(80):
        results = ResizeLongSide(20, 23)(sample(*shape))
        height, width = results['img'].shape[:2]
        long = max(height, width)
        seen.add(long)
        assert min(height, width) == int(round(min(shape) * long / max(shape)))
    assert seen == {20, 21, 22, 23}


def test_pixels_are_pils():
    before = sample(30, 40)
    after = ResizeLongSide(61, 61)(dict(before))
    expected = Image.fromarray(before['img']).resize((61, 46), Image.Resampling.BICUBIC)
    assert (after['img'] == np.asarray(expected)).all()


def test_fields_are_those_of_mmcv():
    results = ResizeLongSide(20, 20)(sample(30, 40))
    assert results['img_shape'] == (15, 20)
    assert results['scale'] == (20, 15)
    assert results['scale_factor'] == (0.5, 0.5)
    assert results['keep_ratio'] is True


@pytest.mark.parametrize('transform', [ResizeLongSide(20, 20), ScaleImage(0.5)])
def test_a_loaded_mask_is_resized_without_mixing(transform):
    results = sample(30, 40)
    results['gt_seg_map'] = np.full((30, 40), 255, np.uint8)
    results['gt_seg_map'][:, 20:] = 3
    results = transform(results)
    assert results['gt_seg_map'].shape == (15, 20)
    assert set(np.unique(results['gt_seg_map'])) == {3, 255}
    assert (results['gt_seg_map'][:, 10:] == 3).all()


@pytest.mark.parametrize(
    'factor, divisor, shape, expected',
    [
        (0.5, 1, (5, 7), (2, 4)),  # 2.5 and 3.5: to the even number
        (1.5, 1, (5, 7), (8, 10)),  # 7.5 and 10.5
        (1.0, 1, (5, 7), (5, 7)),
        (0.01, 1, (5, 7), (1, 1)),
        (1.0, 16, (32, 33), (32, 48)),
        (0.5, 16, (32, 33), (16, 16)),
    ],
)
def test_scaled_sizes(factor, divisor, shape, expected):
    results = ScaleImage(factor, divisor)(sample(*shape))
    assert results['img'].shape[:2] == results['img_shape'] == expected


def test_scale_1_keeps_the_pixels():
    before = sample(5, 7)
    assert ScaleImage(1.0)(dict(before))['img'] is before['img']


def test_random_factor_is_uniform_and_sides_are_cut():
    widths = []
    for _ in range(300):
        results = RandomScaleImage(0.5, 2.0)(sample(21, 40))
        height, width = results['img'].shape[:2]
        # the same factor on both sides, cut
        assert height in {int(21 * width / 40), int(21 * (width + 0.999) / 40)}
        widths.append(width)
    assert 20 <= min(widths) < 23
    assert 77 < max(widths) <= 80
    assert abs(np.mean(widths) - 49.5) < 3


def test_random_scale_smooths_what_it_makes_smaller():
    before = sample(30, 40)
    after = RandomScaleImage(0.5, 0.5)(dict(before))
    expected = Image.fromarray(before['img']).resize((20, 15), Image.Resampling.BILINEAR)
    assert (after['img'] == np.asarray(expected)).all()
    assert after['img'].std() < 0.7 * before['img'].std()


@pytest.mark.parametrize(
    'config, match',
    [
        (
            {'type': 'ResizeLongSide', 'min_size': 5, 'max_size': 4},
            'min_size and max_size must .* got 5 and 4',
        ),
        ({'type': 'ResizeLongSide', 'min_size': 0, 'max_size': 4}, 'min_size .* got 0 and 4'),
        ({'type': 'ScaleImage', 'scale_factor': 0}, 'scale_factor must be positive .* got 0 and 1'),
        (
            {'type': 'ScaleImage', 'scale_factor': 1, 'size_divisor': 0},
            '.* size_divisor at least 1, got 1 and 0',
        ),
        (
            {'type': 'RandomScaleImage', 'min_factor': 2, 'max_factor': 1},
            'min_factor and max_factor must .* got 2 and 1',
        ),
        (
            {'type': 'RandomScaleImage', 'min_factor': 0, 'max_factor': 1},
            'min_factor .* got 0 and 1',
        ),
        (
            {'type': 'ScaleImage', 'scale_factor': 1, 'interpolation': 'cubic'},
            "interpolation must be one of nearest.* got 'cubic'",
        ),
    ],
)
def test_wrong_arguments_are_named(config, match):
    with pytest.raises(ValueError, match=f'{config["type"]}: {match}'):
        TRANSFORMS.build(config)


@pytest.mark.parametrize(
    'transform', [ResizeLongSide(1, 2), ScaleImage(2.0), RandomScaleImage(0.5, 2.0)]
)
def test_show_themselves(transform):
    assert eval(repr(transform)).__dict__ == transform.__dict__


@pytest.mark.parametrize(
    'shape, expected', [((30, 40), (15, 20)), ((40, 30), (20, 15)), ((20, 8), (20, 8))]
)
def test_only_larger_images_are_made_smaller(shape, expected):
    before = sample(*shape)
    results = LimitLongSide(20)(dict(before))
    assert results['img'].shape[:2] == results['img_shape'] == expected
    assert (shape == expected) == (results['img'] is before['img'])


def test_a_limit_is_at_least_a_pixel():
    with pytest.raises(ValueError, match='LimitLongSide: max_size must be at least 1, got 0'):
        LimitLongSide(0)


@pytest.mark.parametrize('kind', ['Resize', 'RandomResize'])
@pytest.mark.parametrize('shape', [(1, 900), (900, 1), (1, 1)])
def test_mmcvs_resizing_leaves_a_pixel_of_long_pictures(kind, shape):
    options = dict(ratio_range=(0.5, 0.5)) if kind == 'RandomResize' else {}
    resize = TRANSFORMS.build(dict(type=kind, scale=(100, 100), keep_ratio=True, **options))
    assert min(resize(sample(*shape))['img'].shape[:2]) >= 1
