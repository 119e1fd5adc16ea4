"""Compare MCTformer's training step with the same formulas run as the published code runs them."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from benchmark import build_model, synthetic_batch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmseg.structures import SegDataSample
from steps import Forms, compare_steps, paired_steps
from torch import Tensor

import mmwsss  # noqa: F401 - registers everything
from mmwsss.apis.trained_model import check_device
from mmwsss.cli.launch import one_sentence
from mmwsss.models.segmentors import MCTformer

CONFIGS = Path(__file__).parents[1] / 'configs/mctformer'
VERSIONS = dict(v1=224, v2=224, plus=448)
WIDTHS = dict(tiny=192, small=384, base=768)
TINY = 32  # side of the crop that loads libraries


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Measure a training step of MCTformer (forward pass, losses, backward pass) as '
        'this package computes it and in the plain form of the published code: every attention '
        'matrix held, maps made of them although no loss reads them, the contrast block by block. '
        'Weights and images are random; both give the same losses, and the tool returns 1 if they '
        'do not. Times are the best of several turns; memory is what one step needs at most above '
        'weights, gradients and batch.'
    )
    parser.add_argument(
        '--version', choices=VERSIONS, default='plus', help='of the method (default: plus)'
    )
    parser.add_argument('--size', type=int, help='side of a crop (default: that of the config)')
    parser.add_argument('--batch-size', type=int, default=2, help='crops (default: 2)')
    parser.add_argument(
        '--width', choices=WIDTHS, default='small', help='of the ViT (default: small, as published)'
    )
    parser.add_argument('--repeats', type=int, default=3, help='turns (default: 3)')
    parser.add_argument('--device', help='cuda where there is one, else cpu')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads (default: 1)')
    args = parser.parse_args(argv)
    args.size = VERSIONS[args.version] if args.size is None else args.size
    if min(args.batch_size, args.repeats, args.threads) < 1 or args.size < TINY or args.size % 16:
        parser.error(
            'crops, turns and threads must be at least 1, the size a multiple of 16 and at least '
            f'{TINY}'
        )
    args.device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    check_device(args.device)
    return args


def make_model(args: argparse.Namespace) -> MCTformer:
    """Return a model of the config with random weights."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    MMLogger.get_current_instance().setLevel(logging.WARNING)
    cfg = Config.fromfile(CONFIGS / f'mctformer-{args.version}_deit-s_voc.py')
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    width = WIDTHS[args.width]
    cfg.model.backbone.update(embed_dims=width, num_heads=width // 64)
    settings = dict(size=[args.size], device=args.device, channels_last=False, mode='train')
    return build_model(cfg, argparse.Namespace(**settings))


def plain_encoder(model: MCTformer, x: Tensor) -> tuple[list[Tensor], Tensor, list[Tensor]]:
    """Return class tokens after each block, the map of the patch tokens, and attentions."""
    network, number, kept, attentions = model.backbone, model.backbone.num_class_tokens, [], []
    x, grid = network._embed(x)
    for block in network.layers:
        layer, tokens = block.attn, block.norm1(x)
        projected = layer.qkv(tokens).unflatten(2, (3, layer.num_heads, -1))
        queries, keys, values = projected.permute(2, 0, 3, 1, 4)
        weights = (queries @ keys.transpose(2, 3) * queries.shape[3] ** -0.5).softmax(dim=3)
        out = layer.proj((weights @ values).transpose(1, 2).flatten(2))
        x = x + block.drop_path(out)
        x = x + block.ffn(block.norm2(x))
        kept.append(x[:, :number])
        attentions.append(weights)
    return kept, x[:, number:].transpose(1, 2).unflatten(2, grid), attentions


def plain_maps(model: MCTformer, attentions: list[Tensor], cam: Tensor | None) -> Tensor:
    """Return the maps, which the published forward pass makes in training, too."""
    mean = torch.stack(attentions).mean(dim=2)  # blocks, N, K + L, K + L
    number = model.backbone.num_class_tokens
    relation = mean[-model.attention_blocks :].sum(dim=0)[:, :number, number:]
    return relation if cam is None else relation * cam.detach().flatten(2).relu()


def plain_contrast(tokens: Sequence[Tensor], labels: Tensor) -> Tensor:
    """Return the contrast of class tokens, block by block."""
    total = 0
    target = torch.arange(labels.shape[1], device=labels.device).expand_as(labels)
    for block in tokens:
        cosines = F.cosine_similarity(block[:, :, None], block[:, None], dim=3)
        costs = F.cross_entropy(cosines.transpose(1, 2), target, reduction='none')
        total = total + (costs * labels).sum(dim=1)
    return (total / len(tokens) / (labels.sum(dim=1) + 1e-8)).mean()


def plain_losses(model: MCTformer, inputs: Tensor, data_samples: list[SegDataSample]) -> dict:
    """Return the losses of a batch."""
    labels = torch.stack([sample.gt_score for sample in data_samples]).to(inputs)
    tokens, patches, attentions = plain_encoder(model, inputs)
    soft_margin = F.multilabel_soft_margin_loss
    losses = dict(loss_cls=soft_margin(tokens[-1].mean(dim=2), labels))
    head, scores = model.patch_head, None
    if head is not None:
        scores = head.conv_cam(patches).flatten(2)
        decay = getattr(head.pooling, 'decay', 1.0)
        weights = decay ** torch.arange(scores.shape[2], device=scores.device)
        ordered = scores.sort(dim=2, descending=True).values
        pooled = (ordered * weights).sum(dim=2) / weights.sum()
        losses['loss_patch'] = soft_margin(pooled, labels)
    plain_maps(model, attentions, scores)
    if model.loss_contrast is not None:
        losses['loss_contrast'] = plain_contrast(tokens, labels)
    return losses


def make_batch(args: argparse.Namespace, size: int) -> dict:
    """Return random crops with tags, as the preprocessor hands them on."""
    torch.manual_seed(1)
    batch = synthetic_batch(21, args.batch_size, (size, size))
    inputs = torch.randn(args.batch_size, 3, size, size, device=args.device)
    return dict(inputs=inputs, data_samples=batch['data_samples'])


def make_forms(args: argparse.Namespace) -> Forms:
    """Return both forms of a step on a batch, which share a model and return their losses."""
    model = make_model(args)
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
            f'{args.version}: {args.batch_size} crops of {args.size} x {args.size}, '
            f'{args.width}, {args.device}'
        ),
    )


if __name__ == '__main__':
    with one_sentence('benchmark_mctformer.py'):
        sys.exit(main())
