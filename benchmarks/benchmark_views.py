"""Compare merging views of an image one by one with finishing and keeping all of them first."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from measure import CHILD, best_seconds, extra_memory, run_child
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from prettytable import PrettyTable
from torch import Tensor

from mmwsss.cli.launch import one_sentence
from mmwsss.models import CAMTTAModel
from mmwsss.ops import normalize_cam

MEGABYTE = 2**20
FORMS = ('one by one', 'all at once')
SCALES = (0.5, 1.0, 1.5, 2.0)
STRIDE = 8  # of the maps
BG_SCORE = 0.2
CONFIG = Path(__file__).parents[1] / 'configs/_base_/models/cam_r38-tiny.py'
Views = list[tuple[Tensor, Tensor, bool]]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Measure what 4 scales with mirror cost beside the network: CAMTTAModel, and '
        'every view finished for all classes, image scores as planes, kept and merged. The maps '
        'of the network are random and made before. Times are the best of several turns; memory '
        'is what one call needs above its inputs.'
    )
    parser.add_argument('--size', type=int, nargs=2, default=[480, 640], help='height and width')
    parser.add_argument('--classes', type=int, nargs='+', default=[20, 80], help='(20 80)')
    parser.add_argument('--tags', type=int, default=3, help='classes of the image (3)')
    parser.add_argument('--repeats', type=int, default=3, help='turns (3)')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads (1)')
    args = parser.parse_args(argv)
    if min(*args.size, *args.classes, args.tags, args.repeats, args.threads) < 1:
        parser.error('sizes, classes, tags, turns and threads must be at least 1')
    if args.tags > min(args.classes):
        parser.error('--tags must not be above --classes')
    return args


def make_views(size: Sequence[int], num_classes: int) -> Views:
    """Return the maps and scores of the network for each view, and whether it is mirrored."""
    views = []
    for scale in SCALES:
        grid = [max(1, round(side * scale / STRIDE)) for side in size]
        for mirrored in (False, True):
            maps, scores = torch.randn(1, num_classes, *grid), torch.randn(1, num_classes)
            views.append((maps, scores, mirrored))
    return views


def all_at_once(views: Views, size: Sequence[int], tags: Tensor) -> Tensor:
    """Return the scores of the merged views, background first, ``(K + 1, H, W)``."""
    finished = []
    for maps, scores, mirrored in views:
        inputs = [STRIDE * side for side in maps.shape[2:]]
        maps = F.interpolate(maps, inputs, mode='bilinear', align_corners=False)
        planes = scores[..., None, None].expand(-1, -1, *inputs)
        both = torch.cat([maps, planes], dim=1)
        both = both.flip(3) if mirrored else both
        both = F.interpolate(both, tuple(size), mode='bilinear', align_corners=False)[0]
        cams = both[: len(tags)]
        normalize_cam(cams * tags[:, None, None]).argmax(dim=0)
        finished.append(cams)
    scores = normalize_cam(sum(finished) * tags[:, None, None])
    background = torch.full((1, *size), BG_SCORE)
    scores = torch.cat([background, scores])
    scores.argmax(dim=0)
    return scores


def make_forms(args: argparse.Namespace, num_classes: int) -> dict[str, Callable[[], Tensor]]:
    """Return both forms on the same random maps."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    size, views = tuple(args.size), make_views(args.size, num_classes)
    tags = torch.zeros(num_classes)
    tags[: args.tags] = 1
    init_default_scope('mmseg')
    cfg = Config.fromfile(CONFIG).model
    cfg.cam_head.num_classes = num_classes + 1
    cfg.test_cfg.bg_score = BG_SCORE
    cfg.data_preprocessor.test_cfg = None
    model = MODELS.build(cfg).eval()
    inputs, samples = [], []
    for maps, _, mirrored in views:
        meta = dict(ori_shape=size, flip=mirrored, flip_direction='horizontal')
        inputs.append([torch.zeros(3, *(STRIDE * side for side in maps.shape[2:]))])
        samples.append([SegDataSample(metainfo=meta, gt_score=tags)])
    data = dict(inputs=inputs, data_samples=samples)
    tta = CAMTTAModel(module=model)

    def one_by_one() -> Tensor:
        turn = iter(views)
        model.predict_maps = lambda inputs: next(turn)[:2]
        return tta.test_step(data)[0].seg_logits.data

    forms = (one_by_one, lambda: all_at_once(views, size, tags))
    return dict(zip(FORMS, forms, strict=True))


@torch.no_grad()
def measure(args: argparse.Namespace, num_classes: int) -> list[str]:
    """Return the row of the table for a number of classes."""
    forms = make_forms(args, num_classes)
    results = [form() for form in forms.values()]
    difference = (results[0] - results[1]).abs().max().item()
    del results
    times = best_seconds(list(forms.values()), repeats=args.repeats, device='cpu')
    peaks = [
        run_child(__file__, dict(vars(args), num_classes=num_classes, form=form)) / MEGABYTE
        for form in FORMS
    ]
    return [
        str(num_classes),
        *(f'{seconds:.3f}' for seconds in times),
        f'{times[1] / times[0]:.1f}',
        *(f'{peak:.0f}' for peak in peaks),
        f'{peaks[1] / peaks[0]:.1f}',
        f'{difference:.1e}',
    ]


@torch.no_grad()
def measure_here(args: argparse.Namespace) -> int:
    """Return the bytes that one call of a form needs above its inputs."""
    forms = make_forms(args, args.num_classes)
    make_forms(argparse.Namespace(**dict(vars(args), size=[8, 8])), args.tags)[args.form]()
    return extra_memory(forms[args.form], 'cpu')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] == [CHILD]:
        print(measure_here(argparse.Namespace(**json.loads(argv[1]))))
        return 0
    args = parse_args(argv)
    columns = [f'{form}, {unit}' for unit in ('s', 'MiB') for form in FORMS]
    columns.insert(2, 'faster')
    table = PrettyTable(['classes', *columns, 'smaller', 'largest difference'], align='r')
    for num_classes in args.classes:
        table.add_row(measure(args, num_classes))
    print(f'{args.size[0]} x {args.size[1]}, {args.tags} tags, {2 * len(SCALES)} views')
    print(table)
    return 0


if __name__ == '__main__':
    with one_sentence('benchmark_views.py'):
        sys.exit(main())
