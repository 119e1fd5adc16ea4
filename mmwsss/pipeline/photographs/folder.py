"""A folder of tagged photographs, checked before anything is trained on it."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from mmwsss.cli.mask_tools import work_through
from mmwsss.datasets import ImageEntry, ImageLabels, LabelFileError
from mmwsss.datasets.check import (
    ERRORS,
    Finding,
    ImageReport,
    check_dataset,
    check_image,
    check_mask_values,
    error_finding,
)
from mmwsss.datasets.class_names import class_names
from mmwsss.datasets.folder_files import list_folder
from mmwsss.datasets.image_labels import collect_labels, read_tag_names, source_format
from mmwsss.datasets.image_names import IMAGE_SUFFIXES
from mmwsss.datasets.masks import MAX_CLASSES
from mmwsss.errors import UsageError
from mmwsss.utils import atomic_write, short_list

SHOWN = 3
# what the findings of a kind are, and what to do about them
ADVICE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        'unknown class': ('Tags of no class', 'correct them, or add the classes to --classes'),
        'duplicate entry': ('Names that are taken twice', 'keep or rename one of each'),
        'wrong entry': ('Entries that cannot be read', 'correct them'),
        'image without entry': (
            'Photographs without entry',
            'add them to the tags, with an empty label where they show none of the classes, or '
            'move them to another folder',
        ),
        'entry without image': (
            'Entries without photograph',
            'add the photographs, or take the entries out',
        ),
        'image of a kind that is not read': (
            'Photographs of a kind that is not read',
            'convert them to JPEG or PNG, or take the entries out',
        ),
        'missing image': ('Photographs that are gone', 'start again'),
        'unreadable image': (
            'Photographs that cannot be read',
            'fetch or convert the files, or take them out of the folder and of the tags',
        ),
        'unreadable mask': ('Masks that cannot be read', 'correct or remove them'),
        'mask of another size': (
            'Masks of another size than the photograph',
            'make masks of the size of the upright photograph, or remove them',
        ),
        'mask with values outside the classes': (
            'Masks with values that are no class',
            'correct them, or name all classes with --classes',
        ),
        'masks without class': (
            'The masks cannot be used',
            'correct them, or leave --masks out',
        ),
        'mask without a pixel that counts': (
            'Masks that hold nothing but 255 (ignored)',
            'their photographs are not evaluated',
        ),
        'class on nearly every image': (
            'Classes on nearly every photograph',
            'what is everywhere cannot be told from the background: add photographs without them, '
            'with the other tags they have, or none',
        ),
        'classes that occur together': (
            'Classes that hardly ever occur without each other',
            'nothing says which is which: add photographs of one without the other, or make them '
            'one class',
        ),
        'class with few images': (
            'Classes with fewer than 20 photographs',
            'they come out worst as a rule: add photographs of them',
        ),
        'no image without tags': (
            'Photographs without any of the classes are missing',
            'some with an empty label show what is around objects and belongs to no class',
        ),
        'mask without image': ('Masks without photograph', 'they are not used'),
        'image without tags': ('Photographs without tags', 'they count as showing no class'),
        'class without images': ('Classes without photographs', 'they cannot be learned'),
        'tags unlike the mask': (
            'Photographs whose tags differ from the mask',
            'correct the tags, or name the classes with --classes in the order of the values in '
            'the masks',
        ),
    }
)


@dataclass(frozen=True)
class OwnFolder:
    """A folder of tagged photographs without errors.

    Args:
        images: The folder.
        labels: The source of the tags.
        classes: Names, background first.
        entries: Photographs, and the masks of those that have one.
        notes: Sentences that are worth knowing.
        tags: Of the photographs, by their names.
    """

    images: str
    labels: str
    classes: tuple[str, ...]
    entries: Sequence[ImageEntry]
    notes: Sequence[str]
    tags: ImageLabels


def _inside(path: str, folder: str) -> bool:
    return Path(path).resolve().is_relative_to(Path(folder).resolve())


def _check_paths(images: str, labels: str, masks: str | None, work_dir: str) -> None:
    """Refuse folders that are missing, or lie where their files would be taken for photographs."""
    for option, path in (('--images', images), ('--masks', masks)):
        if path is not None and not os.path.isdir(path):
            raise UsageError(f'{option} {path}: there is no such folder; check the path.')
    if not os.path.exists(labels):
        raise UsageError(
            f'--labels {labels}: there is no such file; give a CSV file with the columns image and '
            'labels, or JSON {"image": ["class"]}.'
        )
    for option, path in (('--work-dir', work_dir), ('--masks', masks)):
        if path is not None and _inside(path, images):
            raise UsageError(
                f'{option} {path} lies in --images {images}, so its pictures would count as '
                'photographs: name a folder beside it.'
            )


def list_photographs(images: str, masks: str | None = None) -> list[ImageEntry]:
    """Return the photographs of a folder, with the masks of those that have one.

    Args:
        images: The folder; subfolders count.
        masks: Folder of ``{image}.png``, in the same subfolders or in none.

    Raises:
        UsageError: there is no photograph, or masks are wanted and there is none.
    """
    entries = []
    files = list_folder(images)
    true = None if masks is None else list_folder(masks, ('.png',))
    found = {} if true is None else true.of(files.images)
    for path, name in files.images.of.items():
        entries.append(ImageEntry(os.path.join(images, path), found.get(name), name=name))
    if not entries:
        raise UsageError(
            f'--images {images} holds no photograph: give a folder with files that end with '
            f'{", ".join(IMAGE_SUFFIXES)}.{files.hint("photographs")}'
        )
    if true is not None and not any(entry.seg_map_path for entry in entries):
        raise UsageError(
            f'--masks {masks} holds no mask of a photograph of {images}: name the masks after the '
            f'photographs, rex.png for rex.jpg, or leave --masks out.{true.hint("masks")}'
        )
    return entries


def find_classes(
    labels: str, entries: Sequence[ImageEntry], words: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the classes, background first: those that are named, or all that the tags name.

    Args:
        labels: Source of the tags.
        entries: The photographs.
        words: What :func:`~mmwsss.datasets.class_names.class_names` takes, or None.

    Raises:
        UsageError: there are none, or too many.
    """
    try:
        if words:
            classes = class_names(words)
        else:
            names = read_tag_names(labels, [entry.img_path for entry in entries])
            classes = ('background', *names)
    except LabelFileError as error:
        raise UsageError(str(error)) from error
    if len(classes) > MAX_CLASSES:
        raise UsageError(
            f'{labels} names {len(classes) - 1} classes where {MAX_CLASSES - 1} fit into a mask: '
            'choose some with --classes and take the other tags out.'
        )
    return classes


