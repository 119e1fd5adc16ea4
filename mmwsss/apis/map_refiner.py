"""Class activation maps and their mask, made to follow the colours of the picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmwsss.errors import UsageError
from mmwsss.evaluation.pseudo_masks import pseudo_mask, refine_cams
from mmwsss.models import PAR, DenseCRF, WeakSegmentor
from mmwsss.ops import background_score
from mmwsss.utils import limited_size

# the CRF is SEAM's, which starts from scores
SETTINGS: Mapping[str, Mapping[str, Any]] = dict(
    par=dict(type='PAR'), crf=dict(type='DenseCRF', num_iters=10)
)


# both reach as many pixels as suit photographs of this size, and need memory for every pixel
MAX_SIZE = 1000


def _resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize ``(n, h, w)``, as it is where it has the size or no map."""
    if maps.shape[1:] == size:
        return maps
    if not len(maps):
        return maps.new_zeros(0, *size)
    return F.interpolate(maps[None], size, mode='bilinear')[0]


class MapRefiner:
    """Refines the predictions of a model with class activation maps.

    :class:`~mmwsss.models.PAR` refines the maps, of which the mask is made again;
    :class:`~mmwsss.models.DenseCRF` the mask alone. Pictures whose longer side exceeds 1,000 pixels
    are refined at that size.

    Args:
        refine: ``'par'``, ``'crf'``, or the config of one of the two.
        network: The segmentor.

    Raises:
        UsageError: there is no such refinement, a setting of it is wrong, or the segmentor does
            not predict by maps.
    """

    def __init__(self, refine: str | Mapping[str, Any], network: nn.Module) -> None:
        cfg = SETTINGS.get(refine) if isinstance(refine, str) else refine
        if cfg is None or cfg.get('type') not in ('PAR', 'DenseCRF'):
            raise UsageError(
                f'refine takes {" or ".join(SETTINGS)}, or the config of PAR or DenseCRF, got '
                f'{refine!r}.'
            )
        if not isinstance(network, WeakSegmentor) or network.predicts_masks:
            raise UsageError(
                f'The {type(network).__name__} does not predict by class activation maps, which '
                'refine is for: leave it out; a decoder has model.test_cfg.crf.'
            )
        try:
            self.refiner = MODELS.build(dict(cfg))
        except (TypeError, ValueError, ImportError) as error:
            raise UsageError(f'refine: {error}') from error
        self.network = network

    def __call__(self, image: np.ndarray, sample: SegDataSample) -> None:
        """Refine a prediction in place.

        Args:
            image: The picture, RGB.
            sample: Its prediction.

        Shapes:
            image: ``(H, W, 3)`` uint8.
        """
        logits, bg_score = sample.seg_logits.data, self.network.test_cfg.bg_score
        keys = self.network.competing_classes(sample).nonzero().flatten().to(logits.device)
        full = image.shape[:2]
        height, width = limited_size(full, MAX_SIZE)
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        pixels = torch.from_numpy(small.transpose(2, 0, 1).copy())
        cams, crf = _resize(logits[1 + keys], (height, width)), None
        if isinstance(self.refiner, PAR):
            cams = refine_cams(pixels.to(cams.device), cams, self.refiner)
            logits = logits.index_copy(0, 1 + keys, _resize(cams, full).to(logits.dtype))
            logits[:1] = background_score(logits[1:], bg_score)
        elif isinstance(self.refiner, DenseCRF):
            crf = self.refiner
        mask = pseudo_mask(
            pixels, keys.cpu().numpy(), cams.float().cpu(), bg_scores=[bg_score], crf=crf
        )
        large = cv2.resize(mask, full[::-1], interpolation=cv2.INTER_NEAREST)
        labels = torch.from_numpy(large).long()[None].to(logits.device)
        sample.set_data(
            dict(seg_logits=PixelData(data=logits), pred_sem_seg=PixelData(data=labels))
        )
