"""Compare the random walk along pairs with the power of a dense matrix of all cells."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence

import torch
from measure import CHILD, best_seconds, extra_memory, run_child
from prettytable import PrettyTable
from torch import Tensor

from mmwsss.apis.trained_model import check_device
from mmwsss.cli.launch import one_sentence
from mmwsss.ops import half_disc_offsets, random_walk
from mmwsss.utils import number

MEGABYTE = 2**20


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Measure the random walk of one image from the affinities of its pairs, as '
        'this package computes it and as the power of a dense matrix, and the largest '
        'difference of each from the dense matrix in float64. Times are the best of several '
        'turns; memory is what one call needs above its inputs.'
    )
    parser.add_argument('--size', type=int, nargs=2, default=[47, 63], help='rows and columns')
    parser.add_argument('--maps', type=int, default=3, help='number of maps (default: 3)')
    parser.add_argument('--beta', type=number(float, 0), default=8, help='exponent (default: 8)')
    parser.add_argument('--steps', type=int, default=64, help='length of the walk (default: 64)')
    parser.add_argument(
        '--radius', type=number(int, 1), default=5, help='of the pairs (default: 5)'
    )
    parser.add_argument('--no-dense', action='store_true', help='measure the walk alone')
    parser.add_argument('--repeats', type=int, default=3, help='turns (default: 3)')
    parser.add_argument('--device', help='cuda where there is one, else cpu')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads (default: 1)')
    args = parser.parse_args(argv)
    if min(*args.size, args.maps, args.steps, args.repeats, args.threads) < 1:
        parser.error('sizes, numbers of maps, steps, turns and threads must be at least 1')
    args.device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    check_device(args.device)
    return args


def dense_matrix(affinity: Tensor, radius: int) -> Tensor:
    """Return the ``(h * w, h * w)`` affinities of one image from those of its pairs."""
    height, width = affinity.shape[2:]
    cells = torch.arange(height * width, device=affinity.device).view(height, width)
    matrix = torch.eye(height * width, dtype=affinity.dtype, device=affinity.device)
    for plane, (dy, dx) in zip(affinity[0], half_disc_offsets(radius).tolist(), strict=True):
        # an offset beyond the plane has no pairs: a negative end would count from the other side
        left, right = max(0, -dx), max(0, width - max(0, dx))
        source = cells[: max(0, height - dy), left:right].flatten()
        target = source + dy * width + dx
        matrix[source, target] = matrix[target, source] = plane.flatten()[source]
    return matrix


def dense_walk(maps: Tensor, affinity: Tensor, *, radius: int, beta: float, num_steps: int):
    """Return the maps of one image times the power of the dense transition matrix."""
    transition = dense_matrix(affinity, radius).pow(beta)
    transition = transition / transition.sum(dim=0, keepdim=True)
    return (maps.flatten(2) @ torch.linalg.matrix_power(transition, num_steps)).view_as(maps)


def make_forms(args: argparse.Namespace) -> dict[str, Callable[[], Tensor]]:
    """Return the forms on the same random maps and affinities."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    maps = torch.rand(1, args.maps, *args.size, device=args.device)
    directions = len(half_disc_offsets(args.radius))
    affinity = torch.rand(1, directions, *args.size, device=args.device)
    settings = dict(radius=args.radius, beta=args.beta, num_steps=args.steps)
    return dict(
        pairs=lambda: random_walk(maps, affinity, **settings),
        dense=lambda: dense_walk(maps, affinity, **settings),
        exact=lambda: dense_walk(maps.double(), affinity.double(), **settings),
    )


def memory_here(args: argparse.Namespace) -> int:
    """Return the bytes that one call of a form needs, after one on a few cells."""
    function = make_forms(args)[args.form]
    make_forms(argparse.Namespace(**dict(vars(args), size=[8, 8], steps=2)))[args.form]()
    return extra_memory(function, args.device)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] == [CHILD]:
        print(memory_here(argparse.Namespace(**json.loads(argv[1]))))
        return 0
    args = parse_args(argv)
    names = ['pairs'] if args.no_dense else ['pairs', 'dense']
    forms = make_forms(args)
    exact = None if args.no_dense else forms['exact']()
    seconds = best_seconds(
        [forms[name] for name in names], repeats=args.repeats, device=args.device
    )
    table = PrettyTable(['form', 'seconds', 'peak MiB', 'largest error'], align='r')
    table.align['form'] = 'l'
    for name, time in zip(names, seconds, strict=True):
        peak = run_child(__file__, dict(vars(args), form=name)) / MEGABYTE
        error = '-' if exact is None else f'{(forms[name]() - exact).abs().max().item():.1e}'
        table.add_row([name, f'{time:.4f}', f'{peak:.1f}', error])
    cells = args.size[0] * args.size[1]
    print(f'{cells} cells, {args.maps} maps, {args.steps} steps, {args.device}')
    print(table)
    if not args.no_dense:
        print(f'{seconds[1] / seconds[0]:.0f} times faster')
    return 0


if __name__ == '__main__':
    with one_sentence('benchmark_random_walk.py'):
        sys.exit(main())
