"""Hooks, registered in MMSegmentation's registry."""

from .exact_resume_hook import ExactResumeHook
from .freeze_hook import FreezeHook
from .paint_hook import PaintHook
from .random_start_hook import RandomStartHook

__all__ = ['ExactResumeHook', 'FreezeHook', 'PaintHook', 'RandomStartHook']
