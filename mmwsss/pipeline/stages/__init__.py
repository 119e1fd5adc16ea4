"""The stages of a pipeline, each in ``STAGES`` by its name."""

from .files import DrawEmblems, FileStage, MakeAffinityLabels, MakePseudoMasks, RefineMaps
from .models import MakeCAMs, MakeWalks, ModelStage, Test
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
