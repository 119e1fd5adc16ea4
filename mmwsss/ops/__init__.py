"""Numeric kernels behind refiners and losses: functions from tensors to tensors."""

from .affinity_labels import (
    combine_seed_labels,
    fuse_affinity_scores,
    seed_labels,
)
from .affinity_matrix import pair_label_matrix, propagate_maps, radius_mask
from .affinity_pairs import (
    feature_affinity,
    half_disc_offsets,
    pair_slices,
    path_cells,
    path_maximum,
)
from .cam import background_score, keep_maximum, max_norm, min_max_norm, normalize_cam
from .cosine import clamped_cosine
from .grad_cam import grad_cam
from .local_crops import LocalCrops, choose_local_crops, cut_local_crops, positive_views
from .mean_field import label_probs, mean_field
from .permutohedral import PermutohedralLattice, pixel_features
from .pixel_adaptive import (
    pixel_adaptive_mask_weights,
    pixel_adaptive_refine,
    pixel_adaptive_weights,
)
from .pixel_correlation import pixel_correlation
from .pseudo_masks import background_stacks
from .random_walk import random_walk
from .tagged_maps import pad_tags, region_map, tagged_labels, tagged_scores, threshold_labels
from .valid_boxes import patches_inside, resize_boxes, valid_mask

__all__ = [
    'LocalCrops',
    'PermutohedralLattice',
    'background_score',
    'background_stacks',
    'choose_local_crops',
    'clamped_cosine',
    'combine_seed_labels',
    'cut_local_crops',
    'feature_affinity',
    'fuse_affinity_scores',
    'grad_cam',
    'half_disc_offsets',
    'keep_maximum',
    'label_probs',
    'max_norm',
    'mean_field',
    'min_max_norm',
    'normalize_cam',
    'pad_tags',
    'pair_label_matrix',
    'pair_slices',
    'patches_inside',
    'path_cells',
    'path_maximum',
    'pixel_adaptive_mask_weights',
    'pixel_adaptive_refine',
    'pixel_adaptive_weights',
    'pixel_correlation',
    'pixel_features',
    'positive_views',
    'propagate_maps',
    'radius_mask',
    'random_walk',
    'region_map',
    'resize_boxes',
    'seed_labels',
    'tagged_labels',
    'tagged_scores',
    'threshold_labels',
    'valid_mask',
]
