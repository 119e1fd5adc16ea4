"""Labels in folders that are named after classes."""

import numpy as np
import pytest
from PIL import Image

from mmwsss.datasets import LabelFileError, read_image_labels
from mmwsss.datasets.image_labels import collect_labels, read_tag_names, source_format

CLASSES = ('background', 'cat', 'dog')


def photograph(path, level, mode='RGB'):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (8, 9, 3) if mode == 'RGB' else (8, 9)
    Image.fromarray(np.full(shape, level, np.uint8), mode).save(path)


@pytest.fixture
def folder(tmp_path):
    levels = {'cat/1.jpg': 10, 'dog/1.jpg': 10, 'dog/deep/2.jpg': 20, '3.jpg': 30}
    for name, level in levels.items():
        photograph(tmp_path / name, level)
    return tmp_path


def test_copies_have_the_classes_of_all_their_folders(folder):
    found = read_image_labels(folder, CLASSES)
    assert found == {'cat/1': (0, 1), 'dog/1': (0, 1), '2': (1,), '3': ()}
    assert read_tag_names(folder) == ('cat', 'dog')
    assert source_format(folder) == 'a folder for each class'


def test_other_photographs_of_the_name_are_others(folder):
    photograph(folder / 'dog/1.jpg', 200)
    found = read_image_labels(folder, CLASSES)
    assert (found['cat/1'], found['dog/1']) == ((0,), (1,))


def test_images_of_another_folder_are_found_by_name(folder):
    assert read_image_labels(folder, CLASSES, images=['im/1.jpg', 'im/3.jpg']) == {
        '1': (0, 1),
        '3': (),
    }


def test_different_photographs_of_one_image_are_refused(folder):
    photograph(folder / 'dog/1.jpg', 200)
    match = 'cat/1.jpg and dog/1.jpg are different photographs of the same name: rename'
    with pytest.raises(LabelFileError, match=match):
        read_image_labels(folder, CLASSES, images=['im/1.jpg'])


def test_unknown_folder_is_named(folder):
    photograph(folder / 'cow/4.jpg', 40)
    _, (problem,) = collect_labels(folder, CLASSES)
    assert "unknown class 'cow'" in str(problem) and 'cow' in str(problem)


def test_coloured_pngs_are_photographs_and_grey_ones_masks(tmp_path):
    photograph(tmp_path / 'cat/1.png', 10)
    assert source_format(tmp_path) == 'a folder for each class'
    photograph(tmp_path / 'cat/1.png', 1, 'L')
    assert source_format(tmp_path) == 'index masks'
    assert read_image_labels(tmp_path, CLASSES) == {'1': (0,)}


def test_photographs_alone_are_no_labels(tmp_path):
    photograph(tmp_path / '1.jpg', 10)
    with pytest.raises(LabelFileError, match='folders of photographs, one for each class'):
        read_image_labels(tmp_path, CLASSES)
