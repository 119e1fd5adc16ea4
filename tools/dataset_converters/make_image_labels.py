"""Write image-level labels as one file, from VOC XML, COCO JSON, masks or another label file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmwsss.datasets import ImageLabels, LabelFileError, read_image_labels
from mmwsss.datasets.check import error_finding
from mmwsss.datasets.class_names import class_names
from mmwsss.datasets.folder_files import list_folder
from mmwsss.datasets.image_labels import collect_labels
from mmwsss.datasets.image_level_dataset import line_image, read_split
from mmwsss.datasets.image_names import ImageNames
from mmwsss.datasets.label_writers import write_image_labels
from mmwsss.engine.broken_entries import add_skip_option, end_with
from mmwsss.engine.launch import UsageError, run_tool
from mmwsss.utils import short_list, user_sentence


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description='Write image-level labels as one file, which the data sets take as '
        'image_labels. The kind of source is told by its path.'
    )
    parser.add_argument(
        'src',
        help='folder of VOC annotations (.xml), folder of index masks (.png), COCO instances '
        '(.json), or a label file (.json, .csv, .npy)',
    )
    parser.add_argument(
        'dst', help='file to write: .json {"image": ["dog"]}, .csv, or .npy (cls_labels.npy)'
    )
    parser.add_argument(
        '--classes',
        nargs='+',
        metavar='CLASS',
        help='voc, coco, a file with one name a line, or the names, in the order of the values '
        'where the source is masks or .npy (default: voc for .xml, coco for .json)',
    )
    add_skip_option(parser, 'entries')
    parser.add_argument('--split', help='write the images that this file lists, one a line')
    parser.add_argument(
        '--drop-empty', action='store_true', help='leave out images that show none of the classes'
    )
    return parser


def source_classes(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the class names of the source.

    Raises:
        UsageError: no classes are given, and the kind of source does not tell them.
    """
    if args.classes:
        return class_names(args.classes)
    src = Path(args.src)
    if src.suffix.lower() == '.json':
        return class_names(['coco'])
    if src.is_dir() and list_folder(src, ('.xml',)).names:
        return class_names(['voc'])
    raise UsageError(f'{src} does not tell the classes there are; give them with --classes.')


def read_labels(
    args: argparse.Namespace, classes: Sequence[str], images: Sequence[str] | None
) -> tuple[ImageLabels, list[str]]:
    """Return the labels of the source, and what is wrong with entries that are left out.

    Raises:
        LabelFileError: the source cannot be read, or an entry without ``--skip-broken``.
    """
    if not args.skip_broken:
        return read_image_labels(args.src, classes, images=images), []
    labels, problems = collect_labels(args.src, classes, images)
    if unusable := [problem for problem in problems if problem.kind == LabelFileError.kind]:
        raise unusable[0]
    return labels, [str(error_finding(problem)) for problem in problems]


def select(labels: ImageLabels, args: argparse.Namespace) -> ImageLabels:
    """Return the labels of the split, in its order.

    Raises:
        UsageError: the source lacks images of the split.
    """
    if args.split:
        lines = [line_image(line) for line, _ in read_split(args.split)]
        names = [*ImageNames(lines).of.values()]
        if not names:
            raise UsageError(f'{args.split} names no image; give a list of some, one a line.')
        missing = [name for name in names if name not in labels]
        if missing:
            raise UsageError(
                f'{args.src} has no labels for {len(missing)} of {len(names)} images of '
                f'{args.split} ({short_list(missing)}); check both.'
            )
        labels = {name: labels[name] for name in names}
    if args.drop_empty:
        labels = {name: indices for name, indices in labels.items() if indices}
    return labels


def main(args: argparse.Namespace) -> None:
    """Write the file, and say how to use it."""
    try:
        classes = source_classes(args)
        images = None
        if args.split:
            images = [line_image(line) for line, _ in read_split(args.split)]
        labels, broken = read_labels(args, classes, images)
        labels = select(labels, args)
        write_image_labels(args.dst, labels, classes)
    except (LabelFileError, OSError) as error:
        raise UsageError(user_sentence(error) or str(error)) from error
    tagged = sum(bool(indices) for indices in labels.values())
    used = len({k for indices in labels.values() for k in indices})
    print(
        f'{args.dst}: {len(labels)} images, {tagged} with tags, {used} of {len(classes) - 1} '
        f'classes; use it as image_labels="{args.dst}" of a data set.'
    )
    end_with(broken, 'entries')


if __name__ == '__main__':
    run_tool(make_parser(), main)
