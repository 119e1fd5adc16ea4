"""Seeding by sample or iteration, independent of previously drawn random numbers."""

from __future__ import annotations

import random

import numpy as np
import torch

# purposes, so that sample i and iteration i get different random numbers
AUGMENTATION, MODEL = 0, 1


def seed_random_numbers(seed: int, purpose: int, place: int) -> None:
    """Seed the generators of Python, NumPy and PyTorch.

    Args:
        seed: Seed of the training, at least 0.
        purpose: ``AUGMENTATION`` or ``MODEL``.
        place: Index of the sample or iteration, at least 0.

    Example:
        >>> def draw(place):
        ...     seed_random_numbers(0, MODEL, place)
        ...     return random.random(), np.random.rand(), torch.rand(1).item()
        >>> first = draw(3)
        >>> draw(4) == first, draw(3) == first
        (False, True)
    """
    seeds = np.random.SeedSequence((seed, purpose, place)).generate_state(3)
    random.seed(int(seeds[0]))
    np.random.seed(int(seeds[1]))
    torch.manual_seed(int(seeds[2]))
