"""Measure the dense CRF on one image: time, and agreement with pydensecrf where installed."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from measure import best_seconds
from prettytable import PrettyTable
from torch import Tensor

from mmwsss.apis.trained_model import check_device
from mmwsss.cli.launch import one_sentence
from mmwsss.datasets.transforms import decode_image
from mmwsss.errors import UsageError
from mmwsss.models import DenseCRF
from mmwsss.utils import number, read_content


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Measure the dense CRF in seconds an image, the fastest of some runs, and, '
        'where the package pydensecrf is installed, that beside it and the largest difference '
        'of the probabilities. "kernels" is the part that refinements of one image share.'
    )
    parser.add_argument('image', nargs='?', help='photograph; without it one is drawn')
    parser.add_argument('--size', type=int, nargs=2, default=[375, 500], help='height and width')
    parser.add_argument('--labels', type=int, nargs='+', default=[3, 21], help='numbers of labels')
    parser.add_argument(
        '--sxy', type=number(float, 0.01), default=80, help='deviation of positions (80)'
    )
    parser.add_argument(
        '--srgb', type=number(float, 0.01), default=13, help='deviation of colours (13)'
    )
    parser.add_argument('--iters', type=int, default=10, help='updates of the mean field (10)')
    parser.add_argument('--repeats', type=int, default=5, help='the fastest counts (5)')
    parser.add_argument('--device', help='of the torch back end: cuda where there is one, else cpu')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads of PyTorch (1)')
    args = parser.parse_args(argv)
    if min(*args.size, *args.labels, args.iters, args.repeats, args.threads) < 1:
        parser.error('sizes, labels, iterations, repeats and threads must be at least 1')
    args.device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    check_device(args.device)
    return args


def noise(size: Sequence[int], channels: int, cell: int, seed: int) -> np.ndarray:
    """Return smooth noise ``(H, W, channels)`` that changes over ``cell`` pixels."""
    shape = [max(2, length // cell) for length in size]
    coarse = np.random.default_rng(seed).standard_normal((*shape, channels)).astype(np.float32)
    return cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)


def load_image(path: str | None, size: Sequence[int]) -> Tensor:
    """Read a photograph, or draw what has regions, shades and grain as one; RGB uint8."""
    if path is None:
        regions = np.sign(noise(size, 3, 60, seed=0)) * 50 + noise(size, 3, 30, seed=1) * 15
        image = (128 + regions + noise(size, 3, 1, seed=2) * 8).clip(0, 255).astype(np.uint8)
    else:
        try:
            image = decode_image(read_content(path), path)
        except OSError as error:
            raise UsageError(
                f'{path} cannot be read ({error.strerror}): name a picture.'
            ) from error
        image = cv2.resize(image[..., ::-1], (size[1], size[0]))
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]


def measure(args: argparse.Namespace, images: Tensor, labels: int, package: bool) -> list[str]:
    """Return a row of the table: one number of labels on all back ends."""
    settings = dict(bilateral=dict(sxy=args.sxy, srgb=args.srgb, weight=10))
    crf = DenseCRF(args.iters, **settings)
    logits = torch.from_numpy(noise(args.size, labels, 40, seed=3)).permute(2, 0, 1)[None] * 2
    probs = logits.softmax(dim=1)
    here, there = images.to(args.device), probs.to(args.device)
    functions = [lambda: crf.kernels(here), lambda: crf(here, there)]
    if package:
        other = DenseCRF(args.iters, **settings, backend='pydensecrf')
        functions.append(lambda: other(images, probs))
    kernels, ours, *theirs = best_seconds(functions, repeats=args.repeats, device=args.device)
    row = [str(labels), f'{ours:.3f}', f'{kernels:.3f}']
    if not package:
        return [*row, '-', '-', '-', '-']
    out, expected = crf(here, there).cpu(), other(images, probs)
    same = (out.argmax(dim=1) == expected.argmax(dim=1)).float().mean()
    difference = (out - expected).abs().max()
    return [*row, f'{theirs[0]:.3f}', f'{ours / theirs[0]:.2f}', f'{difference:.1e}', f'{same:.4%}']


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool."""
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    images = load_image(args.image, args.size)
    package = importlib.util.find_spec('pydensecrf') is not None
    columns = ['labels', 'torch s', 'of it kernels', 'pydensecrf s', 'ratio', 'difference', 'same']
    table = PrettyTable(columns, align='r')
    for labels in args.labels:
        table.add_row(measure(args, images, labels, package))
    name = torch.cuda.get_device_name() if args.device.startswith('cuda') else args.device
    print(
        f'{args.image or "drawn image"}, {args.size[0]} x {args.size[1]}, {args.iters} iterations, '
        f'torch on {name}, {args.threads} CPU threads'
    )
    print(table)
    if not package:
        print('pydensecrf is not installed: pip install pydensecrf2')
    return 0


if __name__ == '__main__':
    with one_sentence('benchmark_dense_crf.py'):
        sys.exit(main())
