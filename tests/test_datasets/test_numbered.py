"""Numbered samplers and what data sets make of their indices."""

import pickle
import random
from itertools import islice

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmseg.registry import DATASETS, TRANSFORMS

from mmwsss.datasets.numbered import (
    NumberedDefaultSampler,
    NumberedIndex,
    NumberedInfiniteSampler,
)
from tests.weak_data import save_mask

pytestmark = pytest.mark.stack
IMAGES = range(7)
PAIRS = {NumberedInfiniteSampler: InfiniteSampler, NumberedDefaultSampler: DefaultSampler}


def draw(sampler, number, epochs=3):
    """Return the first indices, over epochs where there are some."""
    indices = []
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        indices += islice(sampler, number)
    return indices[:number]


def set_process(monkeypatch, rank, world_size):
    monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda: (rank, world_size))


@pytest.mark.parametrize('kind', PAIRS)
@pytest.mark.parametrize('world_size', [1, 2, 3])
def test_order_is_that_of_mmengine(kind, world_size, monkeypatch):
    for rank in range(world_size):
        set_process(monkeypatch, rank, world_size)
        ours, theirs = (draw(sampler(IMAGES, seed=3), 9) for sampler in (kind, PAIRS[kind]))
        assert ours == theirs
        assert all(type(index) is NumberedIndex for index in ours)


@pytest.mark.parametrize('kind', PAIRS)
@pytest.mark.parametrize('world_size', [1, 2, 3])
def test_positions_count_over_epochs_and_processes(kind, world_size, monkeypatch):
    positions = []
    for rank in range(world_size):
        set_process(monkeypatch, rank, world_size)
        positions.append([index.position for index in draw(kind(IMAGES, seed=3), 6)])
    assert np.transpose(positions).ravel().tolist() == list(range(6 * world_size))


@pytest.mark.skipif(not hasattr(InfiniteSampler, 'skip'), reason='this MMEngine skips nothing')
def test_skipped_samples_count(monkeypatch):
    set_process(monkeypatch, 1, 2)
    expected = draw(NumberedInfiniteSampler(IMAGES, seed=3), 9)[4:]
    sampler = NumberedInfiniteSampler(IMAGES, seed=3)
    sampler.skip(4)
    found = draw(sampler, 5)
    assert found == expected
    assert [index.position for index in found] == [9, 11, 13, 15, 17]


@pytest.mark.parametrize(
    ('kind', 'iteration', 'expected'),
    [
        # batches of 2; an epoch of 7 images has three and leaves one image over
        (NumberedInfiniteSampler, 4, 8),
        (NumberedDefaultSampler, 2, 4),
        (NumberedDefaultSampler, 3, 7),
        (NumberedDefaultSampler, 4, 9),
        (NumberedDefaultSampler, 0, 0),
    ],
)
def test_samples_of_iterations_that_are_done_are_marked(kind, iteration, expected):
    sampler = kind(IMAGES, seed=3)
    sampler.go_on_from(iteration, 3, 2)
    done = [index.done for index in draw(sampler, 14)]
    assert done == [True] * expected + [False] * (14 - expected)


def test_index_travels_to_other_processes():
    index = pickle.loads(pickle.dumps(NumberedIndex(5, 3, 17, True)))
    assert (index, index.seed, index.position, index.done) == (5, 3, 17, True)


@TRANSFORMS.register_module(force=True)
class DrawNumbers:
    """Give a number of each generator instead of an image."""

    def __call__(self, results):
        numbers = {random.random(), np.random.rand(), torch.rand(1).item()}
        return dict(path=results['img_path'], numbers=numbers)


@pytest.fixture(params=['ImageLevelVOCDataset', 'PseudoMaskDataset'])
def dataset(request, voc_dir, tmp_path):
    images = dict(type='ImageLevelVOCDataset', data_root=str(voc_dir), ann_file='train_aug')
    steps = [dict(type='DrawNumbers')]
    if request.param == 'ImageLevelVOCDataset':
        return DATASETS.build({**images, 'pipeline': steps})
    for i in range(4):
        save_mask(tmp_path / f'masks/2007_{i:06d}.png', np.zeros((32, 48), np.uint8))
    prefix = dict(seg_map_path=str(tmp_path / 'masks'))
    return DATASETS.build(
        dict(type=request.param, dataset=images, data_prefix=prefix, pipeline=steps)
    )


def test_numbers_depend_on_seed_and_position(dataset):
    first = dataset[NumberedIndex(2, 3, 17)]
    assert dataset[NumberedIndex(2, 3, 17)] == first
    for other in (NumberedIndex(2, 3, 18), NumberedIndex(2, 4, 17)):
        sample = dataset[other]
        assert sample['path'] == first['path']
        assert not sample['numbers'] & first['numbers']


def test_plain_index_draws_on(dataset):
    dataset[NumberedIndex(2, 3, 17)]
    assert dataset[2] != dataset[2]


def test_nothing_is_loaded_of_a_sample_that_is_done(dataset):
    assert dataset[NumberedIndex(2, 3, 17, True)] == {}
