"""Every kind of image is read correctly or refused, and every wrong mask is named."""

import io

import cv2
import numpy as np
import pytest
from mmseg.registry import TRANSFORMS
from PIL import Image

from mmwsss.datasets import ImageFileError, LoadImageChecked, LoadMaskChecked, MaskError
from mmwsss.datasets.transforms.loading import TRANSPARENT_COLOR
from tests.weak_data import save_mask

RED_THEN_GREY = np.array([[[200, 10, 20], [90, 90, 90], [90, 90, 90]]] * 2, np.uint8)
RED_THEN_GREY = RED_THEN_GREY.repeat(8, 0).repeat(8, 1)


def load(path):
    return LoadImageChecked()({'img_path': str(path)})


def rgb(path):
    return load(path)['img'][..., ::-1]


def save(path, image, **kwargs):
    image.save(path, **kwargs)
    return path


def test_fields_and_order_of_colours(tmp_path):
    path = save(tmp_path / 'a.png', Image.fromarray(RED_THEN_GREY))
    results = load(path)
    assert results['img_shape'] == results['ori_shape'] == (16, 24)
    assert results['img'].dtype == np.uint8 and results['img'].flags.c_contiguous
    assert results['img'][0, 0].tolist() == [20, 10, 200]


def test_float_images(tmp_path):
    path = save(tmp_path / 'a.png', Image.fromarray(RED_THEN_GREY))
    results = LoadImageChecked(to_float32=True)({'img_path': str(path)})
    assert results['img'].dtype == np.float32


def test_jpeg_is_what_opencv_reads(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (16, 24, 3), np.uint8)
    path = save(tmp_path / 'a.jpg', Image.fromarray(picture))
    assert np.abs(load(path)['img'].astype(int) - cv2.imread(str(path))).max() <= 1


@pytest.mark.parametrize(
    'mode, suffix', [('L', 'jpg'), ('1', 'png'), ('P', 'png'), ('CMYK', 'tif'), ('YCbCr', 'tif')]
)
def test_other_kinds_of_images_become_colour(tmp_path, mode, suffix):
    source = Image.fromarray(RED_THEN_GREY)
    if mode in ('L', '1'):
        source = source.convert('L').point(lambda level: 255 * (level > 80)).convert('RGB')
    if mode == 'P':
        converted = source.convert('P', palette=Image.Palette.ADAPTIVE, colors=4)
    else:
        converted = source.convert(mode)
    path = save(tmp_path / f'a.{suffix}', converted)
    with Image.open(path) as stored:
        assert stored.mode == mode
    assert np.abs(rgb(path).astype(int) - np.asarray(source)).max() <= 4


def test_cmyk_jpeg_is_not_inverted(tmp_path):
    path = save(tmp_path / 'a.jpg', Image.new('CMYK', (8, 8), (0, 200, 200, 10)))
    red, green, blue = rgb(path)[4, 4].astype(int)
    assert red > 200 and green < 80 and blue < 80


@pytest.mark.parametrize('kind', ['RGBA', 'LA', 'P'])
def test_transparent_parts_get_the_mean_colour(tmp_path, kind):
    picture = Image.new('RGBA', (2, 1), (80, 80, 80, 255))
    picture.putpixel((1, 0), (255, 255, 255, 0))
    if kind == 'P':
        picture = Image.fromarray(np.array([[0, 1]], np.uint8)).convert('P')
        picture.putpalette([80, 80, 80, 255, 255, 255])
        picture.info['transparency'] = bytes([255, 0])
    elif kind == 'LA':
        picture = picture.convert('LA')
    path = save(tmp_path / 'a.png', picture)
    assert rgb(path)[0].tolist() == [[80, 80, 80], list(TRANSPARENT_COLOR)]


@pytest.mark.parametrize('orientation', range(1, 9))
def test_orientation_of_exif_is_applied(tmp_path, orientation):
    upright = Image.fromarray(np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 10)
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright if undo is None else upright.transpose(undo)
    path = save(tmp_path / 'a.png', stored, exif=exif)
    assert (rgb(path) == np.asarray(upright)).all()
    assert load(path)['ori_shape'] == (2, 3)


def test_damaged_exif_does_not_matter(tmp_path):
    path = save(tmp_path / 'a.jpg', Image.new('RGB', (8, 8)), exif=b'Exif\0\0garbage!')
    assert load(path)['img_shape'] == (8, 8)


def sixteen_bit(kind):
    ramp = np.arange(0, 65536, 8192, dtype=np.uint16).reshape(2, 4)
    if kind == 'grey png':
        return Image.fromarray(ramp), 'png'
    if kind == 'int tiff':
        return Image.fromarray(ramp.astype(np.int32)), 'tif'
    return Image.fromarray(ramp.astype(np.float32)), 'tif'


