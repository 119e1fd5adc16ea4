"""Samplers, registered in MMSegmentation's registry."""

from .numbered_default_sampler import NumberedDefaultSampler
from .numbered_index import NumberedIndex
from .numbered_infinite_sampler import NumberedInfiniteSampler

__all__ = ['NumberedDefaultSampler', 'NumberedIndex', 'NumberedInfiniteSampler']
