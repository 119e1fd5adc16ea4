"""Read a data set once and print what is wrong with it."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from functools import partial
from typing import Any

from mmwsss.datasets import (
    ImageEntry,
    ImageLevelDataset,
    ImageLevelFolderDataset,
    LabelFileError,
)
from mmwsss.datasets.check import (
    DatasetReport,
    Finding,
    check_dataset,
    check_image,
    error_finding,
    format_report,
)
from mmwsss.datasets.class_names import class_names
from mmwsss.datasets.folder_files import FolderFiles, list_folder
from mmwsss.datasets.image_labels import collect_labels, files_without_image
from mmwsss.datasets.image_names import ImageNames
from mmwsss.engine.launch import UsageError, load_config, run_tool
from mmwsss.engine.mask_tools import add_worker_option, work_through
from mmwsss.utils import number, shown

from mmengine.config import DictAction
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description='Read a data set once and print what is wrong with it. The status is 0 where '
        'there are no errors (notes do not count), 1 where there are, 2 after a wrong call.'
    )
    parser.add_argument('config', nargs='?', help='config whose data set to check, or --images')
    parser.add_argument('--images', help='folder of images, subfolders too')
    parser.add_argument(
        '--labels',
        help='their labels: .csv, .json, .npy, folder of VOC annotations (.xml), COCO instances',
    )
    parser.add_argument('--masks', help='folder of their index masks (.png)')
    parser.add_argument(
        '--classes',
        nargs='+',
        metavar='CLASS',
        help='with --images: voc, coco, a file with one name a line, or the names',
    )
    parser.add_argument(
        '--split',
        help='with a config: train, val or test (default: train); with --images: file that '
        'lists the images, one a line (default: all of the folder)',
    )
    parser.add_argument(
        '--limit', type=number(int, 0), default=5, help='problems of a kind to print (5)'
    )
    add_worker_option(parser)
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='set entries'
    )
    parser.set_defaults(launcher='none', work_dir=None)
    return parser


def plain_dataset(cfg: dict) -> dict:
    """Return the config of the data set within wrappers such as ``RepeatDataset``.

    Raises:
        UsageError: there is more than one.
    """
    while 'dataset' in cfg:
        cfg = cfg['dataset']
    if 'datasets' in cfg:
        raise UsageError(
            f'The data set is a {cfg["type"]} of several; check each with --cfg-options, or with '
            '--images.'
        )
    return dict(cfg)


def build_dataset(args: argparse.Namespace) -> Any:
    """Build the data set without reading what it lists.

    Raises:
        UsageError: the arguments do not fit together.
    """
    if bool(args.config) == bool(args.images):
        raise UsageError('Give either a config or --images.')
    if args.config:
        if args.labels or args.masks or args.classes:
            raise UsageError('--labels, --masks and --classes go with --images; use --cfg-options.')
        cfg = load_config(args)
        init_default_scope(cfg.get('default_scope', 'mmseg'))
        key = f'{args.split or "train"}_dataloader'
        if cfg.get(key) is None:
            raise UsageError(f'{args.config} has no {key}; --split takes train, val or test.')
        options = plain_dataset(cfg[key]['dataset'])
        return DATASETS.build({**options, 'pipeline': [], 'lazy_init': True})
    if not args.classes:
        raise UsageError('--images needs --classes: voc, coco, a file, or the names.')
    return ImageLevelFolderDataset(
        args.split or '',
        image_labels=args.labels or args.masks or args.images,
        data_prefix=dict(img_path=args.images, seg_map_path=args.masks),
        metainfo=dict(classes=class_names(args.classes)),
        lazy_init=True,
    )


def list_entries(dataset: Any) -> list[ImageEntry]:
    """Return the images of a data set.

    Raises:
        ValueError: it cannot list them.
        OSError: files that it lists from are missing.
    """
    if not isinstance(dataset, ImageLevelDataset):
        infos = dataset.load_data_list()
        return [ImageEntry(info['img_path'], info.get('seg_map_path')) for info in infos]
    return dataset.list_images()


def run_check(args: argparse.Namespace) -> DatasetReport:
    """Check the data set that the arguments name."""
    dataset = build_dataset(args)
    weak = isinstance(dataset, ImageLevelDataset)
    classes = dataset.source_classes if weak else dataset.metainfo['classes']
    try:
        entries = list_entries(dataset)
        if not entries:
            raise ValueError(f'{args.images or args.config} lists no images')
    except (ValueError, OSError) as error:
        return DatasetReport(classes, findings=[Finding('unusable data set', str(error))])
    # with reduce_zero_label the first class has the value 1
    num_classes = len(classes) + bool(getattr(dataset, 'reduce_zero_label', False))
    check = partial(check_image, num_classes=num_classes)
    read = partial(work_through, check, workers=args.workers, description='images')
    if not weak or (args.images and not args.labels):
        return check_dataset(entries, classes, read=read)
    path = dataset.labels_path()
    folder = dataset.data_prefix['img_path']
    files = list_folder(folder) if os.path.isdir(folder) else FolderFiles(folder, [], {})
    images = [entry.img_path for entry in entries]
    if not (dataset.ann_file and os.path.isdir(path)):
        # an entry of an image that is not in the split is no error
        images += [os.path.join(folder, name) for name in files.names]
    labels, problems = collect_labels(path, classes, images)
    names = ImageNames(images)
    if not dataset.ann_file:
        labels.update(dict.fromkeys(files_without_image(path, names), ()))
    if args.images:
        entries = [replace(entry, name=names.of[entry.img_path]) for entry in entries]
    present = names.of.values()
    report = check_dataset(entries, classes, labels=labels, present=present, files=files, read=read)
    report.findings += [*map(error_finding, problems), *unused(files)]
    masks = dataset.data_prefix.get('seg_map_path')
    if masks and os.path.isdir(masks):
        report.findings += unused(list_folder(masks, (dataset.seg_map_suffix,)))
    return report


def unused(files: FolderFiles) -> list[Finding]:
    """Return a finding for each file of a folder that is not used."""
    return [
        Finding('file that is not used', f'{shown(os.path.join(files.folder, name))} ({kind})')
        for kind, names in files.others.items()
        for name in names
    ]


def main(args: argparse.Namespace) -> None:
    """Check, print, and end with the status."""
    try:
        report = run_check(args)
    except LabelFileError as error:
        raise UsageError(str(error)) from error
    print(format_report(report, limit=args.limit))
    sys.exit(1 if report.num_errors else 0)


if __name__ == '__main__':
    run_tool(make_parser(), main)
