"""Data sets with image-level labels, readers of such labels, and their transforms."""

from .affinity_files import AffinityFileError, AffinityScores
from .emblems import EmblemsSettings, make_emblems
from .emblems_dataset import EmblemsDataset
from .image_labels import ImageLabels, LabelFileError, read_image_labels
from .image_level_coco_dataset import ImageLevelCOCODataset
from .image_level_dataset import ImageEntry, ImageLevelDataset
from .image_level_folder_dataset import ImageLevelFolderDataset
from .image_level_voc_dataset import ImageLevelVOCDataset
from .image_names import image_id
from .masks import MaskError, read_mask
from .numbered import NumberedDefaultSampler, NumberedInfiniteSampler
from .palette import voc_palette
from .pseudo_mask_dataset import PseudoMaskDataset
from .transforms import (
    AddSecondView,
    AddView,
    AugmentRandomly,
    BlurImage,
    CropWithValidBox,
    EraseRandomBox,
    FuseAffinityScores,
    ImageFileError,
    JitterColor,
    JitterHSV,
    LimitLongSide,
    LoadAffinityLabel,
    LoadAffinityScores,
    LoadImageChecked,
    LoadMaskChecked,
    PackWeakInputs,
    RandomScaleImage,
    ResizeLongSide,
    ScaleImage,
    SolarizeImage,
    ZoomIntoPart,
)

__all__ = [
    'AddSecondView',
    'AddView',
    'AugmentRandomly',
    'BlurImage',
    'AffinityFileError',
    'AffinityScores',
    'CropWithValidBox',
    'EmblemsDataset',
    'EmblemsSettings',
    'EraseRandomBox',
    'FuseAffinityScores',
    'ImageEntry',
    'ImageFileError',
    'ImageLabels',
    'ImageLevelCOCODataset',
    'ImageLevelDataset',
    'ImageLevelFolderDataset',
    'ImageLevelVOCDataset',
    'JitterColor',
    'JitterHSV',
    'LabelFileError',
    'LimitLongSide',
    'LoadAffinityLabel',
    'LoadAffinityScores',
    'LoadImageChecked',
    'LoadMaskChecked',
    'MaskError',
    'NumberedDefaultSampler',
    'NumberedInfiniteSampler',
    'PackWeakInputs',
    'PseudoMaskDataset',
    'RandomScaleImage',
    'ResizeLongSide',
    'ScaleImage',
    'SolarizeImage',
    'ZoomIntoPart',
    'image_id',
    'make_emblems',
    'read_image_labels',
    'read_mask',
    'voc_palette',
]
