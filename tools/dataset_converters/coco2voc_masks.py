"""Draw COCO instances as palette masks in the layout of PASCAL VOC, one PNG an image."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

from mmwsss.cli.broken_entries import add_skip_option, end_with
from mmwsss.cli.launch import run_tool
from mmwsss.datasets import LabelFileError, MaskError, image_id
from mmwsss.datasets.class_palettes import read_classes
from mmwsss.datasets.coco_masks import Instance, MaskTask, write_mask
from mmwsss.datasets.label_readers import fields_of, is_instances
from mmwsss.datasets.label_readers.common import parse_json
from mmwsss.errors import UsageError
from mmwsss.utils import remove_stale, short_list, user_sentence
from mmwsss.utils.progress import track


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description='Draw COCO instances as index masks: 0 background, 1 the first class. The '
        'smaller of two instances that overlap lies on top, crowd regions below all. A run that '
        'was stopped goes on where it was.'
    )
    parser.add_argument('src', help='instances file, .json')
    parser.add_argument('out_dir', help='folder of the masks')
    parser.add_argument(
        '--classes',
        nargs='+',
        default=['coco'],
        metavar='CLASS',
        help='coco, voc, a file with one name a line, or the names, found among the categories '
        'by name (default: coco)',
    )
    parser.add_argument(
        '--rename',
        nargs='+',
        default=[],
        metavar='CATEGORY=CLASS',
        help='categories whose class has another name, such as tv=tvmonitor',
    )
    parser.add_argument(
        '--skip-unknown', action='store_true', help='leave categories that are no class undrawn'
    )
    parser.add_argument(
        '--crowd',
        choices=['ignore', 'class'],
        default='ignore',
        help='what crowd regions become: 255, or their class (default: ignore)',
    )
    parser.add_argument('--overwrite', action='store_true', help='make masks again that are there')
    add_skip_option(parser, 'annotations')
    parser.add_argument(
        '--workers',
        type=int,
        default=min(os.cpu_count() or 1, 8),
        help='number of processes (default: one a core, at most 8)',
    )
    return parser


def sound_annotations(
    content: Mapping[str, Any], args: argparse.Namespace, broken: list[str]
) -> list[dict[str, Any]]:
    """Return the annotations that belong to an image and a category.

    Args:
        content: Of the file.
        args: The command line.
        broken: Gets what is wrong with those that are left out.

    Raises:
        LabelFileError: one does not, without ``--skip-broken``.
    """
    images = {image.get('id') for image in content['images']}
    sound = []
    for number, annotation in enumerate(content['annotations'], start=1):
        where = f'{args.src}, annotation {number}'
        try:
            key, _ = fields_of(annotation, ('image_id', 'category_id'), where)
            if key not in images:
                raise LabelFileError(
                    f'{where}: it belongs to the image {key!r}, which is not in the file: make '
                    'the file again.'
                )
            sound.append(annotation)
        except LabelFileError as error:
            if not args.skip_broken:
                raise
            broken.append(str(error))
    return sound


def category_values(
    content: Mapping[str, Any],
    annotations: Iterable[Mapping[str, Any]],
    args: argparse.Namespace,
) -> dict[Any, int]:
    """Return the value in the mask of every category that has one.

    Args:
        content: Of the file.
        annotations: Those of it that are used.
        args: The command line.

    Raises:
        LabelFileError: a category with annotations is no class.
        UsageError: ``--rename`` names something that is not there.
    """
    classes = read_classes(args.classes).classes
    values = {name: value for value, name in enumerate(classes)}
    names = dict(
        fields_of(category, ('id', 'name'), f'{args.src}, category {number}')
        for number, category in enumerate(content['categories'], start=1)
    )
    renamed = dict(pair.partition('=')[::2] for pair in args.rename)
    wrong = [f'{k}={v}' for k, v in renamed.items() if k not in names.values() or v not in values]
    if wrong:
        raise UsageError(
            f'--rename {" ".join(wrong)} does not fit; write CATEGORY=CLASS, a category of '
            f'{args.src} and a class of --classes.'
        )
    names = {key: renamed.get(name, name) for key, name in names.items()}
    used = {annotation['category_id'] for annotation in annotations}
    unknown = [names.get(key, key) for key in used if names.get(key) not in values]
    if unknown and not args.skip_unknown:
        raise LabelFileError(
            f'{args.src}: {len(unknown)} categories with annotations are no classes '
            f'({short_list(unknown)}): add them to --classes, give --rename, or --skip-unknown.'
        )
    return {key: values[name] for key, name in names.items() if name in values}


def make_tasks(
    content: Mapping[str, Any], args: argparse.Namespace, broken: list[str]
) -> list[MaskTask]:
    """Return one task an image, those without annotations included.

    Args:
        content: Of the file.
        args: The command line.
        broken: Gets what is wrong with annotations that are left out.

    Raises:
        LabelFileError: two images have one name, or an annotation belongs to no image.
    """
    tasks: dict[Any, MaskTask] = {}
    for number, image in enumerate(content['images'], start=1):
        where = f'{args.src}, image {number}'
        key, name, *size = fields_of(image, ('id', 'file_name', 'height', 'width'), where)
        path = os.path.join(args.out_dir, f'{image_id(name)}.png')
        tasks[key] = MaskTask(path, (size[0], size[1]), [])
    if len({task.path for task in tasks.values()}) < len(content['images']):
        raise LabelFileError(
            f'{args.src}: two images have the same id or name, and so would have the same mask: '
            'make the file again.'
        )
    annotations = sound_annotations(content, args, broken)
    values = category_values(content, annotations, args)
    for annotation in annotations:
        value = values.get(annotation['category_id'])
        if value is not None:
            crowd = bool(annotation.get('iscrowd', 0))
            instance = Instance(value, annotation.get('segmentation'), crowd, annotation.get('id'))
            tasks[annotation['image_id']].instances.append(instance)
    return list(tasks.values())


def load_instances(path: str) -> dict[str, Any]:
    """Load an instances file, polygons included.

    Raises:
        LabelFileError: it is not one.
    """
    content = parse_json(Path(path))
    if not is_instances(content):
        raise LabelFileError(
            f'{path}: lacks one of the lists images, annotations and categories of a COCO '
            'instances file.'
        )
    return content


def draw(args: argparse.Namespace) -> tuple[int, int, list[str]]:
    """Write the masks that are missing; return numbers written and left, and problems."""
    broken: list[str] = []
    tasks = make_tasks(load_instances(args.src), args, broken)
    remove_stale(args.out_dir)
    todo = [task for task in tasks if args.overwrite or not os.path.exists(task.path)]
    function = partial(write_mask, crowd=args.crowd, skip_broken=args.skip_broken)
    for problems in track(function, todo, workers=args.workers, description='masks'):
        broken += problems
    return len(todo), len(tasks) - len(todo), broken


def main(args: argparse.Namespace) -> None:
    """Write the masks, and say how many."""
    if args.workers < 1:
        raise UsageError(f'--workers must be at least 1, got {args.workers}.')
    try:
        written, kept, broken = draw(args)
    except (LabelFileError, MaskError, BrokenProcessPool, OSError) as error:
        raise UsageError(user_sentence(error) or str(error)) from error
    note = f', {kept} were there already (--overwrite makes them again)' if kept else ''
    print(f'{written} masks written to {args.out_dir}{note}.')
    end_with(broken, 'annotations')


if __name__ == '__main__':
    run_tool(make_parser(), main)
