"""Numeric kernels behind refiners and losses: tensors in, tensors out."""

from .affinity_labels import (
    alpha_scores,
    combine_seed_labels,
    fuse_affinity_scores,
    seed_labels,
)
from .affinity_pairs import (
    feature_affinity,
    half_disc_offsets,
    pair_slices,
    path_cells,
    path_maximum,
)
from .cam import background_score, keep_maximum, max_norm, normalize_cam
from .mean_field import label_probs, mean_field
from .permutohedral import PermutohedralLattice, pixel_features
from .pixel_adaptive import pixel_adaptive_refine, pixel_adaptive_weights
from .pixel_correlation import pixel_correlation
from .pseudo_masks import background_stacks
from .random_walk import random_walk

__all__ = [
    'PermutohedralLattice',
    'alpha_scores',
    'background_score',
    'background_stacks',
    'combine_seed_labels',
    'feature_affinity',
    'fuse_affinity_scores',
    'half_disc_offsets',
    'keep_maximum',
    'label_probs',
    'max_norm',
    'mean_field',
    'normalize_cam',
    'pair_slices',
    'path_cells',
    'path_maximum',
    'pixel_adaptive_refine',
    'pixel_adaptive_weights',
    'pixel_correlation',
    'pixel_features',
    'random_walk',
    'seed_labels',
]
