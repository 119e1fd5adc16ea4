"""The pipeline for a folder of one's own photographs, made of one for a known data set."""

from .pipeline import apply_command, final_model, own_pipeline, own_work_dir, read_template

__all__ = ['apply_command', 'final_model', 'own_pipeline', 'own_work_dir', 'read_template']