def _stamp(entries: Iterable[ImageEntry], num_classes: int) -> str:
    """Return a number that changes when a file does, without reading any."""
    hashed = hashlib.sha256(str(num_classes).encode())
    for entry in entries:
        for path in filter(None, (entry.img_path, entry.seg_map_path)):
            stat = os.stat(path)
            hashed.update(os.fsencode(f'{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n'))
    return hashed.hexdigest()


def _read_files(
    entries: Sequence[ImageEntry], num_classes: int, record: Path, workers: int
) -> list[ImageReport]:
    """Read all files, unless they were read before and nothing was wrong with them."""
    stamp = _stamp(entries, num_classes)
    if record.is_file() and record.read_text() == stamp:
        return [ImageReport([], None)] * len(entries)
    function = partial(check_image, num_classes=num_classes)
    reports = list(work_through(function, entries, workers=workers, description='photographs'))
    if not any(report.findings for report in reports) and not check_mask_values(reports):
        with atomic_write(record, 'w') as file:
            file.write(stamp)
    return reports


def sentences(findings: Iterable[Finding]) -> dict[str, str]:
    """Return one sentence for each kind of findings.

    Args:
        findings: Of the check.

    Example:
        >>> sentences([Finding('mask without image', name) for name in 'abcd'])
        {'mask without image': 'Masks without photograph: 4 (a, b, c ...); they are not used.'}
    """
    groups = defaultdict(list)
    for finding in findings:
        groups[finding.kind].append(finding.text)
    return {
        kind: f'{ADVICE[kind][0]}: {len(texts)} ({short_list(texts, SHOWN)}); {ADVICE[kind][1]}.'
        for kind, texts in groups.items()
    }


def _counts(classes: Sequence[str], entries: Sequence[ImageEntry], tags: ImageLabels) -> str:
    """Return how many photographs there are, of each class, and with masks."""
    found = Counter(k for entry in entries for k in tags.get(entry.image_id, ()))
    each = ', '.join(f'{name} {found[k]}' for k, name in enumerate(classes[1:]))
    masks = sum(entry.seg_map_path is not None for entry in entries)
    evaluated = f'; {masks} have a mask and are evaluated' if masks else ''
    return f'{len(entries)} photographs, tagged {each}{evaluated}.'


def check_folder(
    images: str,
    labels: str,
    *,
    masks: str | None,
    classes: Sequence[str] | None,
    work_dir: str,
    workers: int,
    say: Callable[[str], None] = print,
) -> OwnFolder:
    """Read a folder of tagged photographs once and refuse what is wrong with it.

    Args:
        images: Folder of the photographs, subfolders too.
        labels: Tags: what :func:`~mmwsss.datasets.read_image_labels` reads.
        masks: Folder of true masks of some or all of them, for evaluation.
        classes: Names of the classes; None takes those that the tags name.
        work_dir: Folder of the pipeline, where it is noted that the files are readable.
        workers: Number of processes.
        say: Gets each note.

    Raises:
        UsageError: one sentence for each kind of error.
    """
    _check_paths(images, labels, masks, work_dir)
    entries = list_photographs(images, masks)
    found = find_classes(labels, entries, classes)
    tags, problems = collect_labels(labels, found, [entry.img_path for entry in entries])
    if unusable := [problem for problem in problems if problem.kind == LabelFileError.kind]:
        raise UsageError(str(unusable[0]))
    if len(found) < 2:
        raise UsageError(f'{labels} names no class: tag what the photographs show.')
    record = Path(work_dir, 'configs', 'readable.txt')
    read = partial(_read_files, num_classes=len(found), record=record, workers=workers)
    present = {entry.image_id for entry in entries}
    files = list_folder(images)
    report = check_dataset(entries, found, labels=tags, present=present, files=files, read=read)
    findings = [*map(error_finding, problems), *report.findings]
    unused = [files.note('photographs')]
    if masks is not None:
        files = list_folder(masks, ('.png',))
        used = {entry.seg_map_path for entry in entries}
        others = [name for name in files.names if os.path.join(masks, name) not in used]
        findings += [Finding('mask without image', name) for name in others]
        unused.append(files.note('masks'))
    texts = sentences(findings)
    wrong = [text for kind, text in texts.items() if kind in ERRORS]
    if wrong:
        raise UsageError('\n'.join([*wrong, *filter(None, unused)]))
    kind = f'Tags: {labels}, {source_format(labels)}.'
    notes = [kind, _counts(found, entries, tags), *texts.values(), *filter(None, unused)]
    for note in notes:
        say(note)
    return OwnFolder(images, labels, found, entries, notes, tags)
