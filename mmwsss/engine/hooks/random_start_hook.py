"""Hook that says, first and last, that a training did not begin with the weights of its config."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

NOTE = 'random_start'


@HOOKS.register_module()
class RandomStartHook(Hook):
    """Warn that weights were missing, at the start of a training and at the end of its log.

    Checkpoints keep the warnings, so that a training that goes on from one repeats them.
    ``tools/train.py`` adds this hook.

    Args:
        sentences: What was missing; nothing is said where nothing was.
    """

    priority = 'LOWEST'  # behind the last line of the others

    def __init__(self, sentences: Sequence[str] = ()) -> None:
        self.sentences = list(sentences)

    def _warn(self, runner: Runner, head: str = '') -> None:
        for sentence in self.sentences:
            runner.logger.log(logging.WARNING, f'{head}{sentence}')

    def before_train(self, runner: Runner) -> None:
        """Warn.

        Args:
            runner: The runner.
        """
        self._warn(runner)

    def after_train(self, runner: Runner) -> None:
        """Warn again.

        Args:
            runner: The runner.
        """
        # the logger says the same warning only once
        self._warn(runner, 'This training began without its weights. ')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the warnings.

        Args:
            runner: Not used.
            checkpoint: What is saved.
        """
        if self.sentences:
            checkpoint['meta'][NOTE] = self.sentences

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take the warnings of the training that goes on.

        Args:
            runner: The runner.
            checkpoint: What was loaded.
        """
        if runner._resume:
            self.sentences = list(checkpoint.get('meta', {}).get(NOTE, []))
