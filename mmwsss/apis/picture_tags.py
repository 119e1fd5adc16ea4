"""Image-level labels of the pictures that are to be segmented."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mmwsss.datasets import ImageLabels, read_image_labels
from mmwsss.datasets.image_names import ImageNames
from mmwsss.datasets.label_readers.common import LabelEntry, LabelTable
from mmwsss.engine.launch import UsageError
from mmwsss.utils import short_list

from .pictures import Pictures


class EveryPicture(tuple[str, ...]):
    """Names of the classes that every picture shows, as tags."""


Tags = EveryPicture | str | os.PathLike[str] | Mapping[str, Sequence[str]] | Sequence[Sequence[str]]


def _entry(image: str, value: Any, where: str) -> LabelEntry:
    if isinstance(value, str) or not all(isinstance(name, str) for name in value):
        raise UsageError(
            f'tags, {where}: received {value!r} where a list of class names is expected: write '
            "['dog']."
        )
    return LabelEntry(image, dict.fromkeys(value, f'tags, {where}'), where)


def _of_mapping(
    tags: Mapping[str, Sequence[str]], classes: Sequence[str], images: Sequence[str]
) -> ImageLabels:
    table = LabelTable('tags', classes, images)
    for key, value in tags.items():
        table.add(_entry(key, value, f'entry {key!r}'))
    return table.labels


def _of_row(
    tags: Sequence[Sequence[str]], classes: Sequence[str], pictures: Pictures
) -> list[tuple[int, ...]]:
    if len(tags) != len(pictures.sources):
        raise UsageError(
            f'tags has {len(tags)} entries for {len(pictures.sources)} pictures: give one list of '
            'class names for each picture or video, in their order.'
        )
    table = LabelTable('tags', classes)
    entries = [_entry('', value, f'entry {number}') for number, value in enumerate(tags)]
    return [table.indices(entry.classes) for entry in entries]


def _paths(pictures: Pictures) -> list[str]:
    paths = [source.tag_name for source in pictures.sources]
    if None in paths:
        raise UsageError(
            'tags by name need files, and an array has no name: give a list with the class names '
            'of each picture.'
        )
    return [str(path) for path in paths]


def _of_names(labels: ImageLabels, pictures: Pictures) -> list[tuple[int, ...]]:
    paths = _paths(pictures)
    names = ImageNames(paths).of
    if missing := [path for path in paths if names[path] not in labels]:
        raise UsageError(
            f'tags has no entry for {len(missing)} of {len(paths)} pictures '
            f'({short_list(names[path] for path in missing)}): add them, without class where they '
            'show none, or leave tags out.'
        )
    return [labels[names[path]] for path in paths]


def add_tags(pictures: Pictures, tags: Tags, classes: Sequence[str]) -> Pictures:
    """Return the same pictures with tags.

    Args:
        pictures: The pictures.
        tags: A source that :func:`~mmwsss.datasets.read_image_labels` reads; a dict from the name
            of a file to class names, a video's name for all of its frames; a list with the
            class names of each picture or video, in their order; or :class:`EveryPicture`.
        classes: Names of the classes, background first.

    Raises:
        LabelFileError: the source cannot be read, or names another class.
        ImageNameError: it is not clear which picture an entry means.
        UsageError: a picture has no tags.
    """
    if isinstance(tags, EveryPicture):
        return pictures.tagged(_of_row([tags] * len(pictures.sources), classes, pictures))
    if isinstance(tags, (str, os.PathLike)):
        labels = read_image_labels(tags, classes, images=_paths(pictures))
        return pictures.tagged(_of_names(labels, pictures))
    if isinstance(tags, Mapping):
        labels = _of_mapping(tags, classes, _paths(pictures))
        return pictures.tagged(_of_names(labels, pictures))
    return pictures.tagged(_of_row(tags, classes, pictures))


def use_tags(network: Any, tagged: bool) -> None:
    """Let those classes compete that a picture is tagged with, or those that the model predicts.

    Args:
        network: Segmentor, its ``test_cfg`` is changed.
        tagged: Whether the pictures have tags.

    Raises:
        UsageError: they have, and the segmentor has no use for them; or it needs them.
    """
    test_cfg = getattr(network, 'test_cfg', None) or {}
    if 'use_image_labels' in test_cfg and test_cfg.get('output') != 'seg':
        test_cfg['use_image_labels'] = tagged
        semantics = getattr(network, 'class_semantics', None)
        if not tagged and semantics is not None and not semantics.any():
            raise UsageError(
                f'These weights of {type(network).__name__} tell no classes apart by themselves: '
                'give --tags (tags=... in Python), or weights that were trained here.'
            )
    elif tagged:
        raise UsageError(
            f'The {type(network).__name__} segments without tags, which only class activation maps '
            'need: leave tags out.'
        )
