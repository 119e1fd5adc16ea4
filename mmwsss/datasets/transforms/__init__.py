"""Transforms for images with image-level labels."""

from .affinity import FuseAffinityScores, LoadAffinityLabel, LoadAffinityScores
from .augmenting import AugmentRandomly, EraseRandomBox
from .cropping import CropWithValidBox
from .formatting import PackWeakInputs, install_mirrored_packing
from .loading import ImageFileError, LoadImageChecked, LoadMaskChecked, decode_image
from .photometric import BlurImage, JitterColor, JitterHSV, SolarizeImage
from .resizing import (
    LimitLongSide,
    RandomScaleImage,
    ResizeLongSide,
    ScaleImage,
    install_long_pictures,
)
from .views import AddSecondView, AddView
from .zooming import ZoomIntoPart, draw_part

__all__ = [
    'AddSecondView',
    'AddView',
    'AugmentRandomly',
    'BlurImage',
    'CropWithValidBox',
    'EraseRandomBox',
    'FuseAffinityScores',
    'ImageFileError',
    'JitterColor',
    'JitterHSV',
    'LimitLongSide',
    'LoadAffinityLabel',
    'LoadAffinityScores',
    'LoadImageChecked',
    'LoadMaskChecked',
    'PackWeakInputs',
    'RandomScaleImage',
    'ResizeLongSide',
    'ScaleImage',
    'SolarizeImage',
    'ZoomIntoPart',
    'decode_image',
    'draw_part',
    'install_long_pictures',
    'install_mirrored_packing',
]
