"""Visualisation of maps, masks, curves and pipelines."""

from .figures import picture_grid, plot_threshold_curves, save_figure
from .overlay import draw_cam, draw_mask

__all__ = ['draw_cam', 'draw_mask', 'picture_grid', 'plot_threshold_curves', 'save_figure']
