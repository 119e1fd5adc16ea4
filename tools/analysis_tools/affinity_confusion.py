"""Measure the affinity of AFA, and the pair labels that it learns from, with true masks."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from mmwsss.engine.launch import (
    UsageError,
    add_common_options,
    check_checkpoint,
    load_config,
    run_tool,
)

import torch

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.utils.data import DataLoader

KINDS = ('object and object', 'background and background', 'object and background', 'two classes')


class Pairs(NamedTuple):
    """Pairs of neighbouring cells of an image, flat, without those of ignored cells.

    Shapes:
        kind: ``(P,)`` int64, index into ``KINDS`` by the true mask.
        affinity: ``(P,)`` float in [0, 1].
        label: ``(P,)`` 1 the same, 0 different, 255 ignored, by the pseudo mask of training.
    """

    kind: Tensor
    affinity: Tensor
    label: Tensor


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='affinity_confusion.py',
        description='Print, for pairs of cells within reach of each other, the mean affinity that '
        'a trained AFA predicts and how its own pseudo masks label them, by what the true masks '
        'of the test split say of the pair.',
    )
    parser.add_argument('config', help='config of an AFA whose test data have masks')
    parser.add_argument('checkpoint', help='file or address of the weights')
    parser.add_argument('--device', default='cpu', help='where to compute (cpu)')
    add_common_options(parser)
    parser.set_defaults(work_dir=None)
    return parser


def true_kinds(mask: Tensor, grid: tuple[int, int], radius: int) -> Tensor:
    """Return the kind of each pair of cells, -1 where a cell is ignored or out of reach.

    Shapes:
        mask: ``(N, H, W)`` integers.
        returns: ``(N, h * w, h * w)`` int64.
    """
    from mmwsss.ops import pair_label_matrix

    same = pair_label_matrix(mask, grid, radius)
    ground = (mask != 0) & (mask != 255)
    ground = torch.nn.functional.interpolate(ground[:, None].float(), grid).flatten(1) > 0
    both = ground[:, :, None] & ground[:, None, :]
    kinds = torch.where(same == 1, (~both).long(), 2 + both.long())
    return kinds.masked_fill_(same == 255, -1)


def image_pairs(model: nn.Module, data: dict) -> Pairs:
    """Return the pairs of a batch of a data loader."""
    from mmwsss.models.segmentors.afa_labels import pseudo_masks
    from mmwsss.models.segmentors.online_labels import eight_bit_images, known_images
    from mmwsss.models.utils import image_labels
    from mmwsss.ops import pair_label_matrix

    preprocessor = model.data_preprocessor
    batch = preprocessor(data, training=False)
    inputs, samples = batch['inputs'], batch['data_samples']
    tags = image_labels(samples, model.num_classes, inputs.device)
    outputs = model.encode(inputs)[1]
    images = eight_bit_images(inputs, preprocessor.mean, preprocessor.std)
    masks = pseudo_masks(
        known_images(images, samples, tags),
        model.multi_scale_cams(inputs, outputs),
        ['cam'],
        model.refine,
        spreading=model.spreading,
        bg_scores=model.train_cfg.bg_scores,
    )['cam']
    grid = tuple(outputs['cam'].shape[2:])
    true = torch.stack([sample.gt_sem_seg.data[0] for sample in samples]).to(inputs.device)
    kinds = true_kinds(true, grid, model.radius)
    labels = pair_label_matrix(masks, grid, model.radius)
    known = kinds >= 0
    return Pairs(kinds[known], outputs['attn_pred'][known], labels[known])


@torch.no_grad()
def count_pairs(model: nn.Module, batches: Iterable[dict]) -> Tensor:
    """Count the pairs of a data set and add up their affinities.

    Shapes:
        returns: ``(4, 5)`` float64; for each of ``KINDS`` the number of pairs, the sum of their
            affinities, how many have an affinity above 0.5, how many are labelled the same, how
            many different.
    """
    total = torch.zeros(len(KINDS), 5, dtype=torch.float64)
    for data in batches:
        pairs = image_pairs(model, data)
        columns = (
            torch.ones_like(pairs.affinity),
            pairs.affinity,
            pairs.affinity > 0.5,
            pairs.label == 1,
            pairs.label == 0,
        )
        values = torch.stack([column.double() for column in columns], dim=1).cpu()
        total.index_add_(0, pairs.kind.cpu(), values)
    return total


def make_table(total: Tensor) -> str:
    """Return the lines of what :func:`count_pairs` gives, shares in per cent."""
    lines = ['pairs of                    share  affinity  above 0.5  labelled same  different']
    shares = total[:, 0] / total[:, 0].sum()
    for kind, share, row in zip(KINDS, shares, total, strict=True):
        mean, above, same, different = (row[1:] / row[0].clamp(min=1)).tolist()
        lines.append(
            f'{kind:26} {share:5.1%} {mean:9.3f} {above:10.1%} {same:14.1%} {different:10.1%}'
        )
    return '\n'.join(lines)


def load(args: argparse.Namespace) -> tuple[nn.Module, DataLoader]:
    """Return the model and the data loader of its test split.

    Raises:
        UsageError: the config is none of an AFA, or the weights do not fit.
    """
    from mmwsss.engine.fitting import check_weights
    from mmwsss.models import AFA

    from mmengine.registry import init_default_scope
    from mmengine.runner import CheckpointLoader, Runner, load_checkpoint
    from mmseg.registry import MODELS

    cfg = load_config(args)
    check_checkpoint(args.checkpoint)
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    model = MODELS.build(cfg.model)
    if not isinstance(model, AFA):
        raise UsageError(f'{args.config}: {type(model).__name__} is no AFA; give its config.')
    content = CheckpointLoader.load_checkpoint(args.checkpoint, map_location='cpu')
    check_weights(model, content.get('state_dict', content), args.checkpoint)
    load_checkpoint(model, args.checkpoint, map_location='cpu')
    return model.to(args.device).eval(), Runner.build_dataloader(cfg.test_dataloader)


def main(args: argparse.Namespace) -> None:
    """Print the table."""
    print(make_table(count_pairs(*load(args))))


if __name__ == '__main__':
    run_tool(make_parser(), main)
