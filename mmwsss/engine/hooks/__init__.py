"""Hooks, registered in MMSegmentation's registry."""

from .exact_resume_hook import ExactResumeHook

__all__ = ['ExactResumeHook']
