"""All that is wrong with a data set, found in one pass over its files."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from prettytable import PrettyTable

from mmwsss.utils import FileProblemError, shown

from .decoding import turned_note
from .folder_files import FolderFiles
from .image_labels import ImageLabels
from .image_level_dataset import ImageEntry
from .masks import IGNORE_INDEX, MaskError, read_mask
from .tag_statistics import tag_statistics
from .transforms import ImageFileError, LoadImageChecked

# headings in the order of the report
ERRORS = (
    'unusable data set',
    'unusable label source',
    'unknown class',
    'duplicate entry',
    'wrong entry',
    'image without entry',
    'entry without image',
    'image of a kind that is not read',
    'missing image',
    'unreadable image',
    'missing mask',
    'unreadable mask',
    'mask of another size',
    'mask with values outside the classes',
    'masks without class',
)
NOTES = (
    'image without tags',
    'class without images',
    'class on nearly every image',
    'classes that occur together',
    'class with few images',
    'no image without tags',
    'mask without a pixel that counts',
    'tags unlike the mask',
    'file that is not used',
)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    Args:
        kind: Heading that it belongs under.
        text: What it is; names the file and the entry.
        advice: What to do about it, where it is not the same for all of its kind.
    """

    kind: str
    text: str
    advice: str = ''

    def __str__(self) -> str:
        return f'{self.text}: {self.advice}' if self.advice else self.text


def error_finding(error: FileProblemError, kind: str = '') -> Finding:
    """Return the finding for an error.

    Args:
        error: Of a reader.
        kind: Heading; default: the error's.
    """
    # the list of all classes once an entry would hide what differs
    advice = '' if error.details else error.advice
    return Finding(kind or error.kind, error.problem, advice)


class ImageReport(NamedTuple):
    """What the files of one image hold."""

    findings: list[Finding]
    mask_indices: tuple[int, ...] | None  # foreground classes of the mask, where it is readable
    has_ignored: bool = False  # whether the mask holds 255


@dataclass
class DatasetReport:
    """What a data set holds and what is wrong with it.

    Args:
        classes: Class names, background first.
        num_images: Number of images.
        findings: What is wrong, or worth knowing.
        tagged: Images tagged with each foreground class, where there are tags.
        masked: Images whose mask shows each foreground class, where there are masks.
    """

    classes: Sequence[str]
    num_images: int = 0
    findings: list[Finding] = field(default_factory=list)
    tagged: Counter[int] | None = None
    masked: Counter[int] | None = None

    @property
    def num_errors(self) -> int:
        """Number of findings that are errors."""
        return sum(finding.kind in ERRORS for finding in self.findings)


def check_image(entry: ImageEntry, num_classes: int) -> ImageReport:
    """Read the image and, where there is one, the mask as training and evaluation do.

    Args:
        entry: Paths of the files.
        num_classes: Classes with background.

    Returns:
        The findings, and the foreground classes of the mask.
    """
    findings = []
    shape = None
    try:
        shape = LoadImageChecked()({'img_path': entry.img_path})['ori_shape']
    except FileNotFoundError:
        findings.append(Finding('missing image', f'{entry.img_path} {_place(entry)}'.strip()))
    except ImageFileError as error:
        findings.append(error_finding(error, 'unreadable image'))
    if entry.seg_map_path is None:
        return ImageReport(findings, None)
    path = entry.seg_map_path
    if not os.path.exists(path):
        return ImageReport([*findings, Finding('missing mask', path)], None)
    try:
        mask, values = read_mask(path, None)
    except MaskError as error:
        return ImageReport([*findings, error_finding(error, 'unreadable mask')], None)
    if shape not in (None, mask.shape):
        height, width = shape
        text = f'{path} is {mask.shape[1]} x {mask.shape[0]}, its image {width} x {height}'
        text += turned_note(shape, mask.shape)
        findings.append(Finding('mask of another size', text))
    foreign = [value for value in values if value >= num_classes and value != IGNORE_INDEX]
    if foreign:
        text = f'{path} holds {foreign} beside 0 to {num_classes - 1} and {IGNORE_INDEX}'
        findings.append(Finding('mask with values outside the classes', text))
    if values == [IGNORE_INDEX]:
        text = f'{path} holds nothing but {IGNORE_INDEX}, which means ignored'
        findings.append(Finding('mask without a pixel that counts', text))
    indices = tuple(value - 1 for value in values if 0 < value < min(num_classes, IGNORE_INDEX))
    return ImageReport(findings, indices, IGNORE_INDEX in values)


def check_mask_values(reports: Iterable[ImageReport]) -> list[Finding]:
    """Find masks that all show no class, while 255 is in some: they were written as 0 and 255.

    Args:
        reports: Of all images.

    Returns:
        One finding at most.
    """
    masked = [report for report in reports if report.mask_indices is not None]
    ignored = sum(report.has_ignored for report in masked)
    if not ignored or any(report.mask_indices for report in masked):
        return []
    text = (
        f'none of {len(masked)} masks shows a class, and {ignored} hold {IGNORE_INDEX}, which '
        f'means ignored: where {IGNORE_INDEX} marks a class, write its number in its place (1 for '
        'the first class)'
    )
    return [Finding('masks without class', text)]


def _place(entry: ImageEntry) -> str:
    return f'({entry.where})' if entry.where else ''


