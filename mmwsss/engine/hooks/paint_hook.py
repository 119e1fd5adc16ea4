"""Painting of predictions that is silent until it is asked for."""

from __future__ import annotations

import warnings
from typing import Any

from mmseg.engine.hooks import SegVisualizationHook
from mmseg.registry import HOOKS


@HOOKS.register_module()
class PaintHook(SegVisualizationHook):
    """MMSegmentation's hook for ``--show`` and ``--show-dir``, of every image.

    MMSegmentation warns at each start that its own hook, which its test tool needs in
    ``default_hooks``, paints nothing; and up to version 1.2 it paints every 50th image alone.

    Args:
        draw: Whether to paint; test tools set it.
        interval: Paint every n-th image.
        **kwargs: Arguments of ``SegVisualizationHook``.
    """

    def __init__(self, draw: bool = False, interval: int = 1, **kwargs: Any) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', 'The (draw|show) is ', UserWarning)
            super().__init__(draw, interval, **kwargs)
