"""ExactResumeHook: what it seeds, and what it tells the sampler."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from mmseg.registry import HOOKS

from mmwsss.datasets import NumberedDefaultSampler
from mmwsss.errors import UsageError
from mmwsss.utils.seeding import AUGMENTATION, seed_random_numbers

pytestmark = pytest.mark.stack


@pytest.fixture
def hook():
    return HOOKS.build(dict(type='ExactResumeHook'))


def numbers():
    return {random.random(), np.random.rand(), torch.rand(1).item()}


def test_numbers_depend_on_seed_and_iteration(hook):
    def draw(seed, iteration):
        hook.before_train_iter(SimpleNamespace(seed=seed, iter=iteration), 0)
        return numbers()

    first = draw(3, 17)
    assert draw(3, 17) == first
    assert not first & draw(3, 18)
    assert not first & draw(4, 17)
    seed_random_numbers(3, AUGMENTATION, 17)
    assert not first & numbers()


def done(hook, sampler, kind, **kwargs):
    """Return what the sampler counts as done after two of three iterations."""
    loop = kind.__new__(kind)
    loop.dataloader = torch.utils.data.DataLoader(range(6), sampler=sampler, batch_size=2)
    loop._iter = 2
    vars(loop).update(kwargs)
    hook.before_train(SimpleNamespace(train_loop=loop))
    return getattr(sampler, 'done', None)


def test_sampler_is_told_where_the_training_goes_on(hook):
    assert done(hook, NumberedDefaultSampler(range(6), seed=0), IterBasedTrainLoop) == (0, 4)


@pytest.mark.parametrize(
    ('kind', 'kwargs'),
    [(EpochBasedTrainLoop, {}), (IterBasedTrainLoop, dict(fast_forward_on_resume=True))],
)
def test_loop_that_begins_anew_loads_all(hook, kind, kwargs):
    assert done(hook, NumberedDefaultSampler(range(6), seed=0), kind, **kwargs) == (0, 0)


@pytest.mark.parametrize('kind', [EpochBasedTrainLoop, IterBasedTrainLoop])
def test_fewer_images_than_a_batch_are_told(hook, kind):
    loop = kind.__new__(kind)
    sampler = NumberedDefaultSampler(range(3), seed=0)
    loop.dataloader = torch.utils.data.DataLoader(range(3), 4, sampler=sampler, drop_last=True)
    with pytest.raises(
        UsageError, match='3 images to train on, fewer than a batch of 4 in each of 1'
    ):
        hook.before_train(SimpleNamespace(train_loop=loop))


def test_other_samplers_are_left_alone(hook):
    assert done(hook, DefaultSampler(range(6), seed=0), IterBasedTrainLoop) is None