def check_entries(entries: Iterable[ImageEntry]) -> list[Finding]:
    """Find images that have the same name, under which their results would be stored.

    Args:
        entries: Images of the data set.

    Returns:
        One finding for each image but the first of a name.
    """
    first: dict[str, ImageEntry] = {}
    findings = []
    for entry in entries:
        other = first.setdefault(entry.image_id, entry)
        if other is not entry:
            places = f' ({other.where} and {entry.where})' if entry.where else ''
            paths = f'{shown(other.img_path)} and {shown(entry.img_path)}'
            text = f'{shown(entry.image_id)}: {paths}{places}'
            findings.append(Finding('duplicate entry', text))
    return findings


def check_tags(
    entries: Iterable[ImageEntry],
    labels: ImageLabels,
    present: Iterable[str] | None = None,
    files: FolderFiles | None = None,
) -> list[Finding]:
    """Find images without entry or tags, and entries without image.

    Args:
        entries: Images of the data set.
        labels: The labels.
        present: Ids of all images that there are, more than those of the data set where it is
            a split; None: entries are not looked up.
        files: Of the folder of the images, to tell those that are not read.

    Returns:
        The findings.
    """
    names = list(dict.fromkeys(entry.image_id for entry in entries))
    findings = [Finding('image without entry', name) for name in names if name not in labels]
    findings += [
        Finding('image without tags', name) for name in names if name in labels and not labels[name]
    ]
    if present is not None:
        known = {*names, *present}
        for name in (name for name in labels if name not in known):
            path = files.unused(name) if files else None
            kind = 'entry without image' if path is None else 'image of a kind that is not read'
            findings.append(Finding(kind, shown(path or name)))
    return findings


def compare_masks(
    entries: Sequence[ImageEntry],
    reports: Sequence[ImageReport],
    labels: ImageLabels,
    classes: Sequence[str],
) -> list[Finding]:
    """Find images whose tags name other classes than their masks show.

    Args:
        entries: Images of the data set.
        reports: What their files hold, in the same order.
        labels: The labels.
        classes: Class names, background first.

    Returns:
        One finding an image.
    """
    findings = []
    for entry, report in zip(entries, reports, strict=True):
        tags = labels.get(entry.image_id)
        if tags is None or report.mask_indices is None:
            continue
        parts = []
        for words, indices in (
            ('tagged only', set(tags) - set(report.mask_indices)),
            ('in the mask only', set(report.mask_indices) - set(tags)),
        ):
            if indices:
                parts.append(f'{", ".join(classes[k + 1] for k in sorted(indices))} {words}')
        if parts:
            findings.append(
                Finding('tags unlike the mask', f'{entry.image_id}: {"; ".join(parts)}')
            )
    return findings


def check_dataset(
    entries: Sequence[ImageEntry],
    classes: Sequence[str],
    *,
    labels: ImageLabels | None = None,
    present: Iterable[str] | None = None,
    files: FolderFiles | None = None,
    read: Callable[[Sequence[ImageEntry]], Iterable[ImageReport]] | None = None,
) -> DatasetReport:
    """Check the images of a data set, their masks and their labels.

    Args:
        entries: Images of the data set.
        classes: Class names, background first.
        labels: The labels; None: there are none to check.
        present: As in :func:`check_tags`.
        files: As in :func:`check_tags`.
        read: Gives the report of each image; default: :func:`check_image`, one after another.

    Returns:
        The counts and the findings.
    """
    if read is None:
        reports = [check_image(entry, len(classes)) for entry in entries]
    else:
        reports = list(read(entries))
    report = DatasetReport(classes, len(entries), check_entries(entries))
    for image_report in reports:
        report.findings += image_report.findings
    if any(image_report.mask_indices is not None for image_report in reports):
        report.masked = Counter(k for item in reports for k in item.mask_indices or ())
    report.findings += check_mask_values(reports)
    if labels is not None:
        report.findings += check_tags(entries, labels, present, files)
        report.findings += compare_masks(entries, reports, labels, classes)
        names = {entry.image_id for entry in entries}
        report.findings += [
            Finding(kind, text)
            for kind, texts in tag_statistics(sorted(names), labels, classes).items()
            for text in texts
        ]
        report.tagged = Counter(k for name in names for k in labels.get(name, ()))
        for k, name in enumerate(classes[1:]):
            if not report.tagged[k]:
                report.findings.append(Finding('class without images', name))
    return report


def _class_table(report: DatasetReport) -> str:
    """Return the number of images of each class as a table."""
    columns = {'tagged': report.tagged, 'in the mask': report.masked}
    table = PrettyTable(
        ['class', *(name for name, counts in columns.items() if counts is not None)]
    )
    table.align = 'r'
    table.align['class'] = 'l'
    for k, name in enumerate(report.classes[1:]):
        table.add_row([name, *(c[k] for c in columns.values() if c is not None)])
    return table.get_string()


def format_report(report: DatasetReport, *, limit: int = 5) -> str:
    """Return a report as text: classes, findings by kind, errors first, and a last line.

    Args:
        report: The report.
        limit: How many findings of a kind are written out.
    """
    parts = []
    if report.tagged is not None or report.masked is not None:
        parts.append(_class_table(report))
    groups = defaultdict(list)
    for finding in report.findings:
        groups[finding.kind].append(str(finding))
    for kind in (*ERRORS, *NOTES):
        texts = groups[kind]
        if not texts:
            continue
        mark = 'ERROR' if kind in ERRORS else 'note'
        lines = [f'{mark}: {kind} ({len(texts)})', *(f'  {text}' for text in texts[:limit])]
        if len(texts) > limit:
            lines.append(f'  ... and {len(texts) - limit} more')
        parts.append('\n'.join(lines))
    notes = len(report.findings) - report.num_errors
    parts.append(f'images: {report.num_images}, errors: {report.num_errors}, notes: {notes}')
    return '\n\n'.join(parts)
