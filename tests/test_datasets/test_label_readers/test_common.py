"""Names of images and look-up of classes."""

from pathlib import Path

import pytest

from mmwsss.datasets.label_readers.common import LabelFileError, LabelTable, image_id, short_list

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


def test_class_index_counts_the_foreground_from_zero():
    assert LabelTable(Path('f'), CLASSES).class_index('traffic light', 'line 2') == 1


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
        LabelTable(Path('f.csv'), CLASSES).class_index(name, 'line 2')


def test_entries_are_sorted_and_without_repetition():
    table = LabelTable(Path('f'), CLASSES)
    table.add_names('a.jpg', ['traffic light', 'dog', 'dog'], 'line 2')
    assert table.labels == {'a': (0, 1)}


def test_a_second_entry_names_both_places():
    table = LabelTable(Path('f.csv'), CLASSES)
    table.add('a.jpg', [0], 'line 2')
    with pytest.raises(LabelFileError, match="f.csv: image 'a' has two entries, line 2 and line 7"):
        table.add('x/a', [1], 'line 7')


def test_an_entry_without_a_name_is_refused():
    with pytest.raises(LabelFileError, match='f, line 4: the name of the image is empty'):
        LabelTable(Path('f'), CLASSES).add('  ', [0], 'line 4')
