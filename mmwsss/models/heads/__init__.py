"""Heads on backbone features."""

from .adaptive_k_pooling import AdaptiveKPooling, adaptive_k_pooling
from .affinity_head import AffinityHead
from .cam_head import CAMHead
from .class_embed_head import ClassEmbedHead
from .class_token_head import ClassTokenHead
from .deeplabv2_head import DeepLabV2Head
from .dilated_conv_head import DilatedConvHead
from .large_fov_head import LargeFOVHead
from .linear_segformer_head import LinearSegformerHead
from .mean_teacher import MeanTeacher
from .patch_classifier_head import PatchClassifierHead
from .patch_decode_head import PatchDecodeHead
from .projection_head import ProjectionHead
from .ranking_pooling import RankingPooling, ranking_pooling
from .raw_attention_head import RawAttentionHead
from .token_mask_head import TokenMaskHead
from .token_score_head import TokenScoreHead

__all__ = [
    'AdaptiveKPooling',
    'AffinityHead',
    'CAMHead',
    'ClassEmbedHead',
    'ClassTokenHead',
    'DeepLabV2Head',
    'DilatedConvHead',
    'LargeFOVHead',
    'LinearSegformerHead',
    'MeanTeacher',
    'PatchClassifierHead',
    'PatchDecodeHead',
    'ProjectionHead',
    'RankingPooling',
    'RawAttentionHead',
    'TokenMaskHead',
    'TokenScoreHead',
    'adaptive_k_pooling',
    'ranking_pooling',
]
