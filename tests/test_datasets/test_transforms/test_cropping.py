"""Place, padding and valid box of crops."""

import numpy as np
import pytest

from mmwsss.datasets import CropWithValidBox


def sample(height, width):
    rows, columns = np.mgrid[:height, :width]
    return {
        'img': np.stack([rows + 1, columns + 1, rows * 0 + 9], -1).astype(np.uint8),
        'gt_seg_map': rows.astype(np.uint8),
    }


@pytest.mark.parametrize('shape', [(20, 30), (5, 30), (20, 6), (5, 6), (8, 8)])
def test_the_valid_box_holds_image_and_nothing_else(shape):
    for _ in range(20):
        results = CropWithValidBox(8)(sample(*shape))
        image, mask = results['img'], results['gt_seg_map']
        top, left, bottom, right = results['valid_box']
        assert image.shape == (8, 8, 3) and mask.shape == (8, 8)
        assert results['img_shape'] == (8, 8)
        assert (bottom - top, right - left) == tuple(min(8, side) for side in shape)
        inside = np.zeros((8, 8), bool)
        inside[top:bottom, left:right] = True
        assert (image[inside][:, 2] == 9).all() and not image[~inside].any()
        assert (mask[~inside] == 255).all() and (mask[inside] == image[inside][:, 0] - 1).all()
        # neighbours stay neighbours
        box = image[top:bottom, left:right].astype(int)
        assert (np.diff(box[..., 0], axis=0) == 1).all()
        assert (np.diff(box[..., 1], axis=1) == 1).all()


def test_every_place_is_possible():
    larger, smaller = set(), set()
    for _ in range(200):
        larger.add(tuple(CropWithValidBox(4)(sample(6, 6))['img'][0, 0, :2] - 1))
        smaller.add(CropWithValidBox(8)(sample(6, 6))['valid_box'][:2])
    assert larger == smaller == {(row, column) for row in range(3) for column in range(3)}


def test_padding_level_and_oblong_crops():
    results = CropWithValidBox((4, 6), pad_value=7)({'img': np.zeros((2, 6, 3), np.uint8)})
    assert results['img'].shape == (4, 6, 3)
    assert (results['img'] == 7).all(axis=(1, 2)).sum() == 2
    assert 'gt_seg_map' not in results


def test_the_seed_of_numpy_decides():
    boxes = []
    for _ in range(2):
        np.random.seed(3)
        boxes.append([CropWithValidBox(9)(sample(4, 4))['valid_box'] for _ in range(5)])
    assert boxes[0] == boxes[1]


@pytest.mark.parametrize(
    'arguments, match',
    [
        ({'crop_size': 0}, 'crop_size must be a side .* got 0'),
        ({'crop_size': (4, 4, 4)}, r'crop_size must be a side .* got \(4, 4, 4\)'),
        ({'crop_size': 4, 'pad_value': 256}, 'pad_value must be 0 to 255, got 256'),
    ],
)
def test_wrong_arguments_are_named(arguments, match):
    with pytest.raises(ValueError, match=f'CropWithValidBox: {match}'):
        CropWithValidBox(**arguments)


def test_shows_itself():
    transform = CropWithValidBox(4, pad_value=3)
    assert eval(repr(transform)).__dict__ == transform.__dict__
