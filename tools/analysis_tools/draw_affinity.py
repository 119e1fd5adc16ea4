"""Draw how alike a network finds all places of a photograph and one: its affinity or attention."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mmwsss.cli.launch import add_common_options, check_checkpoint, load_config, run_tool
from mmwsss.errors import UsageError

import numpy as np

if TYPE_CHECKING:
    from mmwsss.models.segmentors.pair_maps import PairMaps

    from mmengine.config import Config
    from torch import nn

CROSS = 0.02  # arms of a cross, of the longer side


def point(text: str) -> tuple[int, int]:
    """Read ``X,Y``."""
    try:
        x, y = (int(part) for part in text.split(','))
    except ValueError:
        raise argparse.ArgumentTypeError(f'a point is X,Y in pixels, got {text!r}') from None
    return x, y


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='draw_affinity.py',
        description='Draw the affinity of SEAM or the attention and the affinity of AFA at points '
        'of a photograph: a row for each point, blue for the smallest value and red for the '
        'largest.',
    )
    parser.add_argument('config', help='config of a SEAM or an AFA')
    parser.add_argument('checkpoint', help='file or address of the weights')
    parser.add_argument('photo', help='file of the photograph')
    parser.add_argument(
        '--points', type=point, nargs='+', required=True, metavar='X,Y', help='in pixels'
    )
    parser.add_argument('--out', required=True, metavar='FILE', help='picture: .png, .pdf or .svg')
    parser.add_argument('--device', default='cpu', help='where to compute (cpu)')
    add_common_options(parser)
    parser.set_defaults(work_dir=None)
    return parser


def load_model(cfg: Config, args: argparse.Namespace) -> nn.Module:
    """Return the model of a config with its weights.

    Args:
        cfg: The config.
        args: ``config``, ``checkpoint`` and ``device``.

    Raises:
        UsageError: the weights do not fit, or the model has no maps of pairs.
        CheckpointError: the file is no checkpoint.
    """
    import mmwsss  # noqa: F401 - registers everything
    from mmwsss.cli.fitting import check_weights

    from mmengine.registry import init_default_scope
    from mmengine.runner import CheckpointLoader, load_checkpoint
    from mmseg.registry import MODELS

    init_default_scope(cfg.get('default_scope', 'mmseg'))
    model = MODELS.build(cfg.model)
    if not hasattr(model, 'pair_maps'):
        raise UsageError(
            f'{args.config}: {type(model).__name__} has no affinity of places: give the config of '
            'a SEAM or an AFA.'
        )
    content = CheckpointLoader.load_checkpoint(args.checkpoint, map_location='cpu')
    check_weights(model, content.get('state_dict', content), args.checkpoint)
    load_checkpoint(model, args.checkpoint, map_location='cpu')
    return model.to(args.device).eval()


def find_pairs(args: argparse.Namespace) -> tuple[np.ndarray, PairMaps]:
    """Return the photograph, RGB, and the maps of pairs that a model finds in it.

    Args:
        args: Of the command line.
    """
    from mmengine.dataset import Compose, pseudo_collate

    cfg = load_config(args)
    check_checkpoint(args.checkpoint)
    model = load_model(cfg, args)
    load, *rest = cfg.test_pipeline
    loaded = Compose([load])(dict(img_path=args.photo))
    photo = loaded['img'][..., ::-1].copy()
    data = pseudo_collate([Compose(rest)(loaded)])
    inputs = model.data_preprocessor(data, training=False)['inputs']
    return photo, model.pair_maps(inputs)


def cell_of(place: tuple[int, int], size: tuple[int, int], grid: tuple[int, int]) -> int:
    """Return the number of the cell that a point lies in, in row-major order.

    Args:
        place: x and y in pixels.
        size: Height and width of the photograph.
        grid: Rows and columns of cells.

    Raises:
        UsageError: the point lies outside.
    """
    (x, y), (height, width) = place, size
    if not (0 <= x < width and 0 <= y < height):
        raise UsageError(f'--points: {x},{y} lies outside the photograph of {width} x {height}.')
    return y * grid[0] // height * grid[1] + x * grid[1] // width


def with_cross(photo: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    """Return a copy of a picture with a white cross on black at a point."""
    import cv2

    out, size = photo.copy(), max(3, round(CROSS * max(photo.shape[:2])))
    for color, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.drawMarker(out, place, color, cv2.MARKER_CROSS, 2 * size, width)
    return out


def draw_rows(photo: np.ndarray, pairs: PairMaps, args: argparse.Namespace) -> list[list]:
    """Return a row of pictures for each point: the point, and each map over the photograph."""
    from mmwsss.visualization import draw_cam

    import torch.nn.functional as F

    size, rows = photo.shape[:2], []
    for place in args.points:
        cell, row = cell_of(place, size, pairs.grid), [with_cross(photo, place)]
        for maps in pairs.maps.values():
            values = maps[:1, cell].float().view(1, 1, *pairs.grid)
            values = F.interpolate(values, size, mode='bilinear', align_corners=False)[0, 0]
            values = values - values.min()
            heat = draw_cam(photo, (values / values.max().clamp(min=1e-12)).cpu().numpy())
            row.append(with_cross(heat, place))
        rows.append(row)
    return rows


def main(args: argparse.Namespace) -> None:
    """Draw the picture."""
    from mmwsss.visualization import picture_grid, save_figure

    photo, pairs = find_pairs(args)
    rows = draw_rows(photo, pairs, args)
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    save_figure(picture_grid(rows, ['point', *pairs.maps], cell=3.0), args.out)
    print(f'{args.out}: {len(rows)} points, {", ".join(pairs.maps)}.')


if __name__ == '__main__':
    run_tool(make_parser(), main)
