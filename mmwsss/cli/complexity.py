"""Parameters and multiply-adds of the network of a config, without memory for it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from .launch import without_sync_norm

BETWEEN = '(between the parts)'


class Part(NamedTuple):
    """A part of a network, or all of it.

    Args:
        name: Attribute of the segmentor.
        parameters: Numbers that are learned or frozen; buffers are none.
        frozen: Those of them that are never trained.
        multiply_adds: Of one image.
    """

    name: str
    parameters: int
    frozen: int
    multiply_adds: int


class Complexity(NamedTuple):
    """What :func:`count_complexity` finds.

    Args:
        parts: Of the network, in its order; those that the prediction does not use are left out.
        unused: Parts, or what is left of them, that only a training uses: auxiliary heads,
            frozen teachers.
    """

    parts: list[Part]
    unused: list[Part]

    @property
    def total(self) -> Part:
        """The sum of the parts of the network."""
        numbers = zip(*(part[1:] for part in self.parts), strict=True)
        return Part('network', *(sum(column) for column in numbers))


class _ReadParameters(TorchFunctionMode):
    """Notes which parameters are used, by whatever way: a module's call or a function."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[int] = set()

    def __torch_function__(
        self, func: Callable, types: Any, args: Sequence[Any] = (), kwargs: Mapping | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, '__name__', '') != '__get__':  # who asks for a shape uses no number
            for value in (*args, *kwargs.values()):
                values = value if isinstance(value, (list, tuple)) else [value]
                self.found |= {id(each) for each in values if isinstance(each, nn.Parameter)}
        return func(*args, **kwargs)


class _RealLinspace(TorchFunctionMode):
    """Keeps ``torch.linspace`` off the meta device: backbones read their drop rates from it."""

    def __torch_function__(
        self, func: Callable, types: Any, args: Sequence[Any] = (), kwargs: Mapping | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.linspace:
            kwargs.setdefault('device', 'cpu')
        return func(*args, **kwargs)


@contextmanager
def _without_autocast() -> Iterator[None]:
    """Let ``torch.autocast`` do nothing: it refuses the meta device, even to be switched off."""
    autocast = torch.autocast
    torch.autocast = lambda *args, **kwargs: nullcontext()  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        torch.autocast = autocast  # type: ignore[misc]


def image_size(cfg: Config) -> tuple[int, int] | None:
    """Return height and width of the images that a config trains with, None where it has none.

    Args:
        cfg: Config of a model.

    Example:
        >>> image_size(Config(dict(model=dict(data_preprocessor=dict(size=(96, 128))))))
        (96, 128)
    """
    preprocessor = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    size = preprocessor.get('size') or cfg.get('crop_size')
    return None if size is None else (size[0], size[1])


def build_empty(cfg: Config) -> nn.Module:
    """Build the model of a config on the meta device, where tensors have shapes and no numbers.

    Args:
        cfg: Config of a model; it is not changed.
    """
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    settings = without_sync_norm(cfg.model.to_dict())
    if settings.get('backbone', {}).get('type') == 'TIMMBackbone':
        settings['backbone']['pretrained'] = False  # timm would download weights
    with warnings.catch_warnings(), torch.device('meta'), _RealLinspace():
        warnings.simplefilter('ignore')  # MMSegmentation's heads warn of their own defaults
        model = MODELS.build(settings)
    return model.eval()


def _multiply_adds(counts: Mapping[str, Mapping[Any, int]], name: str) -> int:
    """Return what was counted in a part, whose ``forward`` may be called around its hooks."""
    inside = [key for key in counts if key == name or key.startswith(f'{name}.')]
    # what a module counts holds what those in it count
    outermost = [k for k in inside if not any(k.startswith(f'{other}.') for other in inside)]
    return sum(sum(counts[key].values()) for key in outermost) // 2


def _part(name: str, parameters: Sequence[nn.Parameter], multiply_adds: int) -> Part:
    frozen = sum(p.numel() for p in parameters if not p.requires_grad)
    return Part(name, sum(p.numel() for p in parameters), frozen, multiply_adds)


def count_complexity(model: nn.Module, size: tuple[int, int]) -> Complexity:
    """Count parameters and multiply-adds of a network and its parts, for one image.

    PyTorch's ``FlopCounterMode`` counts convolutions, matrix products and attention, at two
    operations a multiply-add: half of them are given here. On the meta device fused attention
    and LSTMs are counted as well, which a CPU's own kernels hide. Norms, activations, resizing and
    sums are not.

    Args:
        model: Segmentor on the meta device, from :func:`build_empty`; its ``tensor`` mode is
            counted.
        size: Height and width of the image.
    """
    counter = FlopCounterMode(display=False)
    images = torch.empty(1, 3, *size, device='meta')
    with torch.no_grad(), _without_autocast(), counter, _ReadParameters() as read:
        model(images, mode='tensor')
    counts, root = counter.get_flop_counts(), type(model).__name__
    parts, unused = [], []
    named = [(name, list(child.parameters())) for name, child in model.named_children()]
    named.append((BETWEEN, list(model.parameters(recurse=False))))
    between = counter.get_total_flops() // 2
    for name, parameters in named:
        used = [p for p in parameters if id(p) in read.found]
        rest = [p for p in parameters if id(p) not in read.found]
        multiply_adds = between if name == BETWEEN else _multiply_adds(counts, f'{root}.{name}')
        between -= multiply_adds
        if used or multiply_adds:
            parts.append(_part(name, used, multiply_adds))
        if rest:
            unused.append(_part(name, rest, 0))
    return Complexity(parts, unused)
