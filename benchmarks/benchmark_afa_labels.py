"""Compare AFA's pseudo labels of a whole batch with the same formulas image by image."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import torch
import torch.nn.functional as F
from benchmark_par import unfolded
from measure import CHILD, best_seconds, extra_memory, run_child
from prettytable import PrettyTable
from torch import Tensor

from mmwsss.apis.trained_model import check_device
from mmwsss.cli.launch import one_sentence
from mmwsss.models import PAR
from mmwsss.models.refiners import refine_scores
from mmwsss.models.segmentors.afa_routes import affinity_route_scores, cam_route_scores
from mmwsss.ops import (
    combine_seed_labels,
    pad_tags,
    tagged_labels,
    valid_mask,
)

MEGABYTE = 2**20
BG_SCORES = (0.35, 0.55)
RADIUS = 8
ROUTES = ('cam', 'affinity')
resize = partial(F.interpolate, mode='bilinear', align_corners=False)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Measure both routes to AFA's pseudo labels for a batch of crops, as this "
        'package computes them (batched: all images and both background scores at once) and one '
        'image and one score after the other, each with a PAR of its own, that of this package '
        '(looped) or all neighbours unfolded (plain). Times are the best of several turns; memory '
        'is what one call needs above its inputs.'
    )
    parser.add_argument('--size', type=int, nargs=2, default=[256, 256], help='height and width')
    parser.add_argument('--batch-size', type=int, default=8, help='crops (default: 8)')
    parser.add_argument('--iters', type=int, default=10, help='iterations (default: 10)')
    parser.add_argument('--repeats', type=int, default=3, help='turns (default: 3)')
    parser.add_argument('--device', help='cuda where there is one, else cpu')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads (default: 1)')
    args = parser.parse_args(argv)
    if min(*args.size, args.batch_size, args.iters, args.repeats, args.threads) < 1:
        parser.error('sizes, crops, iterations, turns and threads must be at least 1')
    args.device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    check_device(args.device)
    return args


def make_batch(args: argparse.Namespace) -> dict:
    """Return random images and maps, with tags and boxes such as crops of VOC have."""
    torch.manual_seed(0)
    height, width = args.size
    grid = tuple(max(1, side * 3 // 2 // 16) for side in args.size)
    cells = grid[0] * grid[1]
    boxes = []
    for scale in torch.linspace(0.5, 2, args.batch_size).tolist():
        # photographs of 375 x 500 in a crop of 512, at a side
        bottom, right = (
            max(1, min(side, int(side * length * scale / 512)))
            for side, length in ((height, 375), (width, 500))
        )
        boxes.append((height - bottom, 0, height, right))
    return dict(
        images=torch.rand(args.batch_size, 3, height, width, device=args.device),
        cams=torch.rand(args.batch_size, 20, height, width, device=args.device),
        affinity=torch.rand(args.batch_size, cells, cells, device=args.device),
        tags=[torch.arange(1 + i % 3, device=args.device) * 6 for i in range(args.batch_size)],
        boxes=boxes,
        grid=grid,
    )


def batched(batch: dict, route: str, num_iters: int) -> Tensor:
    """Return the labels of a batch at once."""
    images, boxes, classes = batch['images'], batch['boxes'], pad_tags(batch['tags'])
    refine = partial(refine_scores, PAR(num_iters))
    if route == 'cam':
        scores = cam_route_scores(images, batch['cams'], classes, refine)
    else:
        inputs = images, batch['cams'], batch['affinity'], classes, boxes
        scores = affinity_route_scores(*inputs, grid=batch['grid'], refine=refine)
    valid = valid_mask(torch.tensor(boxes), images.shape[2:]).to(images.device)
    return tagged_labels(scores, classes, valid)


@lru_cache
def near_cells(height: int, width: int, radius: int, device: torch.device) -> Tensor:
    """Return which pairs of cells are near each other, once for each grid."""
    cells = torch.cartesian_prod(torch.arange(height), torch.arange(width)).to(device)
    return ((cells[:, None] - cells).abs() <= radius).all(dim=-1)


def propagate(maps: Tensor, affinity: Tensor) -> Tensor:
    """Return the maps ``(1, C, h, w)`` spread along the affinity of an image."""
    links = (affinity * near_cells(*maps.shape[2:], RADIUS, maps.device)) ** 2
    return (maps.flatten(2) @ (links / (links.sum(dim=0, keepdim=True) + 0.1))).view_as(maps)


def refine(image: Tensor, maps: Tensor, par: PAR, plain: bool) -> Tensor:
    """Return the maps of an image after PAR at half size."""
    size = image.shape[2:]
    image = resize(image, [max(1, side // 2) for side in size])
    if plain:
        maps = F.interpolate(maps, image.shape[2:], mode='bilinear', align_corners=True)
        return resize(unfolded(image, maps, par.dilations, par.num_iters), size)
    return resize(par(image, maps), size)


def label_alone(
    batch: dict, i: int, score: float, route: str, refine: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Return the labels of one image for one background score."""
    image, tags = batch['images'][i : i + 1], batch['tags'][i]
    top, left, bottom, right = batch['boxes'][i]
    size = image.shape[2:]
    coarse = [max(1, side // 2) for side in size] if route == 'cam' else batch['grid']
    maps = F.pad(batch['cams'][i : i + 1, tags], (0, 0, 0, 0, 1, 0), value=score)
    maps = resize(maps, coarse).softmax(dim=1)
    if route == 'cam':
        maps = refine(image, maps)
    else:
        inside = (..., slice(top, bottom), slice(left, right))
        full = resize(propagate(maps, batch['affinity'][i]), size)
        maps = torch.zeros_like(full)
        maps[inside] = refine(image[inside], full[inside])
    return torch.cat([tags.new_zeros(1), tags + 1])[maps.argmax(dim=1)]


def looped(batch: dict, route: str, num_iters: int, plain: bool = False) -> Tensor:
    """Return the labels of a batch, one image and one background score after the other."""
    refined = partial(refine, par=PAR(num_iters), plain=plain)
    labels = torch.full_like(batch['images'][:, 0], 255, dtype=torch.uint8)
    for i, (top, left, bottom, right) in enumerate(batch['boxes']):
        low, high = (label_alone(batch, i, score, route, refined)[0] for score in BG_SCORES)
        inside = (slice(top, bottom), slice(left, right))
        labels[i][inside] = combine_seed_labels(high, low)[inside]
    return labels


FORMS = dict(batched=batched, looped=looped, plain=partial(looped, plain=True))


def make_forms(args: argparse.Namespace, route: str) -> dict[str, Callable[[], Tensor]]:
    """Return both forms on the same batch."""
    torch.set_num_threads(args.threads)
    batch = make_batch(args)
    return {name: partial(form, batch, route, args.iters) for name, form in FORMS.items()}


def measure(args: argparse.Namespace, route: str) -> list[list[str]]:
    """Return the rows of the table for a route."""
    forms = make_forms(args, route)
    labels = forms['batched']()
    seconds = best_seconds(list(forms.values()), repeats=args.repeats, device=args.device)
    rows = []
    for (name, form), time in zip(forms.items(), seconds, strict=True):
        peak = run_child(__file__, dict(vars(args), route=route, form=name)) / MEGABYTE
        differ = 100 * (form() != labels).float().mean().item()
        ratio = f'{time / seconds[0]:.1f}'
        rows.append([route, name, f'{time:.4f}', ratio, f'{peak:.1f}', f'{differ:.4f}'])
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] == [CHILD]:
        args = argparse.Namespace(**json.loads(argv[1]))
        function = make_forms(args, args.route)[args.form]
        tiny = argparse.Namespace(**dict(vars(args), size=[16, 16], batch_size=1))
        make_forms(tiny, args.route)[args.form]()  # libraries
        print(extra_memory(function, args.device))
        return 0
    args = parse_args(argv)
    columns = ['route', 'form', 'seconds', 'times batched', 'peak MiB', '% of pixels differ']
    table = PrettyTable(columns, align='r')
    for route in ROUTES:
        table.add_rows(measure(args, route))
    print(
        f'{args.batch_size} crops of {args.size[0]} x {args.size[1]}, {args.iters} iterations, '
        f'{args.device}'
    )
    print(table)
    return 0


if __name__ == '__main__':
    with one_sentence('benchmark_afa_labels.py'):
        sys.exit(main())
