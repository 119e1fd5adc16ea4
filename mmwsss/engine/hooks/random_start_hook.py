"""Hook that warns if a training did not start from the pretrained weights of its config."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

NOTE = 'random_start'


@HOOKS.register_module()
class RandomStartHook(Hook):
    """Warn about missing pretrained weights at the start and at the end of a training.

    Checkpoints store the warnings, so resumed trainings repeat them. ``tools/train.py`` adds this
    hook.

    Args:
        sentences: Warnings about missing weights; without any the hook does nothing.
    """

    priority = 'LOWEST'  # after the last log line of other hooks

    def __init__(self, sentences: Sequence[str] = ()) -> None:
        self.sentences = list(sentences)

    def _warn(self, runner: Runner, head: str = '') -> None:
        for sentence in self.sentences:
            runner.logger.log(logging.WARNING, f'{head}{sentence}')

    def before_train(self, runner: Runner) -> None:
        """Log the warnings."""
        self._warn(runner)

    def after_train(self, runner: Runner) -> None:
        """Log the warnings again."""
        # the logger suppresses repeated warnings, so add a prefix
        self._warn(runner, 'This training began without its weights. ')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Store the warnings in the checkpoint."""
        if self.sentences:
            checkpoint['meta'][NOTE] = self.sentences

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Restore the warnings of a resumed training."""
        if runner._resume:
            self.sentences = list(checkpoint.get('meta', {}).get(NOTE, []))