@pytest.mark.parametrize('kind', ['grey png', 'int tiff', 'float tiff'])
def test_more_than_8_bits_are_refused(tmp_path, kind):
    picture, suffix = sixteen_bit(kind)
    path = save(tmp_path / f'a.{suffix}', picture)
    with pytest.raises(
        ImageFileError, match=rf'a\.{suffix} has pixels of mode .* more than 8 bits'
    ):
        load(path)


@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_16_bit_colour_is_refused(tmp_path, suffix):
    path = tmp_path / f'a.{suffix}'
    cv2.imwrite(str(path), np.full((4, 4, 3), 300, np.uint16))
    with pytest.raises(ImageFileError, match='more than 8 bits per channel.*convert the file'):
        load(path)


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'bmp', 'webp', 'gif'])
def test_truncated_images_are_named(tmp_path, suffix):
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    path = save(tmp_path / f'a.{suffix}', Image.fromarray(picture))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(ImageFileError, match=rf'image .*a\.{suffix} is truncated or no image \(.*'):
        load(path)


@pytest.mark.parametrize('content', [b'', b'<html>not found</html>'], ids=['empty', 'html'])
def test_files_that_are_no_images_are_named(tmp_path, content):
    (tmp_path / 'a.jpg').write_bytes(content)
    with pytest.raises(ImageFileError, match=r'a\.jpg is truncated or no image .*fetch the file'):
        load(tmp_path / 'a.jpg')


def test_missing_images_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'image .*a\.jpg cannot be read .*check data_root'):
        load(tmp_path / 'a.jpg')


def item(tmp_path, **kwargs):
    return {
        'img_path': 'a.jpg',
        'seg_map_path': str(tmp_path / 'a.png'),
        'ori_shape': (2, 3),
        'num_classes': 3,
        'label_map': None,
        'seg_fields': [],
        **kwargs,
    }


MASK = np.array([[0, 1, 2], [255, 0, 1]], np.uint8)


@pytest.mark.parametrize('kind', ['palette', 'grey'])
def test_mask_of_indices(tmp_path, kind):
    if kind == 'palette':
        save_mask(tmp_path / 'a.png', MASK)
    else:
        Image.fromarray(MASK).save(tmp_path / 'a.png')
    results = LoadMaskChecked()(item(tmp_path))
    assert (results['gt_seg_map'] == MASK).all()
    assert results['seg_fields'] == ['gt_seg_map']


def test_mask_of_some_classes(tmp_path):
    save_mask(tmp_path / 'a.png', MASK)
    results = LoadMaskChecked()(item(tmp_path, num_classes=2, label_map={0: 0, 1: 255, 2: 1}))
    assert results['gt_seg_map'].tolist() == [[0, 255, 1], [255, 0, 255]]


def test_item_of_another_data_set_has_no_number_of_classes(tmp_path):
    save_mask(tmp_path / 'a.png', MASK)
    foreign = item(tmp_path)
    del foreign['num_classes']
    assert LoadMaskChecked()(foreign)['gt_seg_map'].max() == 255


@pytest.mark.parametrize(
    'change, match',
    [
        ({'num_classes': 2}, r'a\.png holds the values \[2\] where 0 to 1 and 255 \(ignored\)'),
        ({'ori_shape': (4, 4)}, r'a\.png is 3 x 2 but its image a\.jpg is 4 x 4: create a mask'),
        ({'ori_shape': (3, 2)}, r'image a\.jpg is 2 x 3 \(the image may be turned by its EXIF'),
        ({'seg_map_path': None}, r'image a\.jpg has no seg_map_path: set seg_map_path'),
        ({'seg_map_path': 'none.png'}, r'mask none\.png cannot be read .*check data_root'),
    ],
    ids=['values', 'size', 'turned', 'not configured', 'missing'],
)
def test_wrong_masks_are_named(tmp_path, change, match):
    save_mask(tmp_path / 'a.png', MASK)
    with pytest.raises(MaskError, match=match):
        LoadMaskChecked()(item(tmp_path, **change))


@pytest.mark.parametrize(
    'picture, match',
    [
        (Image.new('RGB', (3, 2)), 'pixels of mode RGB where an index'),
        (Image.fromarray(MASK.astype(np.uint16)), 'pixels of mode I;16 where an index'),
    ],
)
def test_masks_that_are_no_index_masks_are_named(tmp_path, picture, match):
    picture.save(tmp_path / 'a.png')
    with pytest.raises(MaskError, match=match):
        LoadMaskChecked()(item(tmp_path))


def test_truncated_masks_are_named(tmp_path):
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 2, (64, 64), np.uint8)).save(
        content, 'PNG'
    )
    (tmp_path / 'a.png').write_bytes(content.getvalue()[:150])
    with pytest.raises(MaskError, match=r'mask .*a\.png is truncated or no image'):
        LoadMaskChecked()(item(tmp_path))


@pytest.mark.parametrize('name', ['LoadImageChecked', 'LoadMaskChecked'])
def test_are_registered_and_show_themselves(name):
    assert repr(TRANSFORMS.build({'type': name})).startswith(f'{name}(')
