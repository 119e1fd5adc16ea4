"""Class-aware auto-encoder as a guide: frozen, and no part of the network that it guides."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NoReturn

import torch
from mmengine.runner.checkpoint import CheckpointLoader
from mmseg.registry import MODELS
from torch import Tensor

from mmwsss.compat import CheckpointError

from .class_aware_auto_encoder import ClassAwareAutoEncoder

DECODER = 'decoder.'


class FrozenAutoEncoder:
    """A trained class-aware auto-encoder that judges image parts.

    It is no ``nn.Module``: the network that it guides neither trains nor saves it, nor counts its
    parameters, and a prediction does not read it. It is built and its weights are read once, by
    :meth:`load` or when it is used first. Gradients flow through it, its weights get none.

    Args:
        cfg: Config of the :class:`ClassAwareAutoEncoder`; its decoder is not built. ``init_cfg``
            is ``dict(type='Pretrained', checkpoint=...)``, or None for random weights.

    Raises:
        ValueError: ``cfg`` is none of an auto-encoder, or ``init_cfg`` names no checkpoint.
    """

    def __init__(self, cfg: Mapping[str, Any]) -> None:
        cfg = deepcopy(dict(cfg))
        init = cfg.pop('init_cfg', None)
        if init is not None and not (init.get('type') == 'Pretrained' and 'checkpoint' in init):
            raise ValueError(
                "SemFormer: caae.init_cfg must be dict(type='Pretrained', checkpoint=...), or "
                f'None for random weights, got {init}.'
            )
        self.checkpoint = None if init is None else str(init['checkpoint'])
        head = cfg.get('embed_head') or {}
        if 'num_classes' not in head:
            raise ValueError(
                'SemFormer: caae must be the config of a ClassAwareAutoEncoder with an '
                f'embed_head, got {cfg}.'
            )
        # weights of the encoder's own would be read for nothing
        cfg['backbone'] = {**cfg['backbone'], 'init_cfg': None}
        self.cfg = {**cfg, 'decoder': None}
        self.num_classes: int = head['num_classes']
        self.embed_channels: int = head.get('embed_channels', 256)
        self._model: ClassAwareAutoEncoder | None = None

    def load(self, device: torch.device | str = 'cpu') -> ClassAwareAutoEncoder:
        """Return the auto-encoder, built and filled the first time.

        Args:
            device: Where it goes.

        Raises:
            CheckpointError: the checkpoint is missing, is none, or is that of another
                auto-encoder.
        """
        if self._model is None:
            model = MODELS.build(self.cfg).requires_grad_(False).eval()
            if self.checkpoint is not None:
                model.load_state_dict(self._weights(model.state_dict()))
            self._model = model
        return self._model.to(device)

    def _weights(self, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Read the checkpoint and return its weights but the decoder's."""
        try:
            content = CheckpointLoader.load_checkpoint(self.checkpoint, map_location='cpu')
        except FileNotFoundError:
            self._refuse('there is no such file')
        weights = content.get('state_dict', content)
        weights = {name: x for name, x in weights.items() if not name.startswith(DECODER)}
        for name, like in expected.items():
            if name not in weights:
                self._refuse(f'it has no {name}')
            if weights[name].shape != like.shape:
                found, wanted = tuple(weights[name].shape), tuple(like.shape)
                self._refuse(f'its {name} has the shape {found} where {wanted} is expected')
        if extra := sorted(set(weights) - set(expected)):
            self._refuse(f'there is no place for its {extra[0]}')
        return weights

    def _refuse(self, reason: str) -> NoReturn:
        head = f'{self.num_classes} classes and {self.embed_channels} channels of an embedding'
        raise CheckpointError(
            f'The class-aware auto-encoder {self.checkpoint} of SemFormer (model.caae) cannot be '
            f'used: {reason}. Train one with {head} (configs/semformer/caae_*.py) and name its '
            'checkpoint in model.caae.init_cfg.checkpoint.'
        )
