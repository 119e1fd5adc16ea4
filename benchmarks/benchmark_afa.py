"""Compare AFA's training step with the same formulas run as the published code runs them."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from benchmark import build_model
from benchmark_afa_labels import looped, near_cells
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import init_default_scope
from mmseg.models.decode_heads import SegformerHead
from mmseg.structures import SegDataSample
from steps import Forms, compare_steps, paired_steps
from torch import Tensor, nn

import mmwsss  # noqa: F401 - registers everything
from mmwsss.apis.trained_model import check_device
from mmwsss.cli.launch import one_sentence
from mmwsss.models.segmentors import AFA
from mmwsss.ops import min_max_norm

CONFIG = Path(__file__).parents[1] / 'configs/afa/afa_mit-b1_voc.py'
NUM_TAGS = 20  # of VOC
TINY = 64  # side of the crop that loads libraries
resize = partial(F.interpolate, mode='bilinear', align_corners=False)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Measure a training step of AFA (forward pass, pseudo masks, losses, backward '
        'pass) as this package computes it and in the plain form of the published code: attention '
        'of every block kept, whole passes of the network for the maps of each scale, both routes '
        'to pseudo masks at every iteration, image by image and score by score, PAR with all '
        'neighbours unfolded. Weights and images are random, and drop path and dropout off, so '
        'that both give the same losses; the tool returns 1 if they do not. Times are the best of '
        'several turns; memory is what one step needs at most above weights, gradients and '
        'batch.'
    )
    parser.add_argument('--size', type=int, default=512, help='side of a crop (default: 512)')
    parser.add_argument('--batch-size', type=int, default=2, help='crops (default: 2)')
    parser.add_argument(
        '--iteration', type=int, default=10**6, help='of the training (default: its last phase)'
    )
    parser.add_argument(
        '--reg', action='store_true', help='with the regularised loss, which the plain form lacks'
    )
    parser.add_argument('--repeats', type=int, default=3, help='turns (default: 3)')
    parser.add_argument('--device', help='cuda where there is one, else cpu')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads (default: 1)')
    args = parser.parse_args(argv)
    if min(args.batch_size, args.repeats, args.threads) < 1 or args.size < TINY:
        parser.error(f'crops, turns and threads must be at least 1, the size at least {TINY}')
    args.device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    check_device(args.device)
    return args


def make_model(args: argparse.Namespace) -> AFA:
    """Return a model of the config that gives the same losses in both forms."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    MMLogger.get_current_instance().setLevel(logging.WARNING)
    cfg = Config.fromfile(CONFIG)
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    cfg.model.backbone.drop_path_rate = cfg.model.decode_head.dropout_ratio = 0.0
    if not args.reg:
        cfg.model.loss_reg = None
    settings = dict(size=[args.size], device=args.device, channels_last=False, mode='train')
    model = build_model(cfg, argparse.Namespace(**settings))
    MessageHub.get_current_instance().update_info('iter', args.iteration)
    return model


def make_batch(args: argparse.Namespace, size: int) -> dict:
    """Return random crops with one to three tags, padded as photographs of 375 x 500 are."""
    torch.manual_seed(1)
    samples = []
    for i, scale in enumerate(torch.linspace(0.8, 1.6, args.batch_size).tolist()):
        height, width = (min(size, int(size * side * scale / 512)) for side in (375, 500))
        samples.append(SegDataSample(metainfo=dict(valid_box=(size - height, 0, size, width))))
        tags = torch.arange(1 + i % 3) * 6
        score = torch.zeros(NUM_TAGS).index_fill_(0, tags, 1)
        samples[-1].set_data(dict(gt_label=tags, gt_score=score))
    # blobs: maps of noise would be even, and nothing background
    inputs = resize(torch.randn(args.batch_size, 3, 6, 6), size).mul_(2).clamp_(-2, 2)
    samples = [sample.to(args.device) for sample in samples]
    return dict(inputs=inputs.to(args.device), data_samples=samples)


@torch.no_grad()
def fit_classes(model: AFA, inputs: Tensor) -> None:
    """Make each class what a place of the crops shows, so that maps are high in parts of them."""
    feats = model.extract_feat(inputs)[-1].transpose(0, 1).flatten(1)  # (C, places)
    weight = model.cam_head.conv_cam.weight
    places = torch.linspace(0, feats.shape[1] - 1, len(weight), device=feats.device).long()
    weight.copy_(feats[:, places].t()[..., None, None])


