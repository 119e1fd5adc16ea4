"""Segmentors: one file a method."""

from .afa import AFA
from .affinity_net import AffinityNet
from .affinity_segmentor import AffinitySegmentor
from .apc import APC
from .cam_tta_model import CAMTTAModel
from .class_aware_auto_encoder import ClassAwareAutoEncoder
from .crf_encoder_decoder import CRFEncoderDecoder
from .crf_tta_model import CRFTTAModel
from .grad_cam_segmentor import GradCAMSegmentor
from .irn_boundary import IRNBoundary
from .mctformer import MCTformer
from .scale_max_tta_model import ScaleMaxTTAModel
from .seam import SEAM
from .semformer import SemFormer
from .toco import ToCo
from .vit_pcm import ViTPCM
from .weak_segmentor import WeakSegmentor

__all__ = [
    'AFA',
    'APC',
    'SEAM',
    'AffinityNet',
    'AffinitySegmentor',
    'CAMTTAModel',
    'CRFEncoderDecoder',
    'CRFTTAModel',
    'ClassAwareAutoEncoder',
    'GradCAMSegmentor',
    'IRNBoundary',
    'MCTformer',
    'ScaleMaxTTAModel',
    'SemFormer',
    'ToCo',
    'ViTPCM',
    'WeakSegmentor',
]
