"""Colours over images."""

import numpy as np
import pytest

from mmwsss.visualization import draw_cam, draw_mask

IMAGE = np.full((2, 3, 3), 100, dtype=np.uint8)
PALETTE = [(0, 0, 0), (200, 0, 50)]


def test_cam_is_red_at_one_and_blue_at_zero():
    painted = draw_cam(IMAGE, np.array([[0, 1, 0], [0, 0, 0]]), alpha=1.0)
    assert painted.dtype == np.uint8
    np.testing.assert_array_equal(painted[0, 1], [128, 0, 0])
    np.testing.assert_array_equal(painted[0, 0], [0, 0, 128])


def test_alpha_mixes_with_the_image():
    painted = draw_cam(IMAGE, np.zeros((2, 3)), alpha=0.5)
    np.testing.assert_array_equal(painted[0, 0], [50, 50, 114])


def test_largest_of_several_maps_counts():
    cams = np.stack([np.zeros((2, 3)), np.ones((2, 3))])
    np.testing.assert_array_equal(draw_cam(IMAGE, cams), draw_cam(IMAGE, cams[1]))


def test_values_outside_are_cut():
    cams = np.array([[-5.0, 0, 0], [9.0, 1, 0]])
    np.testing.assert_array_equal(draw_cam(IMAGE, cams), draw_cam(IMAGE, cams.clip(0, 1)))


def test_image_without_classes_is_all_blue():
    cams = np.zeros((0, 2, 3), dtype=np.float16)
    np.testing.assert_array_equal(draw_cam(IMAGE, cams), draw_cam(IMAGE, np.zeros((2, 3))))


def test_mask_paints_classes_and_void_but_not_the_background():
    painted = draw_mask(IMAGE, np.array([[0, 1, 255], [0, 0, 0]]), PALETTE, alpha=0.5)
    np.testing.assert_array_equal(painted[0], [[100, 100, 100], [150, 50, 75], [162, 162, 146]])
    np.testing.assert_array_equal(painted[1], IMAGE[1])


@pytest.mark.parametrize(
    ('draw', 'message'),
    [
        (lambda: draw_cam(IMAGE[..., 0], np.zeros((2, 3))), r'draw_cam: image must be \(H, W, 3\)'),
        (lambda: draw_cam(IMAGE / 255, np.zeros((2, 3))), r'uint8 RGB, got .* float64'),
        (lambda: draw_cam(IMAGE, np.zeros((3, 2))), r'draw_cam: cams .* got \(3, 2\)'),
        (lambda: draw_mask(IMAGE, np.zeros((3, 2)), PALETTE), r'draw_mask: mask .* got \(3, 2\)'),
        (
            lambda: draw_mask(IMAGE, np.full((2, 3), 2), PALETTE),
            r'classes \[2\], but the palette has colours for 0 to 1',
        ),
    ],
)
def test_input_that_does_not_fit(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
