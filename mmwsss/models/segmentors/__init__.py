"""Segmentors: one file a method."""

from .affinity_net import AffinityNet
from .affinity_segmentor import AffinitySegmentor
from .cam_tta_model import CAMTTAModel
from .crf_encoder_decoder import CRFEncoderDecoder
from .crf_tta_model import CRFTTAModel
from .irn_boundary import IRNBoundary
from .seam import SEAM
from .weak_segmentor import WeakSegmentor

__all__ = [
    'SEAM',
    'AffinityNet',
    'AffinitySegmentor',
    'CAMTTAModel',
    'CRFEncoderDecoder',
    'CRFTTAModel',
    'IRNBoundary',
    'WeakSegmentor',
]
