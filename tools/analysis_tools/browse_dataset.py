"""Show what a network sees: the samples of a data set after its pipeline, with their labels."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from mmwsss.cli.launch import load_config, run_tool
from mmwsss.cli.mask_tools import make_folder
from mmwsss.datasets import image_id
from mmwsss.datasets.masks import IGNORE_INDEX
from mmwsss.errors import UsageError
from mmwsss.utils import atomic_write
from mmwsss.utils.progress import track
from mmwsss.utils.seeding import AUGMENTATION, seed_random_numbers
from mmwsss.visualization.encoding import encode_picture
from mmwsss.visualization.sample_pictures import (
    SampleCard,
    beside,
    draw_sample,
    read_original,
    sample_classes,
    sample_facts,
    write_sample_page,
)

import numpy as np
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

# what a data set or a transform says of data that are missing or wrong
PROBLEMS = (OSError, ValueError)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='browse_dataset.py',
        description='Draw samples of a data set as they leave its pipeline: augmented, cropped '
        'and padded, with the names of their classes, the box that holds image and not padding, '
        'and the mask where one is loaded. Writes PNG files and index.html.',
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('--out-dir', required=True, help='folder of the pictures and the page')
    parser.add_argument(
        '--split', default='train', choices=['train', 'val', 'test'], help='which data set (train)'
    )
    parser.add_argument('--number', type=int, default=50, help='of samples, at most (50)')
    parser.add_argument('--seed', type=int, default=0, help='of choice and augmentation (0)')
    parser.add_argument(
        '--original', action='store_true', help='put the untouched image beside each sample'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='set entries'
    )
    parser.set_defaults(launcher='none', work_dir=None)
    return parser


def build_dataset(cfg: Config, split: str) -> Any:
    """Build the data set of a split with its pipeline.

    Args:
        cfg: The config.
        split: ``train``, ``val`` or ``test``.

    Raises:
        UsageError: the config has none, or its data are missing, wrong or none.
    """
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    key = f'{split}_dataloader'
    if cfg.get(key) is None:
        raise UsageError(f'{cfg.filename} has no {key}; --split takes train, val or test.')
    try:
        dataset = DATASETS.build(cfg[key]['dataset'])
    except PROBLEMS as error:
        raise UsageError(f'{key}: {error}') from error
    if not len(dataset):
        raise UsageError(f'{key}: the data set lists no images; check its ann_file and folders.')
    return dataset


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write an RGB picture as PNG.

    Args:
        path: The file.
        picture: Picture, RGB.
    """
    with atomic_write(path) as file:
        file.write(encode_picture(picture, '.png'))


def make_card(dataset: Any, index: int, args: argparse.Namespace) -> SampleCard:
    """Take a sample, draw it and write its picture.

    Args:
        dataset: The data set.
        index: Which sample.
        args: ``out_dir``, ``seed`` and ``original``.

    Raises:
        UsageError: a file is missing or damaged, or the pipeline packs no single image.
    """
    seed_random_numbers(args.seed, AUGMENTATION, index)
    try:
        packed = dataset[index]
        inputs = packed['inputs']
        if not hasattr(inputs, 'permute'):
            raise UsageError(
                'The pipeline makes several views of an image; take one that packs a single one.'
            )
        image = np.ascontiguousarray(inputs.permute(1, 2, 0).numpy()[..., ::-1])
        sample = packed['data_samples']
        picture = draw_sample(image, sample, dataset.metainfo)
        if args.original:
            picture = beside(read_original(sample.img_path), picture)
    except (*PROBLEMS, KeyError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f'sample {index}: {error}') from error
    name = f'{index:06d}_{image_id(sample.img_path)}'
    write_picture(Path(args.out_dir, f'{name}.png'), picture)
    return SampleCard(
        f'{name}.png',
        os.path.basename(sample.img_path),
        sample_classes(sample),
        sample_facts(sample, image.shape[:2]),
        'gt_sem_seg' in sample and bool((sample.gt_sem_seg.data == IGNORE_INDEX).any()),
    )


def browse_dataset(args: argparse.Namespace) -> None:
    """Draw the samples and write the page."""
    if args.number < 1 or args.seed < 0:
        raise UsageError('--number must be at least 1 and --seed at least 0.')
    cfg = load_config(args)
    dataset = build_dataset(cfg, args.split)
    make_folder(args.out_dir)
    rng = np.random.default_rng(args.seed)
    chosen = rng.permutation(len(dataset))[: args.number]

    def make(index: int) -> SampleCard:
        return make_card(dataset, index, args)

    cards = list(track(make, sorted(chosen.tolist()), description='samples'))
    page = Path(args.out_dir, 'index.html')
    write_sample_page(
        page,
        cards,
        title=f'{Path(args.config).stem}, {args.split}',
        subtitle='Left: the image; right: what the network gets.' if args.original else '',
        original=args.original,
        total=len(dataset),
        classes=dataset.metainfo['classes'],
        palette=dataset.metainfo['palette'],
    )
    print(f'{len(cards)} of {len(dataset)} samples in {page}.')


if __name__ == '__main__':
    run_tool(make_parser(), browse_dataset)
