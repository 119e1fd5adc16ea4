"""Show the whole way on Emblems: draw it, train CAM and SEAM, compare their maps."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from prettytable import PrettyTable

from mmwsss.datasets import EmblemsDataset, image_id, read_mask
from mmwsss.engine.launch import UsageError, run_tool
from mmwsss.evaluation import CAMCurve, cam_curve, cam_histogram, read_cam_file, write_curve
from mmwsss.evaluation.cam_curve import check_thresholds
from mmwsss.utils import atomic_write
from mmwsss.visualization import (
    draw_cam,
    draw_mask,
    picture_grid,
    plot_threshold_curves,
    save_figure,
)

ROOT = Path(__file__).resolve().parents[1]
SPLITS = ('train', 'test')
METHODS = {
    'CAM': 'configs/cam/cam_r38-tiny_emblems.py',
    'SEAM': 'configs/seam/seam_r38-tiny_emblems.py',
}
THRESHOLDS = np.arange(60) / 100
PROGRESS = re.compile(r'Iter\((train|test)\)|Error: |^\w+\.py: ')


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description='Draw Emblems, train the CAM baseline and SEAM on its image-level labels, '
        'write their multi-scale CAMs and compare them. A stopped demo goes on where it was.'
    )
    parser.add_argument('--data-root', default='data/emblems', help='folder of the data set')
    parser.add_argument('--work-dir', default='work_dirs/demo', help='folder of all results')
    parser.add_argument('--seed', type=int, default=0, help='of weights and batches')
    parser.add_argument('--pictures', type=int, default=8, help='rows of the grid of pictures')
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='for both trainings'
    )
    return parser


def run(title: str, command: Sequence[str | Path], log: Path) -> float:
    """Run a tool, show its progress, keep its output, and return the seconds it took.

    Raises:
        UsageError: the tool failed; the text names the log.
    """
    print(f'\n== {title}\n   log: {log}', flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    start = time.time()
    command = [sys.executable, *map(str, command)]
    with log.open('w') as file:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for line in process.stdout or ():
            file.write(line)
            file.flush()
            if PROGRESS.search(line):
                print('   ' + line.split(' - ')[-1].rstrip()[:110], flush=True)
    if process.wait():
        raise UsageError(f'"{title}" failed with status {process.returncode}: see {log}.')
    return time.time() - start


def train(
    name: str, args: argparse.Namespace, work_dir: Path, pretrained: Path | None = None
) -> Path:
    """Train a method, or go on with a training that was stopped; return its checkpoint.

    Args:
        name: Key of ``METHODS``.
        args: Of the command line.
        work_dir: Folder of all results.
        pretrained: Checkpoint whose backbone to start from.
    """
    config = METHODS[name]
    folder = work_dir / name.lower()
    loaders = [f'{split}_dataloader.dataset.data_root={args.data_root}' for split in SPLITS]
    options = [*loaders, f'randomness.seed={args.seed}', *args.cfg_options]
    if pretrained is not None:
        options.append(f'model.backbone.init_cfg.checkpoint={pretrained}')
    command = ['tools/train.py', config, '--work-dir', folder, '--resume', '--cfg-options']
    log = work_dir / f'train_{name.lower()}.log'
    seconds = run(f'Train {name}', [*command, *options], log)
    timing = folder / 'seconds.json'
    if not timing.exists():
        timing.write_text(json.dumps(seconds))
    return Path((folder / 'last_checkpoint').read_text().strip())


def make_cams(name: str, checkpoint: Path, args: argparse.Namespace, work_dir: Path) -> Path:
    """Write the multi-scale CAMs of the validation images; return their folder."""
    out_dir = work_dir / name.lower() / 'cams'
    command = ['tools/make_cams.py', METHODS[name], checkpoint, '--out-dir', out_dir]
    command += ['--work-dir', work_dir / name.lower() / 'make_cams']
    options = ['--cfg-options', f'test_dataloader.dataset.data_root={args.data_root}']
    run(f'Make CAMs of {name}', [*command, *options], work_dir / f'cams_{name.lower()}.log')
    return out_dir


def read_scores(folder: Path, info: dict) -> torch.Tensor:
    """Return the maps of all classes of an image, -inf where a class is not tagged."""
    path = folder / f'{image_id(info["img_path"])}.npz'
    keys, cams = read_cam_file(path, info['num_classes'])
    scores = torch.full((info['num_classes'] - 1, *cams.shape[1:]), -torch.inf)
    scores[torch.from_numpy(keys)] = torch.from_numpy(cams).float()
    return scores


def infos(dataset: EmblemsDataset) -> Iterator[dict]:
    """Iterate over what a data set knows of its images."""
    return (dataset.get_data_info(i) for i in range(len(dataset)))


def evaluate(folder: Path, dataset: EmblemsDataset) -> CAMCurve:
    """Compare a folder of CAM files with the masks of a data set."""
    thresholds = check_thresholds(THRESHOLDS.tolist())
    counts: np.ndarray | int = 0
    for info in infos(dataset):
        mask = torch.from_numpy(read_mask(info['seg_map_path'], info['num_classes'])[0]).long()
        scores = read_scores(folder, info)
        counts = counts + cam_histogram(scores, mask, thresholds, ignore=255).numpy()
    return cam_curve(np.asarray(counts), THRESHOLDS)


def draw(folders: dict[str, Path], dataset: EmblemsDataset, rows: int, path: Path) -> None:
    """Draw images, the CAMs of each method and the truth side by side."""
    pictures, names = [], []
    classes = dataset.metainfo['classes']
    step = max(1, len(dataset) // rows)
    for info in (dataset.get_data_info(i) for i in range(0, len(dataset), step)[:rows]):
        image = np.asarray(Image.open(info['img_path']).convert('RGB'))
        mask = read_mask(info['seg_map_path'], info['num_classes'])[0]
        cams = [read_scores(folder, info).numpy() for folder in folders.values()]
        pictures.append(
            [
                image,
                *(draw_cam(image, np.maximum(x, 0)) for x in cams),
                draw_mask(image, mask, dataset.metainfo['palette'], alpha=0.8),
            ]
        )
        names.append(', '.join(classes[k + 1] for k in info['gt_label']))
    titles = ['image', *folders, 'truth']
    save_figure(picture_grid(pictures, titles, row_titles=names), path)


def summarise(curves: dict[str, CAMCurve], work_dir: Path) -> str:
    """Return the table of all methods and write it with the curves."""
    table = PrettyTable(['method', 'mIoU (%)', 'background score', 'm_FP', 'm_FN', 'training (s)'])
    results = {}
    for name, curve in curves.items():
        best = curve.best
        seconds = json.loads((work_dir / name.lower() / 'seconds.json').read_text())
        figures = dict(
            miou=100 * curve.miou[best],
            threshold=curve.thresholds[best],
            m_fp=curve.m_fp[best],
            m_fn=curve.m_fn[best],
            seconds=seconds,
        )
        results[name] = {k: round(float(v), 4) for k, v in figures.items()}
        shown = [f'{v:.2f}' for v in list(figures.values())[:4]]
        table.add_row([name, *shown, f'{seconds:.0f}'])
        write_curve(work_dir / f'curve_{name.lower()}.csv', curve)
    with atomic_write(work_dir / 'results.json') as file:
        file.write(json.dumps(results, indent=2).encode())
    return table.get_string()


def main(args: argparse.Namespace) -> None:
    """Run all steps and say where the results are."""
    args.data_root = str(Path(args.data_root).resolve())
    work_dir = (Path(args.work_dir) / f'seed{args.seed}').resolve()
    start = time.time()
    drawing = ['tools/dataset_converters/make_emblems.py', args.data_root]
    run('Draw Emblems', drawing, work_dir / 'draw.log')
    folders: dict[str, Path] = {}
    checkpoint = None
    for name in METHODS:
        # SEAM starts from the classifier that the baseline is
        checkpoint = train(name, args, work_dir, checkpoint)
        folders[name] = make_cams(name, checkpoint, args, work_dir)
    print('\n== Compare', flush=True)
    dataset = EmblemsDataset(
        ann_file='val',
        data_root=args.data_root,
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
    )
    curves = {name: evaluate(folder, dataset) for name, folder in folders.items()}
    table = summarise(curves, work_dir)
    figure = plot_threshold_curves({k: (c.thresholds, 100 * c.miou) for k, c in curves.items()})
    save_figure(figure, work_dir / 'curves.png')
    draw(folders, dataset, args.pictures, work_dir / 'pictures.png')
    print(f'\nCAMs of the {len(dataset)} validation images, best background score:\n{table}')
    print(f'pictures: {work_dir}/pictures.png\ncurves:   {work_dir}/curves.png')
    print(f'The demo took {(time.time() - start) / 60:.1f} minutes.')


if __name__ == '__main__':
    run_tool(make_parser(), main)
