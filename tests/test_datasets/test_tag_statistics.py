"""What tags alone say about a data set."""

import pytest

from mmwsss.datasets.check import NOTES
from mmwsss.datasets.tag_statistics import FEW, tag_statistics

CLASSES = ('background', 'boat', 'dog', 'water')


def statistics(*tags):
    """Return the statistics of images with these tags."""
    labels = {str(i): tag for i, tag in enumerate(tags)}
    return tag_statistics(list(labels), labels, CLASSES)


@pytest.mark.parametrize(
    ('number', 'found'), [(9, ['dog on 9 of 10']), (8, None)], ids=['nine of ten', 'eight of ten']
)
def test_classes_of_nearly_every_image(number, found):
    kind = 'class on nearly every image'
    assert statistics(*[(1,)] * number, *[()] * (10 - number)).get(kind) == found


def test_a_single_image_has_all_its_classes_everywhere():
    assert statistics((0, 1)) == {}


def test_classes_that_hardly_occur_alone():
    both, kind = [(0, 2)] * 9, 'classes that occur together'
    assert statistics(*both, (0,), (), ())[kind] == ['boat and water, 9 of 10']
    assert kind not in statistics(*both, (0,), (2,), (), ())
    assert kind not in statistics(*both)


def test_classes_of_few_images_of_many():
    many = [(0,)] * FEW
    assert statistics(*many, (1,), (1,), ()) == {'class with few images': ['dog on 2']}
    assert 'class with few images' not in statistics((1,), ())


def test_images_without_tags_are_missed_in_a_larger_set():
    rows = [(0,), (1,)] * FEW
    assert statistics(*rows) == {'no image without tags': [f'each of {2 * FEW} images has one']}
    assert statistics(*rows, ()) == {}


def test_every_kind_is_a_note_of_the_check():
    rows = [*[(0,)] * 30, (0, 1, 2), (0, 1, 2)]
    found = {*statistics(*rows), *statistics((0, 1), (0, 1), (), ())}
    assert len(found) == 4
    assert found <= set(NOTES)
