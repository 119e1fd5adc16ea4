"""Names of ImageNet's classes: their number, synonyms, what is refused."""

import pytest

from mmwsss.datasets.class_names import class_names
from mmwsss.datasets.imagenet_classes import (
    imagenet_classes,
    imagenet_index,
    imagenet_indices,
)
from mmwsss.datasets.label_readers.common import LabelFileError


def test_every_class_has_a_first_name_of_its_own():
    firsts = [names[0].casefold() for names in imagenet_classes()]
    assert len(set(firsts)) == len(firsts) == 1000
    assert [imagenet_index(names[0]) for names in imagenet_classes()] == list(range(1000))


@pytest.mark.parametrize(
    ('name', 'index'),
    [
        ('tench', 0),
        ('toilet tissue', 999),
        ('tabby cat', 281),
        ('TABBY', 281),
        ('tabby, tabby cat', 281),
        ('coffee_mug', 504),
        # of two classes that are called so, the one whose first name it is
        ('partridge', 86),
        ('cardigan', 474),
        ('crane (bird)', 134),
    ],
)
def test_any_name_of_a_class_will_do(name, index):
    assert imagenet_index(name) == index


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('crane', r"several classes 'crane': write 'crane \(bird\)' or 'crane \(machine\)'"),
        ('maillot', r"several classes 'maillot': write 'maillot \(tights\)' or 'tank suit'"),
        ('panda', "write 'lesser panda' or 'giant panda'"),
        ('expresso', r"no class 'expresso': take one of the nearest \(espresso"),
        ('cat', r'nearest \(tabby, tiger cat, Persian cat'),
        ('qqqq', r'nearest \(there is none\), see imagenet_classes.json'),
    ],
)
def test_names_that_are_none(name, message):
    with pytest.raises(LabelFileError, match=message):
        imagenet_index(name)


def test_a_class_under_two_names():
    assert imagenet_indices(['cup', 'tabby']) == [968, 281]
    with pytest.raises(LabelFileError, match="'tabby' and 'tabby cat' are the same class"):
        imagenet_indices(['tabby', 'cup', 'tabby cat'])


def test_as_classes_of_a_tool():
    names = class_names(['imagenet'])
    assert (len(names), names[0], names[282]) == (1001, 'background', 'tabby')
