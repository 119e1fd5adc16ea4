"""Compare ToCo's training step with the same formulas run as the published code runs them."""

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
from benchmark_afa import make_batch, resize
from benchmark_afa_labels import label_alone, refine
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import init_default_scope
from mmseg.structures import SegDataSample
from steps import Forms, compare_steps, paired_steps
from torch import Tensor

import mmwsss  # noqa: F401 - registers everything
from mmwsss.apis.trained_model import check_device
from mmwsss.cli.launch import one_sentence
from mmwsss.models.segmentors import ToCo
from mmwsss.models.segmentors.online_labels import packed_views
from mmwsss.ops import combine_seed_labels, min_max_norm

CONFIG = Path(__file__).parents[1] / 'configs/toco/toco_vit-b_voc.py'
WIDTHS = dict(tiny=192, small=384, base=768)
TINY = 112  # side of the crop that loads libraries, larger than a local crop


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Measure a training step of ToCo (forward pass, pseudo masks, local crops, '
        'losses, backward pass) as this package computes it and in the plain form of the published '
        'code: every attention matrix held, the image put through the encoder three times, maps '
        'of all classes at full size, labels and crops image by image and score by score, PAR with '
        'all neighbours unfolded. Weights and images are random; both give the same losses, and '
        'the tool returns 1 if they do not. Times are the best of several turns; memory is what '
        'one step needs at most above weights, gradients and batch.'
    )
    parser.add_argument('--size', type=int, default=448, help='side of a crop (default: 448)')
    parser.add_argument('--batch-size', type=int, default=2, help='crops (default: 2)')
    parser.add_argument(
        '--width', choices=WIDTHS, default='base', help='of the ViT (default: base, as published)'
    )
    parser.add_argument('--repeats', type=int, default=3, help='turns (default: 3)')
    parser.add_argument('--device', help='cuda where there is one, else cpu')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads (default: 1)')
    args = parser.parse_args(argv)
    if min(args.batch_size, args.repeats, args.threads) < 1 or args.size < TINY or args.size % 16:
        parser.error(
            'crops, turns and threads must be at least 1, the size a multiple of 16 and at least '
            f'{TINY}'
        )
    args.device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    check_device(args.device)
    return args


def make_model(args: argparse.Namespace) -> ToCo:
    """Return a model of the config without the regularised loss, which the plain form lacks."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    MMLogger.get_current_instance().setLevel(logging.WARNING)
    cfg = Config.fromfile(CONFIG)
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    width = WIDTHS[args.width]
    cfg.model.backbone.update(embed_dims=width, num_heads=width // 64)
    parts = (cfg.model.cam_head, cfg.model.auxiliary_head, cfg.model.decode_head)
    for part in (*parts, cfg.model.contrast_head.module):
        part.in_channels = width
    cfg.model.loss_reg = None
    # views of any size
    cfg.model.data_preprocessor.update(size=None, size_divisor=16)
    settings = dict(size=[args.size], device=args.device, channels_last=False, mode='train')
    model = build_model(cfg, argparse.Namespace(**settings))
    MessageHub.get_current_instance().update_info('iter', 10**6)
    return model


@torch.no_grad()
def fit_classes(model: ToCo, inputs: Tensor) -> None:
    """Make each class what a place of the crops shows, so that maps are high in parts of them."""
    for head, feats in zip(model.class_heads[::-1], model.backbone(inputs), strict=True):
        feats = feats.transpose(0, 1).flatten(1)  # (C, places)
        weight = head.conv_cam.weight
        places = torch.linspace(0, feats.shape[1] - 1, len(weight), device=feats.device).long()
        weight.copy_(F.normalize(feats[:, places] - feats.mean(1, keepdim=True), dim=0).t()[
            ..., None, None])  # fmt: skip


def plain_encoder(model: ToCo, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return patch tokens of the auxiliary and of the last block and the class token."""
    network = model.backbone
    x, grid = network._embed(x)
    for i, block in enumerate(network.layers):
        layer, tokens = block.attn, block.norm1(x)
        projected = layer.qkv(tokens).unflatten(2, (3, layer.num_heads, -1))
        queries, keys, values = projected.permute(2, 0, 3, 1, 4)
        weights = (queries @ keys.transpose(2, 3) * queries.shape[3] ** -0.5).softmax(dim=3)
        x = x + layer.proj((weights @ values).transpose(1, 2).flatten(2))
        x = x + block.ffn(block.norm2(x))
        if i == network.out_indices[0]:
            aux = x
    x = network.norm(x)
    maps = (tokens[:, 1:].transpose(1, 2).unflatten(2, grid) for tokens in (aux, x))
    return (*maps, x[:, 0])


