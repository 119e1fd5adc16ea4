"""Measure the pipeline for photographs on photographs that it has not seen, with several seeds."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmwsss.cli.launch import run_tool
from mmwsss.errors import UsageError
from mmwsss.utils import shown

TOOLS = Path(__file__).resolve().parents[1] / 'tools'
# what is measured of the photographs that nothing was trained on
UNSEEN = ('maps', 'refined maps', 'pseudo masks', 'last model')


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='photographs_table.py',
        description='Run the pipeline for photographs on one folder with several seeds, measure '
        'its stages there and on a second folder of photographs that it has not seen, and print '
        'mean IoU, time and the same network trained on true masks.',
    )
    parser.add_argument('train', help='folder with images/, labels.csv and masks/')
    parser.add_argument('val', help='another one, with the same classes')
    parser.add_argument('--classes', nargs='+', required=True, help='in the order of the masks')
    parser.add_argument('--config', help='pipeline (that of run_pipeline.py)')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--work-dir', default='work_dirs/photographs_table')
    parser.add_argument('--no-bound', action='store_true', help='leave out true masks')
    parser.add_argument(
        '--options', nargs='+', default=[], metavar='KEY=VALUE', help='changes of the pipeline'
    )
    return parser


def call(tool: str, *words: object) -> None:
    """Run a tool of this project.

    Args:
        tool: Path within ``tools``.
        *words: Its arguments.

    Raises:
        UsageError: it failed.
    """
    command = [sys.executable, str(TOOLS / tool), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ['no message']
        raise UsageError(f'{tool} failed: {said[-1]}')


def measured(tool: str, found: Path, masks: Path, classes: Sequence[str], out: Path) -> float:
    """Return the mIoU of a folder in per cent, for maps that at the best background score.

    Args:
        tool: ``eval_cams.py`` or ``eval_masks.py``.
        found: Folder of maps or masks.
        masks: Folder of true masks.
        classes: Names, without the background.
        out: File of the figures.
    """
    call(tool, found, masks, '--out', out, '--classes', *classes)
    return float(json.loads(out.read_text())['mIoU'])


def measure_unseen(args: argparse.Namespace, work: Path) -> dict[str, float]:
    """Return the figures of photographs that nothing was trained on.

    Args:
        args: Of the command line.
        work: Folder of the finished pipeline.
    """
    val, out = Path(args.val), work / 'unseen'
    masks = val / 'masks'
    dataset = 'test_dataloader.dataset'
    options = [
        f'{dataset}.data_prefix.img_path={val / "images"}',
        f'{dataset}.image_labels={val / "labels.csv"}',
        f'{dataset}.ann_file=',
        'model.backbone.output_stride=16',
    ]
    checkpoint = next((work / 'cam').glob('iter_*.pth'))
    cams, refined, pseudo = (out / name for name in ('maps', 'refined', 'masks'))
    words = ['--out-dir', cams, '--work-dir', out / 'logs', '--cfg-options', *options]
    call('make_cams.py', work / 'configs/cam.py', checkpoint, *words)
    call('refine_maps.py', cams, '--images', val / 'images', '--out-dir', refined)
    # as in configs/pipelines/photographs_effnet-lite0.py
    words = ['--bg-score', 'multi-otsu', '--crf', 'labels', '--crf-config', 'bilateral.sxy=48']
    words += ['--images', val / 'images', '--out-dir', pseudo]
    call('make_pseudo_masks.py', refined, *words, '--classes', 'background', *args.classes)
    call('infer.py', val / 'images', '--work-dir', work, '--out-dir', out / 'test')
    folders = (cams, refined, pseudo, out / 'test/masks')
    tools = ('eval_cams.py', 'eval_cams.py', 'eval_masks.py', 'eval_masks.py')
    return {
        name: measured(tool, folder, masks, args.classes, out / f'{name}.json')
        for name, tool, folder in zip(UNSEEN, tools, folders, strict=True)
    }


def measure_bound(args: argparse.Namespace, work: Path, seed: int) -> float:
    """Train the last network on true masks and return its figure on the unseen photographs.

    Args:
        args: Of the command line.
        work: Folder of the finished pipeline.
        seed: Of the training.
    """
    folder, out = work / 'bound', work / 'unseen'
    source = Path(args.train) / 'masks'
    options = [f'train_dataloader.dataset.data_prefix.seg_map_path={source}']
    options.append(f'randomness.seed={seed}')
    words = ['--work-dir', folder, '--resume', '--cfg-options', *options]
    # the config that was run, with the first weights
    call('train.py', work / 'segmentation/segmentation.py', *words)
    call('infer.py', Path(args.val) / 'images', '--work-dir', folder, '--out-dir', out / 'bound')
    masks = Path(args.val) / 'masks'
    found = out / 'bound/masks'
    return measured('eval_masks.py', found, masks, args.classes, out / 'bound.json')


def measure_seed(args: argparse.Namespace, seed: int) -> dict[str, float]:
    """Run the pipeline with a seed and return all figures in per cent, and its minutes.

    Args:
        args: Of the command line.
        seed: Of all trainings.
    """
    work, train = Path(args.work_dir) / str(seed), Path(args.train)
    words = [args.config] if args.config else []
    words += ['--images', train / 'images', '--labels', train / 'labels.csv']
    words += ['--masks', train / 'masks', '--seed', seed, '--work-dir', work]
    words += ['--cfg-options', *args.options] if args.options else []
    begin = time.time()
    call('run_pipeline.py', *words, '--classes', *args.classes)
    figures = {'minutes': (time.time() - begin) / 60}
    stages: Mapping = json.loads((work / 'results.json').read_text())['stages']
    for name, stage in stages.items():
        if stage.get('figures'):
            figures[f'train {name}'] = stage['figures']['train']['mIoU']
    figures |= {f'val {name}': value for name, value in measure_unseen(args, work).items()}
    if not args.no_bound:
        figures['val true masks'] = measure_bound(args, work, seed)
    return figures


def check_folder(folder: str) -> None:
    """Refuse a folder that lacks a part, before hours of work.

    Args:
        folder: Of photographs, tags and masks.

    Raises:
        UsageError: there is no such part.
    """
    for part in ('images', 'masks', 'labels.csv'):
        path = Path(folder, part)
        if not (path.is_file() if path.suffix else path.is_dir()):
            raise UsageError(
                f'There is no {part} in {shown(folder)}: give a folder with images/, labels.csv '
                'and masks/.'
            )


def photographs_table(args: argparse.Namespace) -> None:
    """Print one line a figure: the mean of the seeds, and each of them."""
    for folder in (args.train, args.val):
        check_folder(folder)
    rows = []
    for seed in args.seeds:
        rows.append(measure_seed(args, seed))
        print(f'seed {seed}: {json.dumps(rows[-1])}', flush=True)
    for name in rows[0]:
        values = [row[name] for row in rows]
        each = ' '.join(f'{value:.1f}' for value in values)
        print(f'{name:24} {np.mean(values):5.1f}   ({each})')


if __name__ == '__main__':
    run_tool(make_parser(), photographs_table)
