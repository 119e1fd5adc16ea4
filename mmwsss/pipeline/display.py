"""What a pipeline says while it runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mmwsss.utils.progress import progress_bar

INTERVAL = 30.0  # seconds between two lines where there is no terminal
MARGIN = ' ' * 8


def clock(seconds: float) -> str:
    """Return a duration as minutes and seconds, with hours where there are any.

    Args:
        seconds: The duration.

    Example:
        >>> clock(62.4), clock(3723)
        ('1:02', '1:02:03')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02}:{rest:02}' if hours else f'{minutes}:{rest:02}'


def number(value: float | None, digits: int = 2) -> str:
    """Return a figure as text, a dash where there is none.

    Args:
        value: The figure.
        digits: Behind the point.
    """
    return '-' if value is None else f'{value:.{digits}f}'


def figures_text(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the figures of a stage in one line.

    Args:
        figures: By split, from ``evaluate_masks`` or ``evaluate_maps``.

    Example:
        >>> figures_text(dict(val=dict(mIoU=53.917, m_FP=0.408, m_FN=None, threshold=0.04)))
        'val 53.92 % mIoU at background score 0.04, m_FP 0.41, m_FN -'
    """
    texts = []
    for split, found in figures.items():
        at = f' at background score {found["threshold"]:g}' if 'threshold' in found else ''
        rest = ', '.join(f'{key} {number(found[key])}' for key in ('m_FP', 'm_FN'))
        note = f' ({found["note"]})' if found.get('note') else ''
        texts.append(f'{split} {number(found["mIoU"])} % mIoU{at}, {rest}{note}')
    return '; '.join(texts)


def say(text: str) -> None:
    """Print a line at once.

    Args:
        text: The line.
    """
    print(text, flush=True)


class Meter:
    """How far a stage has come: a bar on a terminal, else a line now and then.

    Args:
        measure: Returns how much is done.
        total: How much there is, None where that is not known.
        unit: Of both.
    """

    def __init__(self, measure: Callable[[], int], total: int | None, unit: str) -> None:
        self.measure, self.total, self.unit = measure, total, unit
        self.begin = self.said = time.monotonic()
        self.first = measure()
        self.next = 0.0
        self.bar: Callable[[int], None] | None = None

    @contextmanager
    def shown(self) -> Iterator[Callable[[], None]]:
        """Show the bar where there is a terminal; the result is to be called now and then."""
        if not sys.stderr.isatty():
            yield self.look
            return
        with progress_bar() as progress:
            task = progress.add_task(MARGIN + self.unit, total=self.total, completed=self.first)
            self.bar = lambda done: progress.update(task, completed=done)
            yield self.look

    def look(self) -> None:
        """Measure and show, unless that was just done."""
        now = time.monotonic()
        if now < self.next:
            return
        if self.bar is not None:
            self.bar(self.measure())
        elif now - self.said >= INTERVAL:
            self.said = now
            say(self.text(self.measure(), now - self.begin))
        # a folder of 100,000 files takes a while to count
        self.next = now + max(1.0, 20 * (time.monotonic() - now))

    def text(self, done: int, seconds: float) -> str:
        """Return how far it has come in one line.

        Args:
            done: How much is done.
            seconds: Since it began.
        """
        of = '' if self.total is None else f' of {self.total:,}'
        left = ''
        if self.total is not None and self.first < done < self.total:
            rest = seconds * (self.total - done) / (done - self.first)
            left = f', about {clock(rest)} left'
        return f'{MARGIN}{done:,}{of} {self.unit} after {clock(seconds)}{left}'
