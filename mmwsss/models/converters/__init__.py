"""Published weights of other projects under this project's names."""

from .affinity_names import (
    affinitynet_shapes,
    irn_shapes,
    is_irn_copy,
    published_to_affinitynet,
    published_to_irn,
)
from .foreign_weights import ConversionError, convert_weights, read_torch_weights, save_weights
from .mit_names import (
    afa_shapes,
    is_mit_classifier,
    merge_mit_weights,
    mit_settings,
    mit_shapes,
    published_to_afa,
    published_to_mit,
)
from .resnet38_names import (
    is_mxnet_classifier,
    mxnet_to_published,
    published_to_resnet38d,
    published_to_seam,
    resnet38d_shapes,
    seam_shapes,
)
from .semformer_names import caae_settings, caae_shapes, is_unused_in_caae, published_to_caae
from .vit_names import (
    num_heads,
    published_to_token_block,
    published_to_token_vit,
    split_vit_tokens,
    token_vit_shapes,
    vit_settings,
)

__all__ = [
    'ConversionError',
    'afa_shapes',
    'affinitynet_shapes',
    'caae_settings',
    'caae_shapes',
    'convert_weights',
    'irn_shapes',
    'is_irn_copy',
    'is_mit_classifier',
    'is_mxnet_classifier',
    'is_unused_in_caae',
    'merge_mit_weights',
    'mit_settings',
    'mit_shapes',
    'mxnet_to_published',
    'num_heads',
    'published_to_afa',
    'published_to_affinitynet',
    'published_to_caae',
    'published_to_irn',
    'published_to_mit',
    'published_to_resnet38d',
    'published_to_seam',
    'published_to_token_block',
    'published_to_token_vit',
    'read_torch_weights',
    'resnet38d_shapes',
    'save_weights',
    'seam_shapes',
    'split_vit_tokens',
    'token_vit_shapes',
    'vit_settings',
]
