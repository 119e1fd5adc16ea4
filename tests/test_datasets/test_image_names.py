"""One rule names an image, and all that read, check, evaluate and segment follow it."""

import csv
import json
import os
import shutil
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mmwsss.apis.picture_tags import add_tags
from mmwsss.apis.pictures import find_pictures
from mmwsss.datasets import ImageLevelFolderDataset, PseudoMaskDataset, image_id, read_image_labels
from mmwsss.datasets.image_labels import collect_labels
from mmwsss.datasets.image_names import ImageNameError, ImageNames, image_name
from mmwsss.engine.cam_tasks import find_images
from mmwsss.engine.evaluate_folders import evaluate_masks
from mmwsss.engine.pipeline.own_folder import list_photographs
from mmwsss.engine.pipeline.own_images import fit_images
from mmwsss.utils import FileProblemError

CLASSES = ('background', 'dog', 'cat')
STEMS = st.text(alphabet='ab .,;"|\'é\u0301\u2028\u200b\x0bA_1', min_size=1, max_size=5)
SUFFIXES = st.sampled_from(['.jpg', '.JPG', '.png', '.jpeg', '.jpg.png', '.v2.jpg', '.tif'])
FOLDERS = st.sampled_from(['', '', '', 'x', 'x', 'y', 'x/y', ' x'])


@st.composite
def file_names(draw):
    """Draw relative names of image files."""
    parts = st.tuples(FOLDERS, STEMS, SUFFIXES)
    names = draw(st.lists(parts, min_size=1, max_size=4, unique=True))
    return [f'{folder}/{stem}{suffix}'.lstrip('/') for folder, stem, suffix in names]


def save(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'wb') as file:
        Image.fromarray(np.full((2, 2), value, np.uint8)).save(file, 'PNG')


def write_sources(root, names):
    """Write tags of the images, each its own, in every format; return the paths."""
    tags = {name: ['dog'] if i % 2 else ['cat'] for i, name in enumerate(names)}
    (root / 'tags.json').write_text(json.dumps(tags))
    with open(root / 'tags.csv', 'w', encoding='utf-8', newline='') as file:
        rows = csv.writer(file)
        rows.writerow(['image', 'labels'])
        rows.writerows([name, tag[0]] for name, tag in tags.items())
    vectors = {name: np.float32([tag == ['dog'], tag == ['cat']]) for name, tag in tags.items()}
    np.save(root / 'tags.npy', np.array(vectors, dtype=object), allow_pickle=True)
    coco = dict(
        images=[dict(id=i, file_name=name) for i, name in enumerate(names)],
        annotations=[dict(image_id=i, category_id=i % 2) for i in range(len(names))],
        categories=[dict(id=0, name='cat'), dict(id=1, name='dog')],
    )
    (root / 'coco.json').write_text(json.dumps(coco))
    for name, tag in tags.items():
        stem = os.path.splitext(name)[0]
        path = root / 'xml' / f'{stem}.xml'
        path.parent.mkdir(parents=True, exist_ok=True)
        xml = f'<annotation><object><name>{tag[0]}</name></object></annotation>'
        path.write_text(xml)
        save(root / 'masks' / f'{stem}.png', 1 + CLASSES[1:].index(tag[0]))
    return [root / name for name in ('tags.json', 'tags.csv', 'tags.npy', 'coco.json', 'xml')]


def check_agreement(root, names):
    """Compare what each part of the package takes for the name, tags and mask of each image."""
    for name in names:
        save(root / 'images' / name)
    sources = write_sources(root, names)
    paths = [str(root / 'images' / name) for name in names]
    try:
        expected = {name: ((1, 0)[i % 2],) for i, name in enumerate(ImageNames(paths).paths)}
    except ImageNameError:
        # two images of one name are refused by everything that stores results under it
        for source in sources:
            with pytest.raises(FileProblemError):
                read_image_labels(source, CLASSES, images=paths)
        return
    pictures = find_pictures(str(root / 'images'))
    for source in [*sources, root / 'masks']:
        assert read_image_labels(source, CLASSES, images=paths) == expected
        assert collect_labels(source, CLASSES, paths) == (expected, [])
        tagged = add_tags(pictures, source, CLASSES)
        found = ImageNames(source.path for source in tagged.sources).of
        assert {found[source.path]: source.tags for source in tagged.sources} == expected
    entries = list_photographs(str(root / 'images'), str(root / 'masks'))
    assert {entry.image_id for entry in entries} == set(expected)
    masks = read_image_labels(root / 'masks', CLASSES, images=paths)
    assert all(entry.seg_map_path for entry in entries)
    assert masks == expected
    evaluate_masks(str(root / 'masks'), str(root / 'masks'), CLASSES, workers=1)
    assert len(find_images(str(root / 'images'), list(expected))) == len(names)
    copies = fit_images(entries, str(root / 'work'), 100, workers=1)
    assert len({copy.image_id for copy in copies}) == len(names)
    check_dataset(root, names, expected)