@torch.no_grad()
def plain_cams(model: ToCo, inputs: Tensor) -> list[Tensor]:
    """Return the maps of all classes and scales, normalised, of the last and auxiliary head."""
    size, sums = inputs.shape[2:], [0, 0]
    for scale in model.cam_scales:
        x = inputs if scale == 1 else resize(inputs, [int(side * scale) for side in size])
        aux, last, _ = plain_encoder(model, torch.cat([x, x.flip(3)]))
        for k, (head, feats) in enumerate(zip(model.class_heads, (last, aux), strict=True)):
            cam, mirrored = resize(head.conv_cam(feats), size).chunk(2)
            sums[k] = sums[k] + torch.maximum(cam, mirrored.flip(3)).relu()
    return [min_max_norm(maps) for maps in sums]


def plain_masks(model: ToCo, images: Tensor, cams: Tensor, tags: list[Tensor]) -> Tensor:
    """Return the pseudo masks, one image and one score after the other, boxes left out."""
    batch = dict(images=images / 255, cams=cams, tags=tags)
    batch['boxes'] = [(0, 0, *images.shape[2:])] * len(images)
    refined = partial(refine, par=model.refiner, plain=True)
    labels = []
    for i in range(len(images)):
        low, high = (label_alone(batch, i, s, 'cam', refined) for s in model.train_cfg.bg_scores)
        labels.append(combine_seed_labels(high, low))
    return torch.cat(labels)


