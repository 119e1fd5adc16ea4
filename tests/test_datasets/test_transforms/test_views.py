"""A second view in colours of its own: beside the image, packed, never moved."""

import numpy as np
import pytest
from mmengine.dataset import Compose

from mmwsss.datasets import AddSecondView, AddView

GRAY = dict(type='JitterColor', gray_prob=1.0)


@pytest.fixture
def results():
    image = np.random.default_rng(0).integers(0, 256, (8, 6, 3), dtype=np.uint8)
    return dict(img=image, img_shape=(8, 6), ori_shape=(8, 6))


def test_the_copy_changes_and_the_image_stays(results):
    before = results['img'].copy()
    out = AddSecondView([GRAY])(results)
    assert np.array_equal(out['img'], before)
    second = out['second_view']
    assert (second == second[..., :1]).all() and not np.array_equal(second, before)


def test_both_views_are_packed_alike(results):
    steps = [AddSecondView([GRAY]), dict(type='JitterColor', hue=0.5), dict(type='PackWeakInputs')]
    packed = Compose(steps)(results)
    second = packed['data_samples'].second_view
    assert second.dtype == packed['inputs'].dtype
    assert second.shape == packed['inputs'].shape == (3, 8, 6)
    assert np.array_equal(second.numpy().transpose(1, 2, 0), results['second_view'])


def test_without_transforms_it_is_the_image(results):
    out = AddSecondView([])(results)
    assert np.array_equal(out['second_view'], out['img'])
    assert out['second_view'] is not out['img']


def test_what_moves_pixels_is_refused(results):
    move = AddSecondView([dict(type='CropWithValidBox', crop_size=4)])
    with pytest.raises(
        ValueError, match='the transforms change the size from 6 x 8 to 4 x 4: keep'
    ):
        move(results)


def test_shows_itself():
    assert 'JitterColor' in repr(AddSecondView([GRAY]))


def test_a_view_shares_what_comes_before_it_and_is_packed_under_its_name(results):
    part = dict(type='ZoomIntoPart', size=5, interpolation='bicubic')
    steps = [
        dict(type='AddView', transforms=[part]),
        dict(type='RandomFlip', prob=1.0),
        dict(type='AddView', name='local_view', transforms=[dict(type='SolarizeImage')]),
        GRAY,
        dict(type='PackWeakInputs'),
    ]
    before = results['img'].copy()
    sample = Compose(steps)(results)['data_samples']
    assert sample.second_view.shape == (3, 5, 5)
    mirrored = np.where(before >= 128, 255 - before, before)[:, ::-1]
    assert np.array_equal(sample.local_view.numpy().transpose(1, 2, 0), mirrored)
    # boxes are those of the image
    assert sample.valid_box == (0, 0, 8, 6)


def test_views_of_other_names_are_refused():
    with pytest.raises(ValueError, match="name must be one of .* got 'third'"):
        AddView([], name='third')