def check_dataset(root, names, expected):
    options = dict(
        data_root=str(root),
        image_labels='tags.json',
        metainfo=dict(classes=CLASSES),
        data_prefix=dict(img_path='images', seg_map_path='masks'),
        pipeline=[],
    )
    if any('/' in name for name in expected):
        with pytest.raises((ValueError, FileProblemError), match='twice'):
            ImageLevelFolderDataset(**options)
        return
    dataset = ImageLevelFolderDataset(**options)
    for info in map(dataset.get_data_info, range(len(dataset))):
        assert tuple(info['gt_label']) == expected[image_id(info['img_path'])]
        assert os.path.isfile(info['seg_map_path'])
    # a list of the names finds the same images
    (root / 'split.txt').write_bytes(b''.join(os.fsencode(f'{name}\n') for name in expected))
    listed = ImageLevelFolderDataset('split.txt', **options)
    assert len(listed) == len(dataset)
    pseudo = PseudoMaskDataset(
        dict(type='ImageLevelFolderDataset', **options),
        data_prefix=dict(seg_map_path=str(root / 'masks')),
    )
    assert len(pseudo) == len(dataset)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(file_names())
def test_all_parts_agree_on_names(names):
    root = Path(tempfile.mkdtemp())
    try:
        check_agreement(root, sorted(names))
    finally:
        shutil.rmtree(root)


@given(st.text(max_size=12))
@settings(deadline=None, derandomize=True)
def test_the_name_of_a_name_is_the_same(text):
    assert image_id(image_id(text)) == image_id(text)
    assert image_name(image_name(text)) == image_name(text)
    assert image_id(unicodedata.normalize('NFD', text)) == image_id(text)


def test_two_images_of_a_name_are_refused_by_both():
    names = ImageNames(['a/rex.jpg', 'a/rex.jpg.png', 'b/rex.jpg'])
    with pytest.raises(ImageNameError, match=r'a/rex\.jpg and a/rex\.jpg\.png have the same name'):
        names.paths  # noqa: B018
    assert names.path_of('a/rex.jpg') == 'a/rex.jpg'


def test_what_cannot_be_seen_is_escaped():
    with pytest.raises(ImageNameError, match=r"cafe\\u0301\.jpg' and caf\xe9\.jpg"):
        ImageNames(['cafe\u0301.jpg', 'café.jpg']).paths  # noqa: B018


def test_a_name_without_folder_may_mean_two():
    names = ImageNames(['a/1.jpg', 'b/1.jpg', 'b/2.jpg'])
    with pytest.raises(ImageNameError, match=r'1\.png may mean a/1\.jpg or b/1\.jpg'):
        names.find('1.png')
    assert names.find('C:\\old\\b\\1.png') == 'b/1'


def test_another_folder_is_another_image():
    names = ImageNames(['a/1.jpg', 'b/2.jpg'])
    assert names.find('b/1.jpg') is None


def test_a_file_of_two_images_is_refused():
    names = ImageNames(['a/1.jpg', 'b/1.jpg'])
    with pytest.raises(ImageNameError, match='may mean'):
        names.match(['1.png'])
    with pytest.raises(ImageNameError, match=r'a/1\.png and x/a/1\.png both belong'):
        names.match(['a/1.png', 'x/a/1.png'])


@pytest.mark.parametrize('name', ['a\nb.jpg', ' .jpg', '.png.jpg'])
def test_names_under_which_nothing_can_be_stored(name):
    with pytest.raises(ImageNameError, match='rename the file'):
        ImageNames([name])
