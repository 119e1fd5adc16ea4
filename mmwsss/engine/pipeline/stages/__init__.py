"""The stages of a pipeline, each in ``STAGES`` by its name."""

from .draw_emblems import DrawEmblems
from .file_stage import FileStage
from .make_affinity_labels import MakeAffinityLabels
from .make_cams import MakeCAMs
from .make_pseudo_masks import MakePseudoMasks
from .make_walks import MakeWalks
from .model_stage import ModelStage
from .refine_maps import RefineMaps
from .test import Test
from .train import Train

__all__ = [
    'DrawEmblems',
    'FileStage',
    'MakeAffinityLabels',
    'MakeCAMs',
    'MakePseudoMasks',
    'MakeWalks',
    'ModelStage',
    'RefineMaps',
    'Test',
    'Train',
]
