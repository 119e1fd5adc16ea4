"""RandAugment and random erasing."""

import numpy as np
import pytest
from mmseg.registry import TRANSFORMS
from PIL import Image

from mmwsss.datasets.transforms.augmenting import OPERATIONS


@pytest.fixture
def image():
    rows = np.linspace(0, 255, 40, dtype=np.uint8)
    columns = np.tile(rows[:30, None], 40)
    return np.stack([np.tile(rows, (30, 1)), columns, np.full((30, 40), 90)], 2).astype(np.uint8)


@pytest.mark.parametrize('name', OPERATIONS)
def test_every_operation_changes_the_image_and_keeps_its_size(name):
    noise = np.random.default_rng(0).integers(20, 200, (30, 40, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    for share in (0.9, 1.0):
        found = OPERATIONS[name](picture, share)
        assert found.size == picture.size and found.mode == 'RGB'
        assert not np.array_equal(np.array(found), noise)


@pytest.mark.parametrize('name', ['rotate', 'color', 'contrast', 'brightness', 'sharpness',
                                  'shear_x', 'shear_y', 'translate_x', 'translate_y'])  # fmt: skip
def test_level_0_is_the_image(name, image):
    picture = Image.fromarray(image)
    assert np.array_equal(np.array(OPERATIONS[name](picture, 0.0)), picture)


def test_translation_moves_by_a_share_of_the_side():
    picture = Image.fromarray(np.full((40, 40, 3), 9, np.uint8))
    moved = np.array(OPERATIONS['translate_x'](picture, 1.0))
    filled = (moved == (124, 116, 104)).all(axis=(0, 2))
    assert filled.sum() == 18 and (filled[:18].all() or filled[-18:].all())


def test_augmentation_is_of_rgb_and_repeats_with_the_seed(image):
    transform = TRANSFORMS.build(dict(type='AugmentRandomly', prob=1.0))
    found = []
    for _ in range(2):
        np.random.seed(3)
        found.append(transform(dict(img=image))['img'])
    assert np.array_equal(*found) and found[0].shape == image.shape
    idle = TRANSFORMS.build(dict(type='AugmentRandomly', prob=0.0))
    assert np.array_equal(idle(dict(img=image))['img'], image)


def test_erased_box_is_noise_around_the_mean():
    transform = TRANSFORMS.build(dict(type='EraseRandomBox', prob=1.0))
    shares, values = [], []
    for seed in range(50):
        np.random.seed(seed)
        black = np.zeros((60, 80, 3), np.uint8)
        found = transform(dict(img=black))['img']
        assert not black.any()
        rows, columns = (found.any(axis=(1, 2)), found.any(axis=(0, 2)))
        shares.append(rows.sum() * columns.sum() / 4800)
        values.append(found[np.ix_(rows, columns)].reshape(-1, 3).mean(axis=0))
    assert 0.01 < min(shares) and max(shares) < 0.36
    # cut at 0 and 255
    np.testing.assert_allclose(np.mean(values, axis=0), (104, 116, 123.5), atol=3)


def test_no_box_is_erased_by_chance_or_in_a_pixel(image):
    never = TRANSFORMS.build(dict(type='EraseRandomBox', prob=0.0))
    assert np.array_equal(never(dict(img=image))['img'], image)
    always = TRANSFORMS.build(dict(type='EraseRandomBox', prob=1.0))
    assert always(dict(img=np.zeros((1, 1, 3), np.uint8)))['img'].shape == (1, 1, 3)


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (dict(type='AugmentRandomly', level=11), 'level must be 0 to 10, got 11'),
        (
            dict(type='AugmentRandomly', num_operations=0),
            'num_operations must be at least 1, got 0',
        ),
        (dict(type='EraseRandomBox', prob=2), 'prob must .* got 2,'),
        (dict(type='EraseRandomBox', area=(0.5, 0.2)), r'in order .* got 0.25, \(0.5, 0.2\)'),
    ],
)
def test_wrong_settings_are_refused(cfg, message):
    with pytest.raises(ValueError, match=message):
        TRANSFORMS.build(cfg)


def test_transforms_show_their_settings():
    assert 'level=9.0' in repr(TRANSFORMS.build(dict(type='AugmentRandomly')))
    assert 'prob=0.25' in repr(TRANSFORMS.build(dict(type='EraseRandomBox')))
