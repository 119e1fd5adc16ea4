"""Compare pixel-adaptive refinement by slices with the formula written with unfolded neighbours."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from measure import CHILD, best_seconds, extra_memory, run_child
from prettytable import PrettyTable
from torch import Tensor

from mmwsss.apis.trained_model import check_device
from mmwsss.cli.launch import one_sentence
from mmwsss.models import PAR

MEGABYTE = 2**20
FORMS = ('slices', 'unfold')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Measure PAR of one image, as this package computes it (slices of a padded '
        'map) and with all neighbours unfolded at once, and by how much the results differ. '
        'Times are the best of several turns; memory is what one call needs above its inputs.'
    )
    parser.add_argument('--size', type=int, nargs=2, default=[256, 256], help='height and width')
    parser.add_argument('--maps', type=int, nargs='+', default=[3, 21], help='numbers of maps')
    parser.add_argument('--iters', type=int, default=10, help='iterations (default: 10)')
    parser.add_argument('--repeats', type=int, default=3, help='turns (default: 3)')
    parser.add_argument('--device', help='cuda where there is one, else cpu')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads (default: 1)')
    args = parser.parse_args(argv)
    if min(*args.size, *args.maps, args.iters, args.repeats, args.threads) < 1:
        parser.error('sizes, numbers of maps, iterations, turns and threads must be at least 1')
    args.device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    check_device(args.device)
    return args


def unfold_neighbors(maps: Tensor, dilations: Sequence[int]) -> Tensor:
    """Return the 8 neighbours at each dilation, ``(N, C, 8 * len(dilations), H, W)``."""
    outputs = []
    for dilation in dilations:
        padded = F.pad(maps, (dilation,) * 4, mode='replicate')
        window = F.unfold(padded, 3, dilation=dilation).view(*maps.shape[:2], 9, *maps.shape[2:])
        outputs.append(torch.cat([window[:, :, :4], window[:, :, 5:]], dim=2))
    return torch.cat(outputs, dim=2)


def unfolded(images: Tensor, cams: Tensor, dilations: Sequence[int], num_iters: int) -> Tensor:
    """Return the refined maps of the size of the images."""
    neighbors = unfold_neighbors(images, dilations)
    scale = (neighbors.std(dim=2, keepdim=True) + 1e-8) * 0.3
    color = -(((neighbors - images[:, :, None]) / scale) ** 2).mean(dim=1)
    ring = torch.tensor([2.0, 1.0, 2.0, 1.0, 1.0, 2.0, 1.0, 2.0], device=images.device).sqrt()
    distance = torch.cat([ring * dilation for dilation in dilations])
    position = -((distance / (distance.std() + 1e-8) / 0.3) ** 2)
    weights = color.softmax(dim=1) + 0.01 * position.softmax(dim=0).view(1, -1, 1, 1)
    for _ in range(num_iters):
        cams = (unfold_neighbors(cams, dilations) * weights[:, None]).sum(dim=2)
    return cams


def make_forms(args: argparse.Namespace, num_maps: int) -> dict[str, Callable[[], Tensor]]:
    """Return both forms on the same random image and maps."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    images = torch.rand(1, 3, *args.size, device=args.device)
    cams = torch.rand(1, num_maps, *args.size, device=args.device)
    par = PAR(num_iters=args.iters)
    return dict(
        slices=lambda: par(images, cams),
        unfold=lambda: unfolded(images, cams, par.dilations, par.num_iters),
    )


def measure(args: argparse.Namespace, num_maps: int) -> list[str]:
    """Return the row of the table for a number of maps."""
    forms = make_forms(args, num_maps)
    difference = (forms['slices']() - forms['unfold']()).abs().max().item()
    fast, slow = best_seconds(list(forms.values()), repeats=args.repeats, device=args.device)
    small, large = (
        run_child(__file__, dict(vars(args), num_maps=num_maps, form=form)) / MEGABYTE
        for form in FORMS
    )
    return [
        str(num_maps),
        *(f'{seconds:.4f}' for seconds in (fast, slow)),
        f'{slow / fast:.1f}',
        *(f'{peak:.1f}' for peak in (small, large)),
        f'{large / small:.1f}',
        f'{difference:.1e}',
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] == [CHILD]:
        args = argparse.Namespace(**json.loads(argv[1]))
        forms = make_forms(args, args.num_maps)
        make_forms(argparse.Namespace(**dict(vars(args), size=[8, 8])), 1)[args.form]()  # libraries
        print(extra_memory(forms[args.form], args.device))
        return 0
    args = parse_args(argv)
    columns = ['slices, s', 'unfold, s', 'faster', 'slices, MiB', 'unfold, MiB', 'smaller']
    table = PrettyTable(['maps', *columns, 'largest difference'], align='r')
    for num_maps in args.maps:
        table.add_row(measure(args, num_maps))
    print(f'{args.size[0]} x {args.size[1]}, {args.iters} iterations, {args.device}')
    print(table)
    return 0


if __name__ == '__main__':
    with one_sentence('benchmark_par.py'):
        sys.exit(main())