def plain_crops(model: ToCo, images: Tensor, best: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Return local crops, view by view, and which are positive, image by image."""
    low, high = model.train_cfg.bg_scores
    size, crops, flags = model.crop_size, [], []
    for image, score in zip(images, best, strict=True):
        regions = (score > low).long() + (score >= high)
        rows, columns = (side - size for side in regions.shape)
        centres = regions[size // 2 : size // 2 + rows, size // 2 : size // 2 + columns]
        corners = (centres < 2).nonzero()
        if len(corners) < model.num_crops:
            corners = torch.ones_like(centres).nonzero()
        chosen = corners[torch.randperm(len(corners))[: model.num_crops]].tolist()
        windows = [(..., slice(y, y + size), slice(x, x + size)) for y, x in chosen]
        crops.append(torch.stack([image[window] for window in windows]))
        flags.append([regions[window].float().mean() > 0.2 for window in windows])
    return torch.stack(crops, dim=1).flatten(0, 1), torch.tensor(flags)


def plain_class_contrast(
    student: Tensor, teacher: Tensor, positive: Tensor, temperature: float
) -> Tensor:
    """Return the contrast of class tokens, image by image and view by view."""
    total = 0
    for i, flags in enumerate(F.pad(positive, (2, 0), value=True)):
        for t in teacher[:, i]:
            e = (student[:, i] @ t / temperature).exp()
            negative = e[~flags].sum()
            terms = -torch.log(e[flags] / (e[flags] + negative + 1e-4)).sum()
            terms = terms + torch.log(1 + negative + 1e-4)
            total = total + terms / len(teacher) / (flags.sum() + 1e-4)
    return total / len(positive)


def plain_patch_contrast(model: ToCo, feats: Tensor, best: list[Tensor], tags: list) -> Tensor:
    """Return the contrast of patch tokens; ``best`` are the tagged maps of each image."""
    low, high = model.train_cfg.bg_scores
    pairs = []
    for maps, tag in zip(best, tags, strict=True):
        value, place = resize(maps[None], feats.shape[2:])[0].flatten(1).max(dim=0)
        label = torch.where(value <= low, 0, torch.where(value <= high, 255, tag[place] + 1))
        pair = (label[:, None] == label).long()
        known = (label[:, None] != 255) & (label != 255) & ~torch.eye(len(label)).bool().to(label)
        pairs.append(torch.where(known.bool(), pair, 255))
    units = F.normalize(feats.flatten(2), dim=1, eps=1e-8)
    cosines = (units.transpose(1, 2) @ units).abs()
    same, different = (torch.stack(pairs) == k for k in (1, 0))
    attract = 1 - (same * cosines).sum() / (same.sum() + 1)
    return (attract + (different * cosines).sum() / (different.sum() + 1)) / 2


def plain_losses(model: ToCo, inputs: Tensor, data_samples: list[SegDataSample]) -> dict:
    """Return the losses of a batch."""
    model.contrast_head.update()
    mean, std = model.data_preprocessor.mean, model.data_preprocessor.std
    images = (inputs * std + mean).clamp(0, 255).trunc()
    tags = [sample.gt_label for sample in data_samples]
    aux, last, _ = plain_encoder(model, inputs)
    cams, aux_cams = plain_cams(model, inputs)
    logits = model.decode_head([last])
    target = plain_masks(model, images, cams, tags).long()
    tagged = [maps[tag] for maps, tag in zip(aux_cams, tags, strict=True)]
    views = partial(packed_views, model.data_preprocessor, inputs, data_samples)
    crops, positive = plain_crops(model, views('local_view'), [maps.amax(0) for maps in tagged])
    whole = torch.cat([inputs, views('second_view', moved=True)])
    tokens = [plain_encoder(model, x)[2] for x in (whole, crops)]
    student = model.contrast_head(torch.cat(tokens)).unflatten(0, (-1, len(inputs)))
    teacher = model.contrast_head.teach(tokens[0].detach()).unflatten(0, (-1, len(inputs)))
    temperature = model.loss_ctc.settings['temperature']
    logits = resize(logits, target.shape[1:])
    halves = [
        F.cross_entropy(logits, target.masked_fill(other, 255), ignore_index=255)
        for other in (target != 0, target == 0)
    ]
    scores = torch.stack([sample.gt_score for sample in data_samples])
    pooled = [feats.amax(dim=(2, 3), keepdim=True) for feats in (last, aux)]
    cls, cls_aux = (
        F.multilabel_soft_margin_loss(head.conv_cam(x).flatten(1), scores)
        for head, x in zip(model.class_heads, pooled, strict=True)
    )
    return dict(
        loss_cls=cls,
        loss_cls_aux=cls_aux,
        loss_ptc=0.2 * plain_patch_contrast(model, last, tagged, tags),
        loss_ctc=0.5 * plain_class_contrast(student, teacher, positive, temperature),
        loss_seg=0.1 * sum(halves) / 2,
    )


def whole_batch(args: argparse.Namespace, size: int) -> dict:
    """Return random crops that are image everywhere, with their views."""
    batch = make_batch(args, size)
    for sample in batch['data_samples']:
        sample.set_metainfo(dict(valid_box=(0, 0, size, size)))
        for name in ('second_view', 'local_view'):
            view = torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8)
            view = F.interpolate(view[None], (size, size))[0].to(args.device)
            sample.set_data({name: view})
    return batch


def make_forms(args: argparse.Namespace) -> Forms:
    """Return both forms of a step on a batch, which share a model and return their losses."""
    model = make_model(args)
    fit_classes(model, whole_batch(args, args.size)['inputs'])
    return paired_steps(model, plain_losses)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; return 1 if the losses differ."""
    return compare_steps(
        __file__,
        argv,
        parse_args=parse_args,
        make_forms=make_forms,
        make_batch=whole_batch,
        tiny=TINY,
        title=lambda args: (
            f'{args.batch_size} crops of {args.size} x {args.size}, {args.width}, {args.device}'
        ),
    )


if __name__ == '__main__':
    with one_sentence('benchmark_toco.py'):
        sys.exit(main())
