"""Visualisation hook without MMSegmentation's warning."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

from mmseg.engine.hooks import SegVisualizationHook
from mmseg.registry import HOOKS


@HOOKS.register_module()
class PaintHook(SegVisualizationHook):
    """MMSegmentation's hook for ``--show`` and ``--show-dir``, for every image.

    MMSegmentation's test tool needs the hook in ``default_hooks``, but the original warns at every
    start that it draws nothing, and up to version 1.2 draws only every 50th image. Takes the
    arguments of ``SegVisualizationHook``.
    """

    def __init__(self, draw: bool = False, interval: int = 1, **kwargs: Any) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', 'The (draw|show) is ', UserWarning)
            super().__init__(draw, interval, **kwargs)

    def _after_iter(self, runner: Any, *args: Any, mode: str = 'train', **kwargs: Any) -> None:
        # MMSegmentation 1.2 asks for the iteration, for which MMEngine builds the training data
        runner = SimpleNamespace(iter=0) if mode == 'test' else runner
        super()._after_iter(runner, *args, mode=mode, **kwargs)
