"""Grid of pictures and threshold curves."""

import cv2
import numpy as np
import pytest

from mmwsss.visualization import picture_grid, plot_threshold_curves, save_figure

WIDE = np.full((10, 20, 3), (250, 0, 0), dtype=np.uint8)
GREY = np.full((10, 20), 60, dtype=np.uint8)


def test_grid_holds_pictures_and_titles():
    figure = picture_grid([[WIDE, None], [WIDE, GREY]], ['image', 'CAM'], row_titles=['dog', 'cat'])
    axes = np.array(figure.axes).reshape(2, 2)
    assert [axis.get_title() for axis in axes[0]] == ['image', 'CAM']
    assert [axis.get_ylabel() for axis in axes[:, 0]] == ['dog', 'cat']
    assert [len(axis.images) for axis in axes.flat] == [1, 0, 1, 1]
    np.testing.assert_array_equal(axes[1, 1].images[0].get_array(), GREY)


def test_saved_picture_has_the_colours(tmp_path):
    save_figure(picture_grid([[WIDE, GREY]], ['image', 'grey']), tmp_path / 'grid.png', dpi=50)
    picture = cv2.imread(str(tmp_path / 'grid.png'))[..., ::-1].reshape(-1, 3)
    for color in ((250, 0, 0), (60, 60, 60)):
        assert (picture == color).all(axis=1).sum() > 1000


def test_curve_marks_the_best():
    figure = plot_threshold_curves(
        {'CAM': ([0.1, 0.2], [40.0, 30]), 'SEAM': ([0.1, 0.2], [41, 52])}
    )
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert texts == ['CAM: 40.00 at 0.1', 'SEAM: 52.00 at 0.2']


@pytest.mark.parametrize('suffix', ['png', 'svg'])
def test_format_follows_the_name(tmp_path, suffix):
    path = tmp_path / f'curve.{suffix}'
    save_figure(plot_threshold_curves({'CAM': ([0.1], [40.0])}), path)
    assert {'png': b'PNG', 'svg': b'<svg'}[suffix] in path.read_bytes()


@pytest.mark.parametrize(
    ('draw', 'message'),
    [
        (lambda: picture_grid([[WIDE]], ['a', 'b']), r'must have 2 pictures, .* got \[1\]'),
        (lambda: picture_grid([], ['a']), r'must have 1 pictures'),
        (lambda: picture_grid([[WIDE]], ['a'], row_titles=[]), '0 row_titles for 1 rows'),
        (lambda: plot_threshold_curves({}), 'no curve to plot'),
        (
            lambda: plot_threshold_curves({'x': ([1], [1, 2])}),
            'x must have equal numbers .*, got 1 and 2',
        ),
    ],
)
def test_input_that_does_not_fit(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
