"""Pipelines: stages that lead from image-level labels to a segmentation model."""

from .pipeline import Pipeline, Split
from .runner import run_pipeline, show_plan
from .settings import read_pipeline
from .stage import STAGES, Command, Stage

__all__ = [
    'STAGES',
    'Command',
    'Pipeline',
    'Split',
    'Stage',
    'read_pipeline',
    'run_pipeline',
    'show_plan',
]