def plain_attention(layer: nn.Module, x: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the output of an attention layer and a copy of its raw attention.

    Where keys are reduced, the copy is averaged over the same blocks of queries.
    """
    weight, bias = layer.attn.in_proj_weight, layer.attn.in_proj_bias
    channels, heads = x.shape[2], layer.attn.num_heads
    queries = F.linear(x, weight[:channels], bias[:channels])
    if layer.sr_ratio > 1:
        x = layer.norm(layer.sr(x.transpose(1, 2).unflatten(2, size)).flatten(2).transpose(1, 2))
    keys, values = F.linear(x, weight[channels:], bias[channels:]).chunk(2, dim=2)
    queries, keys, values = (
        y.unflatten(2, (heads, -1)).transpose(1, 2) for y in (queries, keys, values)
    )
    raw = queries @ keys.transpose(2, 3)
    out = (raw * queries.shape[3] ** -0.5).softmax(dim=3) @ values
    copy = raw.clone()
    if layer.sr_ratio > 1:
        block = (layer.sr_ratio, layer.sr_ratio, 1)
        copy = F.avg_pool3d(copy.unflatten(2, size), block).flatten(2, 3)
    return layer.attn.out_proj(out.transpose(1, 2).flatten(2)), copy


def plain_network(model: AFA, x: Tensor) -> dict[str, Tensor | list[Tensor]]:
    """Run the whole network."""
    feats, attentions = [], []
    for embed, blocks, norm in model.backbone.layers:
        x, size = embed(x)
        for block in blocks:
            out, attention = plain_attention(block.attn, block.norm1(x), size)
            x = x + out
            first, local, activate, _, second, _ = block.ffn.layers
            hidden = F.linear(block.norm2(x), first.weight.flatten(1), first.bias)
            hidden = local(hidden.transpose(1, 2).unflatten(2, size)).flatten(2).transpose(1, 2)
            x = x + F.linear(activate(hidden), second.weight.flatten(1), second.bias)
            attentions.append(attention)
        x = norm(x).transpose(1, 2).unflatten(2, size).contiguous()
        feats.append(x)
    # whatever form of the fusion the head of this package has
    seg = SegformerHead.forward(model.decode_head, feats)
    cam, scores = model.cam_head(feats)
    maps = torch.cat([attentions[i] for i in model.backbone.attention_blocks], dim=1)
    maps = maps + maps.transpose(2, 3)
    affinity = model.affinity_head.conv(maps).sigmoid()[:, 0]
    return dict(attentions=attentions, seg=seg, cam=cam, scores=scores, affinity=affinity)


@torch.no_grad()
def plain_cams(model: AFA, inputs: Tensor) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """Return the maps of all scales, normalised, the affinity of the largest, and its grid."""
    size, cams, affinities, grids = inputs.shape[2:], [], [], []
    for scale in model.cam_scales:
        x = inputs if scale == 1 else resize(inputs, [int(side * scale) for side in size])
        outputs = plain_network(model, torch.cat([x, x.flip(3)]))
        cam, mirrored = resize(outputs['cam'], size).chunk(2)
        cams.append(torch.maximum(cam, mirrored.flip(3)).relu())
        affinities.append(outputs['affinity'])
        grids.append(tuple(outputs['cam'].shape[2:]))
    largest = model.cam_scales.index(max(model.cam_scales))
    return min_max_norm(torch.stack(cams).sum(dim=0)), affinities[largest], grids[largest]


def plain_pairs(masks: Tensor, grid: tuple[int, int], radius: int) -> Tensor:
    """Return the labels of all pairs of cells."""
    cells = F.interpolate(masks[:, None].float(), grid).flatten(2)
    cells = cells.repeat(1, cells.shape[2], 1)
    labels = (cells == cells.transpose(1, 2)).long()
    for label, cell in zip(labels, cells[:, 0], strict=True):
        label[~near_cells(*grid, radius, label.device)] = 255
        label[:, cell == 255] = 255
        label[cell == 255] = 255
    return labels


def plain_losses(model: AFA, inputs: Tensor, data_samples: list[SegDataSample]) -> dict:
    """Return the losses of a batch."""
    mean, std = model.data_preprocessor.mean, model.data_preprocessor.std
    images = (inputs * std + mean).clamp(0, 255).trunc() / 255
    outputs = plain_network(model, inputs)
    cams, affinity, grid = plain_cams(model, inputs)
    boxes = [sample.valid_box for sample in data_samples]
    tags = [sample.gt_label for sample in data_samples]
    found = dict(images=images, cams=cams, affinity=affinity, tags=tags, boxes=boxes, grid=grid)
    iters = model.refiner.num_iters
    masks = {route: looped(found, route, iters, plain=True) for route in ('cam', 'affinity')}
    cfg, iteration = model.train_cfg, MessageHub.get_current_instance().get_info('iter')
    pairs = plain_pairs(masks['cam'], tuple(outputs['cam'].shape[2:]), model.radius)
    same, different = (pairs == 1).short(), (pairs == 0).short()
    attract = (same * (1 - outputs['affinity'])).sum() / (same.sum() + 1)
    repel = (different * outputs['affinity']).sum() / (different.sum() + 1)
    target = masks['affinity' if iteration > cfg.switch_iters else 'cam'].long()
    logits = resize(outputs['seg'], target.shape[1:])
    halves = [
        F.cross_entropy(logits, target.masked_fill(other, 255), ignore_index=255)
        for other in (target != 0, target == 0)
    ]
    scores = torch.stack([sample.gt_score for sample in data_samples])
    weight = 0.1 if iteration > cfg.warmup_iters else 0
    return dict(
        loss_cls=F.multilabel_soft_margin_loss(outputs['scores'], scores),
        loss_affinity=weight * (attract + repel) / 2,
        loss_seg=weight * sum(halves) / 2,
    )


def make_forms(args: argparse.Namespace) -> Forms:
    """Return both forms of a step on a batch, which share a model and return their losses."""
    model = make_model(args)
    fit_classes(model, make_batch(args, args.size)['inputs'])
    return paired_steps(model, plain_losses)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; return 1 if the losses differ."""
    return compare_steps(
        __file__,
        argv,
        parse_args=parse_args,
        make_forms=make_forms,
        make_batch=make_batch,
        tiny=TINY,
        title=lambda args: (
            f'iteration {args.iteration}, {args.batch_size} crops of {args.size} x {args.size}, '
            f'{args.device}'
        ),
    )


if __name__ == '__main__':
    with one_sentence('benchmark_afa.py'):
        sys.exit(main())
