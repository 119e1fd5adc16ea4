"""Hooks, registered in MMSegmentation's registry."""

from .exact_resume_hook import ExactResumeHook
from .freeze_hook import FreezeHook

__all__ = ['ExactResumeHook', 'FreezeHook']
