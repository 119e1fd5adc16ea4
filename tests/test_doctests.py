"""The examples in the docstrings run."""

import doctest
import importlib
import pkgutil

import pytest
from mmengine.logging import MMLogger

import mmwsss

MODULES = sorted(m.name for m in pkgutil.walk_packages(mmwsss.__path__, 'mmwsss.'))


def test_modules_are_found():
    assert {'mmwsss.ops.cam', 'mmwsss.models.segmentors.seam'} <= set(MODULES)


@pytest.mark.parametrize('package', ['losses', 'refiners', 'ops'])
def test_public_names_have_an_example(package):
    package = importlib.import_module(f'mmwsss.{"" if package == "ops" else "models."}{package}')
    public = {name: getattr(package, name) for name in package.__all__}
    without = {n for n, thing in public.items() if 'Example:\n' not in (thing.__doc__ or '')}
    assert public and without <= {'LocalCrops', 'PairLabels', 'WeightedLoss'}


@pytest.mark.parametrize('name', MODULES)
def test_examples(name):
    # what is logged comes on top of what an example shows
    MMLogger.get_current_instance().setLevel('ERROR')
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    tests = [t for name in MODULES for t in finder.find(importlib.import_module(name))]
    assert sum(bool(test.examples) for test in tests) >= 15
