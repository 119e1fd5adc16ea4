"""Published weights of other projects under this project's names."""

from .affinity_names import (
    affinitynet_shapes,
    irn_shapes,
    is_irn_copy,
    published_to_affinitynet,
    published_to_irn,
)
from .foreign_weights import ConversionError, convert_weights, read_torch_weights, save_weights
from .resnet38_names import (
    is_mxnet_classifier,
    mxnet_to_published,
    published_to_resnet38d,
    published_to_seam,
    resnet38d_shapes,
    seam_shapes,
)

__all__ = [
    'ConversionError',
    'affinitynet_shapes',
    'convert_weights',
    'irn_shapes',
    'is_irn_copy',
    'is_mxnet_classifier',
    'mxnet_to_published',
    'published_to_affinitynet',
    'published_to_irn',
    'published_to_resnet38d',
    'published_to_seam',
    'read_torch_weights',
    'resnet38d_shapes',
    'save_weights',
    'seam_shapes',
]
