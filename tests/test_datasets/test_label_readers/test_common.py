"""Names of images and look-up of classes."""

from pathlib import Path

import pytest

from mmwsss.datasets import image_id
from mmwsss.datasets.label_readers.common import LabelEntry, LabelFileError, LabelTable
from mmwsss.utils import short_list

CLASSES = ('background', 'dog', 'traffic light')


@pytest.mark.parametrize(
    'path, name',
    [
        ('a/b/2007_000032.jpg', '2007_000032'),
        ('2007_000032', '2007_000032'),
        ('a\\b.v2.PNG', 'b.v2'),
        ('scan.v2', 'scan.v2'),
        (Path('x') / 'y.tiff', 'y'),
    ],
)
def test_image_id_is_the_name_without_an_image_extension(path, name):
    assert image_id(path) == name


def test_short_list_says_that_more_follow():
    assert short_list(range(7), limit=3) == '0, 1, 2 ...'


def test_indices_count_the_foreground_from_zero_and_are_sorted():
    table = LabelTable('f', CLASSES)
    names = dict.fromkeys(['traffic light', ' dog', 'dog'], 'f, line 2')
    assert table.indices(names) == (0, 1)


@pytest.mark.parametrize(
    'name, match',
    [
        ('Dgo', r"^f\.csv, line 2: unknown class 'Dgo' \(did you mean 'dog'\?\); the 2 classes"),
        ('zebra', r"unknown class 'zebra'; the 2 classes are dog, traffic light: correct"),
        ('background', "class 'background' is the background.*leave it out"),
    ],
)
def test_unknown_class_names_file_line_class_and_a_guess(name, match):
    with pytest.raises(LabelFileError, match=match):
        LabelTable('f.csv', CLASSES).indices({name: 'f.csv, line 2'})


def entry(image, number, *names):
    return LabelEntry(image, dict.fromkeys(names, f'f.csv, line {number}'), f'line {number}')


def test_a_second_entry_names_both_places():
    table = LabelTable('f.csv', CLASSES)
    table.add(entry('a.jpg', 2, 'dog'))
    with pytest.raises(
        LabelFileError, match="f.csv: image 'a' has two entries, line 2 and line 7: keep one"
    ):
        table.add(entry('x/a', 7))


def test_an_entry_without_a_name_is_refused():
    with pytest.raises(LabelFileError, match='f, line 4: the name of the image is empty'):
        LabelTable('f', CLASSES).add(entry('  ', 4, 'dog'))


def test_a_table_that_collects_goes_on_and_says_nothing_twice():
    problems = []
    table = LabelTable('f.csv', CLASSES, report=problems.append)
    for image in ('a', 'b', 'a.jpg', ''):
        table.add(LabelEntry(image, {'owl': 'category 2', 'dog': 'category 1'}, f'line {image}'))
    assert table.labels == {'a': (0,), 'b': (0,)}
    assert [error.kind for error in problems] == ['unknown class', 'duplicate entry', 'wrong entry']
    assert problems[0].problem == "category 2: unknown class 'owl'"
