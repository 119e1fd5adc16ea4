"""Index masks as palette pictures."""

import numpy as np
import pytest
from PIL import Image

from mmwsss.datasets import MaskError, read_mask
from mmwsss.datasets.class_palettes import write_mask_file


@pytest.mark.parametrize(
    ('palette', 'color'), [((), (128, 0, 0)), ([[0, 0, 0], [1, 2, 3]], (1, 2, 3))]
)
def test_mask_is_a_palette_picture(tmp_path, palette, color):
    mask = np.array([[0, 1, 2, 255]], dtype=np.uint8)
    write_mask_file(tmp_path / 'a.png', mask, palette)
    found, values = read_mask(tmp_path / 'a.png', 3)
    np.testing.assert_array_equal(found, mask)
    assert values == [0, 1, 2, 255]
    with Image.open(tmp_path / 'a.png') as image:
        colors = [image.convert('RGB').getpixel((column, 0)) for column in (1, 2, 3)]
    assert colors == [color, (0, 128, 0), (224, 224, 192)]


def test_mask_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / 'a.png').mkdir()
    with pytest.raises(MaskError, match=r'a\.png cannot be used \(Is a directory\): check'):
        write_mask_file(tmp_path / 'a.png', np.zeros((1, 1), np.uint8))
