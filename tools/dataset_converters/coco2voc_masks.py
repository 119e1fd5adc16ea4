"""Draw COCO instances as palette masks in the layout of PASCAL VOC, one PNG an image."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mmwsss.datasets import LabelFileError, MaskError, image_id
from mmwsss.datasets.class_palettes import read_classes
from mmwsss.datasets.coco_masks import Instance, MaskTask, write_mask
from mmwsss.datasets.label_readers.coco_json import fields_of, named_items, sound_annotations
from mmwsss.datasets.label_readers.common import Report, refuse
from mmwsss.datasets.label_readers.json_file import load_instances
from mmwsss.engine.broken_entries import add_skip_option, end_with
from mmwsss.engine.launch import UsageError, run_tool
from mmwsss.engine.mask_tools import add_worker_option, work_through
from mmwsss.utils import remove_stale, short_list, user_sentence


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
    add_worker_option(parser)
    return parser


def category_values(
    annotations: Iterable[Mapping[str, Any]],
    categories: Mapping[Any, str],
    args: argparse.Namespace,
) -> dict[Any, int]:
    """Return the value in the mask of every category that has one.

    Args:
        annotations: Those that are used.
        categories: Name of each category by its id.
        args: The command line.

    Raises:
        LabelFileError: a category with annotations is no class.
        UsageError: ``--rename`` names something that is not there.
    """
    classes = read_classes(args.classes).classes
    values = {name: value for value, name in enumerate(classes)}
    renamed = dict(pair.partition('=')[::2] for pair in args.rename)
    wrong = [
        f'{k}={v}' for k, v in renamed.items() if k not in categories.values() or v not in values
    ]
    if wrong:
        raise UsageError(
            f'--rename {" ".join(wrong)} does not fit; write CATEGORY=CLASS, a category of '
            f'{args.src} and a class of --classes.'
        )
    names = {key: renamed.get(name, name) for key, name in categories.items()}
    used = {annotation['category_id'] for annotation in annotations}
    unknown = [names[key] for key in used if names[key] not in values]
    if unknown and not args.skip_unknown:
        raise LabelFileError(
            f'{len(unknown)} categories with annotations are no classes ({short_list(unknown)})',
            args.src,
            advice='add them to --classes, give --rename, or --skip-unknown.',
        )
    return {key: values[name] for key, name in names.items() if name in values}


def make_tasks(args: argparse.Namespace, report: Report) -> list[MaskTask]:
    """Return one task an image, those without annotations included.

    Args:
        args: The command line.
        report: Gets an error for each annotation that belongs to no image or category.

    Raises:
        LabelFileError: the file cannot be read, or two images have one name.
    """
    path = Path(args.src)
    content = load_instances(path, polygons=True)
    tasks: dict[Any, MaskTask] = {}
    for number, image in enumerate(content['images'], start=1):
        place = f'{path}, image {number}'
        key, name, *size = fields_of(image, ('id', 'file_name', 'height', 'width'), place)
        mask = os.path.join(args.out_dir, f'{image_id(name)}.png')
        tasks[key] = MaskTask(mask, (size[0], size[1]), [])
    if len({task.path for task in tasks.values()}) < len(content['images']):
        raise LabelFileError(
            'two images have the same id or name, and so would have the same mask',
            path,
            advice='make the file again.',
        )
    categories = named_items(content, 'categories', 'name', path, refuse)
    annotations = list(sound_annotations(content, tasks, categories, path, report))
    values = category_values(annotations, categories, args)
    for annotation in annotations:
        value = values.get(annotation['category_id'])
        if value is not None:
            crowd = bool(annotation.get('iscrowd', 0))
            instance = Instance(value, annotation.get('segmentation'), crowd, annotation.get('id'))
            tasks[annotation['image_id']].instances.append(instance)
    return list(tasks.values())


def draw(args: argparse.Namespace) -> tuple[int, int, list[str]]:
    """Write the masks that are missing; return numbers written and left, and problems."""
    problems: list[LabelFileError] = []
    tasks = make_tasks(args, problems.append if args.skip_broken else refuse)
    broken = [str(problem) for problem in problems]
    remove_stale(args.out_dir)
    todo = [task for task in tasks if args.overwrite or not os.path.exists(task.path)]
    function = partial(write_mask, crowd=args.crowd, skip_broken=args.skip_broken)
    for left_out in work_through(function, todo, workers=args.workers, description='masks'):
        broken += left_out
    return len(todo), len(tasks) - len(todo), broken


def main(args: argparse.Namespace) -> None:
    """Write the masks, and say how many."""
    try:
        written, kept, broken = draw(args)
    except (LabelFileError, MaskError, OSError) as error:
        raise UsageError(user_sentence(error) or str(error)) from error
    note = f', {kept} were there already (--overwrite makes them again)' if kept else ''
    print(f'{written} masks written to {args.out_dir}{note}.')
    end_with(broken, 'annotations')


if __name__ == '__main__':
    run_tool(make_parser(), main)
