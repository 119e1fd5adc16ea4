"""Threshold curves as CSV files."""

from __future__ import annotations

import csv
import os

import numpy as np

from mmwsss.evaluation.cam_curve import CAMCurve
from mmwsss.utils import atomic_write, check_regular

COLUMNS = ('threshold', 'mIoU', 'm_FP', 'm_FN', 'classes_found')


def write_curve(path: str | os.PathLike[str], curve: CAMCurve) -> None:
    """Write a CSV file with one row per threshold: mIoU (per cent), m_FP, m_FN, classes found."""
    rows = zip(
        curve.thresholds, curve.miou * 100, curve.m_fp, curve.m_fn, curve.num_found, strict=True
    )
    with atomic_write(path, 'w') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow([f'{value:.10g}' for value in row])


def read_curve(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read a file of :func:`write_curve`.

    Returns:
        The columns by name, ``(T,)`` float64 each.

    Raises:
        ValueError: the file has other columns.
    """
    check_regular(path)
    with open(path, encoding='utf-8', newline='') as file:
        header, *rows = list(csv.reader(file)) or [[]]
    try:
        if tuple(header) != COLUMNS:
            raise ValueError
        values = np.array([[float(value) for value in row] for row in rows])
        values = values.reshape(len(rows), len(COLUMNS))
    except ValueError:
        raise ValueError(
            f'{path} is not a threshold curve: it must have the columns {",".join(COLUMNS)} '
            'and a number in each.'
        ) from None
    return dict(zip(COLUMNS, values.T, strict=True))
