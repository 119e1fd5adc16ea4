"""Transforms for images with image-level labels."""

from .affinity import FuseAffinityScores, LoadAffinityLabel, LoadAffinityScores
from .cropping import CropWithValidBox
from .formatting import PackWeakInputs
from .loading import ImageFileError, LoadImageChecked, LoadMaskChecked, decode_image
from .photometric import JitterColor, JitterHSV
from .resizing import ResizeLongSide, ScaleImage

__all__ = [
    'CropWithValidBox',
    'FuseAffinityScores',
    'ImageFileError',
    'JitterColor',
    'JitterHSV',
    'LoadAffinityLabel',
    'LoadAffinityScores',
    'LoadImageChecked',
    'LoadMaskChecked',
    'PackWeakInputs',
    'ResizeLongSide',
    'ScaleImage',
    'decode_image',
]
