"""Tiny data sets for the tests of data sets."""

import gc
from pathlib import Path

import pytest

from tests.weak_data import make_coco, make_voc


@pytest.fixture(scope='session', autouse=True)
def _quick_collection():
    """Keep torch out of the garbage collection that every data set asks for when it is built."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def voc_dir(tmp_path: Path) -> Path:
    """Folder ``VOC2012`` with four images in train and two in val."""
    return make_voc(tmp_path)


@pytest.fixture
def coco_dir(tmp_path: Path) -> Path:
    """Folder ``coco2014`` with four images in train and two in val."""
    return make_coco(tmp_path)
