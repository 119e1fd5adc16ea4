"""Folders of VOC annotations and of masks."""

import numpy as np
import pytest
from PIL import Image

from mmwsss.datasets import LabelFileError, read_image_labels
from tests.weak_data import VOC_CLASSES, save_mask, save_text, voc_xml

DOG, PERSON = VOC_CLASSES.index('dog') - 1, VOC_CLASSES.index('person') - 1


def test_voc_annotations_give_the_classes_of_objects_but_not_of_parts(tmp_path):
    save_text(tmp_path / 'a.xml', voc_xml(['person', 'dog', 'person'], (8, 8)))
    save_text(tmp_path / 'b.xml', voc_xml([], (8, 8)))
    assert read_image_labels(tmp_path, VOC_CLASSES) == {'a': (DOG, PERSON), 'b': ()}


def test_only_the_images_that_matter_are_opened(tmp_path):
    save_text(tmp_path / 'a.xml', voc_xml(['dog'], (8, 8)))
    save_text(tmp_path / 'broken.xml', 'x')
    assert read_image_labels(tmp_path, VOC_CLASSES, images=['a.jpg', 'c']) == {'a': (DOG,)}


@pytest.mark.parametrize(
    'content, match',
    [
        (voc_xml(['dog', 'zebra'], (8, 8)), r"a\.xml, object 2: unknown class 'zebra'"),
        ('<annotation><object>', r'a\.xml: not a readable VOC annotation'),
        ('<annotation><object/></annotation>', r'a\.xml, object 1: has no name'),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', r'a\.xml: declares a document type'),
    ],
)
def test_what_is_wrong_with_an_annotation_is_named(tmp_path, content, match):
    save_text(tmp_path / 'a.xml', content)
    with pytest.raises(LabelFileError, match=match):
        read_image_labels(tmp_path, VOC_CLASSES)


def test_masks_give_the_classes_they_show(tmp_path):
    save_mask(tmp_path / 'a.png', np.array([[0, 255], [PERSON + 1, DOG + 1]], np.uint8))
    save_mask(tmp_path / 'b.png', np.zeros((2, 2), np.uint8))
    assert read_image_labels(tmp_path, VOC_CLASSES) == {'a': (DOG, PERSON), 'b': ()}


def test_a_mask_with_foreign_values_is_named(tmp_path):
    save_mask(tmp_path / 'a.png', np.array([[0, 21]], np.uint8))
    with pytest.raises(LabelFileError, match=r'a\.png holds the values \[21\] where 0 to 20'):
        read_image_labels(tmp_path, VOC_CLASSES)


def test_a_coloured_mask_is_refused(tmp_path):
    Image.new('RGB', (2, 2)).save(tmp_path / 'a.png')
    with pytest.raises(LabelFileError, match=r'a\.png has pixels of mode RGB where an index'):
        read_image_labels(tmp_path, VOC_CLASSES)


@pytest.mark.parametrize(
    'name, match',
    [
        ('nothing.csv', r'nothing\.csv: does not exist: give image_labels'),
        ('empty', 'a folder without VOC annotations .* masks .* for each class'),
        ('labels.txt', r'received a \.txt file where a folder'),
    ],
)
def test_sources_that_no_reader_takes(tmp_path, name, match):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'labels.txt').touch()
    with pytest.raises(LabelFileError, match=match):
        read_image_labels(tmp_path / name, VOC_CLASSES)
