"""browse_dataset.py: pictures of samples, the page, messages."""

import re

import cv2
import numpy as np
import pytest

from mmwsss.cli.launch import run_tool
from tests.loading import load_file
from tests.test_visualization.test_report import Page
from tests.weak_data import make_voc, save_mask

CONFIG = """
default_scope = 'mmseg'
custom_imports = dict(imports=['mmwsss'], allow_failed_imports=False)
train_dataloader = dict(
    dataset=dict(
        type='ImageLevelVOCDataset',
        data_root='{root}',
        ann_file='train',
        pipeline=[
            dict(type='LoadImageChecked'),
            dict(type='RandomFlip', prob=0.5),
            dict(type='CropWithValidBox', crop_size=40),
            dict(type='PackWeakInputs'),
        ],
    )
)
test_dataloader = dict(
    dataset=dict(
        type='ImageLevelVOCDataset',
        data_root='{root}',
        ann_file='val',
        image_labels='SegmentationClass',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        test_mode=True,
        pipeline=[
            dict(type='LoadImageChecked'),
            dict(type='LoadMaskChecked'),
            dict(type='PackSegInputs'),
        ],
    )
)
"""


@pytest.fixture(scope='module')
def tool():
    return load_file('tools/analysis_tools/browse_dataset.py')


@pytest.fixture(scope='module')
def voc(tmp_path_factory):
    """PASCAL VOC with images of 48 x 32, and a config with crops of 40 x 40."""
    root = make_voc(tmp_path_factory.mktemp('browse'))
    (root / 'config.py').write_text(CONFIG.format(root=root))
    return root


def browse(tool, voc, out, *options):
    argv = [str(voc / 'config.py'), '--out-dir', str(out), *options]
    run_tool(tool.make_parser(), tool.browse_dataset, argv)
    return Page(out / 'index.html')


def read(page, folder, number=0):
    name = page.all('img')[number]['src']
    return cv2.imread(str(folder / name))[..., ::-1].astype(int)


def near(picture, color, tolerance=0):
    """Count the pixels of a colour."""
    return int((np.abs(picture - color).max(axis=2) <= tolerance).sum())


def test_page_shows_all_samples_with_their_classes(tool, voc, tmp_path, capsys):
    page = browse(tool, voc, tmp_path)
    assert [x['src'] for x in page.all('img')] == [f'{i:06d}_2007_{i:06d}.png' for i in range(4)]
    assert {x['loading'] for x in page.all('img')} == {'lazy'}
    assert page.texts.count('person') == 1 + 2  # the legend, and two images
    assert '4 of 4 samples' in capsys.readouterr().out


def test_padding_is_outside_the_valid_box(tool, voc, tmp_path):
    page = browse(tool, voc, tmp_path)
    picture = read(page, tmp_path)
    assert picture.shape == (280, 280, 3)  # seven times 40
    assert near(picture, (0, 0, 0)) > 8 * 40 * 49 * 0.8  # 8 rows of 40 are padding
    assert near(picture, (0, 255, 0), 60) > 200
    found = re.search(r'valid box: rows (\d+) to (\d+), columns 0 to 40', page.text)
    assert int(found[2]) - int(found[1]) == 32


def test_name_stands_on_the_colour_of_its_class(tool, voc, tmp_path):
    page = browse(tool, voc, tmp_path)
    corner = read(page, tmp_path)[:25, :25]
    assert near(corner, (64, 0, 128), 2) > 50  # VOC's colour of a dog


def test_mask_is_painted_where_one_is_loaded(tool, voc, tmp_path):
    page = browse(tool, voc, tmp_path, '--split', 'test')
    assert 'no class (255)' in page.text
    assert 'valid box' not in page.text
    plain = cv2.imread(str(voc / 'JPEGImages/2008_000000.jpg'))[..., ::-1].astype(int)
    picture = read(page, tmp_path)
    expected = 0.4 * plain[16, 24] + 0.6 * np.array((192, 128, 128))  # a person
    np.testing.assert_allclose(picture[16 * 8 + 4, 24 * 8 + 4], expected, atol=3)
    np.testing.assert_allclose(picture[30 * 8 + 4, 24 * 8 + 4], plain[30, 24], atol=3)


def test_original_is_beside(tool, voc, tmp_path):
    page = browse(tool, voc, tmp_path, '--original')
    picture = read(page, tmp_path)
    assert picture.shape == (280, 48 * 8 + 8 + 280, 3)
    plain = cv2.imread(str(voc / 'JPEGImages/2007_000000.jpg'))[..., ::-1].astype(int)
    np.testing.assert_array_equal(picture[4:256:8, 4:384:8], plain)
    assert 'Left: the image' in page.text


def test_seed_decides_choice_and_augmentation(tool, voc, tmp_path):
    def files(seed, out):
        browse(tool, voc, tmp_path / out, '--number', '2', '--seed', str(seed))
        return {path.name: path.read_bytes() for path in (tmp_path / out).glob('*.png')}

    first = files(0, 'a')
    assert len(first) == 2
    assert files(0, 'b') == first
    assert any(files(seed, f'c{seed}') != first for seed in (1, 2))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--split', 'val'], 'has no val_dataloader; --split takes train, val or test'),
        (['--number', '0'], '--number must be at least 1'),
        (
            ['--cfg-options', 'train_dataloader.dataset.data_root=absent'],
            'train_dataloader: .*absent',
        ),
        (
            ['--cfg-options', 'train_dataloader.dataset.data_prefix.img_path=no/where'],
            r'no/where',
        ),
        (['--out-dir', '/dev/null/x'], '--out-dir /dev/null/x cannot be written'),
    ],
)
def test_wrong_calls_end_with_a_sentence(tool, voc, tmp_path, capsys, options, message):
    with pytest.raises(SystemExit, match='2'):
        browse(tool, voc, tmp_path, *options)
    assert re.search(message, capsys.readouterr().err)


def test_damaged_mask_is_named(tool, tmp_path, capsys):
    root = make_voc(tmp_path)
    (root / 'config.py').write_text(CONFIG.format(root=root))
    save_mask(root / 'SegmentationClass/2008_000001.png', np.full((32, 48), 99, np.uint8))
    options = ['--cfg-options', 'test_dataloader.dataset.image_labels=Annotations']
    with pytest.raises(SystemExit, match='2'):
        browse(tool, root, tmp_path / 'out', '--split', 'test', *options)
    assert re.search(r'sample 1: mask .*2008_000001\.png holds', capsys.readouterr().err)
