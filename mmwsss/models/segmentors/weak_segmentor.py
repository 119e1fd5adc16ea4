"""Segmentor that learns from image-level labels and predicts by class activation maps."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.models import EncoderDecoder
from mmseg.models.segmentors.base import BaseSegmentor
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from mmwsss.models.utils import image_labels
from mmwsss.ops import background_score, normalize_cam

from .crf_prediction import CRFPrediction

TEST_DEFAULTS = dict(mode='whole', output='cam', bg_score=0.2, use_image_labels=True, crf=None)
SLIDE_KEYS = {'crop_size', 'stride'}
MODES = ('whole', 'slide')


def sliding_windows(
    size: tuple[int, int], crop_size: Sequence[int], stride: Sequence[int]
) -> list[tuple[slice, slice]]:
    """Return the windows that cover an image, as MMSeg lays them.

    Args:
        size: Height and width of the image, as ``crop_size``.
        stride: Steps between windows; the last ones end at the borders.

    Example:
        >>> [columns for _, columns in sliding_windows((4, 7), (4, 4), (2, 2))]
        [slice(0, 4, None), slice(2, 6, None), slice(3, 7, None)]
    """
    rows, columns = (
        [
            slice(max(min(start * step + crop, side) - crop, 0), min(start * step + crop, side))
            for start in range(-(-max(side - crop, 0) // step) + 1)
        ]
        for side, crop, step in zip(size, crop_size, stride, strict=True)
    )
    return list(itertools.product(rows, columns))


@MODELS.register_module()
class WeakSegmentor(CRFPrediction, EncoderDecoder):
    """Classifier that segments: backbone, CAM head and, where a method has one, a decoder.

    As it stands it is the CAM baseline (Zhou et al., CVPR 2016,
    https://arxiv.org/abs/1512.04150); the methods derive from it. Prediction follows MMSeg, so
    its metrics, visualiser, inferencer and test-time augmentation work unchanged. Samples also
    get ``cams`` (K, H, W), not normalised and 0 for classes that do not compete, and
    ``pred_score`` (K,), the probability of each class; ``seg_logits`` are the background score
    and the normalised maps.

    ``mode='tensor'`` gives ``cam`` ``(N, K, h, w)``, ``cls`` ``(N, K)``, with a decoder ``seg``
    ``(N, K + 1, h, w)`` and with a ``pcm`` the refined maps ``cam_rv`` ``(N, K, h, w)``.

    Args:
        backbone: Config of the backbone.
        cam_head: Config of the head that gives maps and image scores.
        decode_head: Config of MMSeg's decode head; trained on the samples' masks here, on
            pseudo masks by the methods.
        pcm: Config of the module that refines maps in prediction, such as
            :class:`FeatureCorrelation`; none by default.
        neck: Config of the neck.
        auxiliary_head: Config of one or several auxiliary heads.
        train_cfg: Handed to the heads.
        test_cfg: ``mode`` ('whole', or 'slide' with ``crop_size`` and ``stride``), ``output``
            ('cam' or 'seg'), ``bg_score`` (a constant, or ``dict(alpha=...)``),
            ``use_image_labels`` (only classes that the image is tagged with compete; needs
            ``gt_score``. Without it, those with a probability of at least 0.5) and ``crf``
            (config of the dense CRF that refines the output 'seg', see
            :class:`CRFEncoderDecoder`; none by default).
        data_preprocessor: Config of the data preprocessor.
        pretrained: Checkpoint of the backbone, as in MMSeg.
        init_cfg: Weights to start from.

    Raises:
        ValueError: ``test_cfg`` has an unknown key or value, or the method takes no ``pcm``.
    """

    outputs = ('cam', 'seg')
    # a method whose maps are made otherwise says no
    takes_pcm = True
    # of test_cfg; a method may have keys of its own
    test_defaults: Mapping[str, Any] = TEST_DEFAULTS
    # those of ``outputs`` whose logits are those of masks, which a dense CRF may refine
    mask_outputs: tuple[str, ...] = ('seg',)

    def __init__(
        self,
        backbone: dict,
        cam_head: dict,
        decode_head: dict | None = None,
        *,
        pcm: dict | None = None,
        neck: dict | None = None,
        auxiliary_head: dict | list[dict] | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if pcm and not self.takes_pcm:
            raise ValueError(f'{type(self).__name__} takes no pcm: leave it out.')
        # EncoderDecoder's own constructor insists on a decode head
        BaseSegmentor.__init__(self, data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        if pretrained is not None:
            backbone = {**backbone, 'init_cfg': dict(type='Pretrained', checkpoint=pretrained)}
        self.backbone = MODELS.build(backbone)
        if neck is not None:
            self.neck = MODELS.build(neck)
        self.cam_head = MODELS.build(cam_head)
        self.num_classes = self.cam_head.num_classes
        if decode_head is not None:
            self.decode_head = MODELS.build(decode_head)
        self.pcm = MODELS.build(pcm) if pcm else None
        self._init_auxiliary_head(auxiliary_head)
        self.align_corners = False
        self.train_cfg = train_cfg
        self.test_cfg = self._check_test_cfg(test_cfg)
        self._init_crf(self.test_cfg.crf)

    def _check_test_cfg(self, test_cfg: dict | None) -> ConfigDict:
        cfg = ConfigDict({**self.test_defaults, **(test_cfg or {})})
        name = type(self).__name__
        unknown = set(cfg) - set(self.test_defaults) - SLIDE_KEYS
        if unknown:
            raise ValueError(
                f'{name}: test_cfg has no {", ".join(sorted(unknown))}; it has '
                f'{", ".join(sorted({*self.test_defaults, *SLIDE_KEYS}))}.'
            )
        for key, choices in dict(mode=MODES, output=self.outputs).items():
            if cfg[key] not in choices:
                raise ValueError(
                    f'{name}: test_cfg.{key} must be one of {choices}, got {cfg[key]!r}.'
                )
        if cfg.output == 'seg' and not self.with_decode_head:
            raise ValueError(f"{name}: test_cfg.output='seg' needs a decode_head.")
        if cfg.crf is not None and cfg.output not in self.mask_outputs:
            kinds = ' or '.join(map(repr, self.mask_outputs))
            raise ValueError(
                f'{name}: test_cfg.crf refines the output {kinds}, got {cfg.output!r}.'
            )
        if cfg.mode == 'slide' and not SLIDE_KEYS <= set(cfg):
            raise ValueError(f"{name}: test_cfg.mode='slide' needs crop_size and stride.")
        return cfg

    @property
    def predicts_masks(self) -> bool:
        """Whether ``test_cfg.output`` asks for masks, not for class activation maps."""
        return self.test_cfg.output in self.mask_outputs

    @property
    def cam_key(self) -> str:
        """Which of the tensors of :meth:`forward` are the maps."""
        return 'cam' if self.pcm is None else 'cam_rv'

    def _forward(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> dict[str, Tensor]:
        """Return the raw tensors of the network by name."""
        feats = self.extract_feat(inputs)
        cam, scores = self.cam_head(feats)
        outputs = dict(cam=cam, cls=scores)
        if self.with_decode_head:
            outputs['seg'] = self.decode_head(feats)
        if self.pcm is not None:
            foreground = cam[:, 1 - self.num_classes :]
            outputs['cam_rv'] = self.pcm(inputs, foreground.relu(), feats)
        return outputs

    def loss(self, inputs: Tensor, data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """Return the losses of a batch, one key each.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
        """
        feats = self.extract_feat(inputs)
        labels = image_labels(data_samples, self.num_classes, inputs.device)
        losses = self.cam_head.loss_by_scores(self.cam_head(feats)[1], labels)
        if self.with_decode_head:
            losses.update(self._decode_head_forward_train(feats, data_samples))
        if self.with_auxiliary_head:
            losses.update(self._auxiliary_head_forward_train(feats, data_samples))
        return losses

    def predict_maps(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return what ``test_cfg.output`` asks for.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
            returns: maps ``(N, C, h, w)`` on their own grid, with C = K for CAMs, K + 1 for
                segmentation logits, and image scores ``(N, K)``, logits.
        """
        outputs = self._forward(inputs)
        if self.test_cfg.output == 'seg':
            return outputs['seg'], outputs['cls']
        return outputs[self.cam_key][:, 1 - self.num_classes :], outputs['cls']

    def _input_maps(self, inputs: Tensor, classes: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return maps at input size, of some channels alone where they are named, and scores."""
        maps, scores = self.predict_maps(inputs)
        maps = maps if classes is None else maps[:, classes]
        return self._resize(maps, tuple(inputs.shape[2:])).float(), scores.float()

    def _resize(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """Resize maps ``(N, C, h, w)``, of which there may be none."""
        if not maps.shape[1]:
            return maps.new_zeros(len(maps), 0, *size)
        if maps.shape[2:] == size:
            return maps
        return F.interpolate(maps, size, mode='bilinear', align_corners=self.align_corners)

    def _slide(self, inputs: Tensor, classes: Tensor | None) -> tuple[Tensor, Tensor]:
        """Do the same with the windows of ``test_cfg``: means over those that cover a pixel."""
        size, cfg = tuple(inputs.shape[2:]), self.test_cfg
        windows = sliding_windows(size, cfg.crop_size, cfg.stride)
        share = inputs.new_zeros(size, dtype=torch.float32)
        for window in windows:
            share[window] += 1
        share.reciprocal_()
        maps = scores = None
        for window in windows:
            found, score = self._input_maps(inputs[(..., *window)], classes)
            if maps is None:
                maps = found.new_zeros(*found.shape[:2], *size)
                scores = torch.zeros_like(score)
            maps[(..., *window)] += found * share[window]
            scores += score * (share[window].sum() / share.numel())
        return maps, scores

    def predict_view(
        self,
        inputs: Tensor,
        data_samples: Sequence[SegDataSample],
        classes: Tensor | None = None,
    ) -> list[tuple[Tensor, Tensor]]:
        """Return what a view of a batch shows: maps and image scores of each image.

        Args:
            data_samples: Samples that say how the view was made of the original images.
            classes: Channels of :meth:`predict_maps` that are wanted, ``(n,)`` int64; all by
                default.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
            returns: N times ``(n, H, W)`` float32 at ``ori_shape`` and logits ``(K,)``.
        """
        infer = self._slide if self.test_cfg.mode == 'slide' else self._input_maps
        maps, scores = infer(inputs, classes)
        metas = [sample.metainfo for sample in data_samples]
        maps = [self._on_original(one, meta) for one, meta in zip(maps, metas, strict=True)]
        return list(zip(maps, scores, strict=True))

    def _on_original(self, maps: Tensor, meta: Mapping[str, Any]) -> Tensor:
        """Undo padding, mirroring and scaling of a view, as MMSeg does."""
        left, right, top, bottom = meta.get('img_padding_size', meta.get('padding_size', [0] * 4))
        height, width = maps.shape[1:]
        maps = maps[:, top : height - bottom, left : width - right]
        if meta.get('flip'):
            maps = maps.flip(dict(horizontal=2, vertical=1)[meta['flip_direction']])
        return self._resize(maps[None], tuple(meta['ori_shape'][:2]))[0]

    def predict(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Return the samples with their predictions at the size of the original image.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
        """
        if data_samples is None:
            meta = dict(ori_shape=tuple(inputs.shape[2:]))
            data_samples = [SegDataSample(metainfo=meta) for _ in inputs]
        masks = self.test_cfg.output != 'cam'
        classes = None if masks else self.view_classes(data_samples, inputs.device)
        views = self.predict_view(inputs, data_samples, classes)
        for sample, (maps, scores) in zip(data_samples, views, strict=True):
            sample.set_data(dict(pred_score=scores.sigmoid()))
            if masks:
                self.add_mask(sample, maps)
            else:
                self.add_cams(sample, maps, classes)
        return data_samples

    def view_classes(
        self, data_samples: Sequence[SegDataSample], device: torch.device | str
    ) -> Tensor | None:
        """Return the classes whose maps count in any of the images.

        Args:
            device: Where they go.

        Shapes:
            returns: ``(n,)`` int64, increasing; None where tags are not used: all may count.

        Raises:
            ValueError: ``use_image_labels`` without image-level labels.
        """
        if not self.test_cfg.use_image_labels:
            return None
        labels = image_labels(data_samples, self.num_classes, device)
        return labels.any(dim=0).nonzero().flatten()

    def add_mask(self, sample: SegDataSample, logits: Tensor) -> None:
        """Write logits of masks into a sample, refined now or, where views are merged, later.

        Args:
            sample: Sample with ``img_path`` and ``ori_shape``.
            logits: ``(K + 1, H, W)`` at ``ori_shape``.
        """
        write = self.add_logits if self._crf_is_postponed else self.set_prediction
        write(sample, logits)

    def competing_classes(self, sample: SegDataSample) -> Tensor:
        """Return which classes compete for the pixels of an image, ``(K,)`` multi-hot.

        Args:
            sample: Sample with ``pred_score`` and, for ``use_image_labels``, ``gt_score``.

        Raises:
            ValueError: ``use_image_labels`` without image-level labels.
        """
        if self.test_cfg.use_image_labels:
            return image_labels([sample], self.num_classes, sample.pred_score.device)[0]
        return (sample.pred_score >= 0.5).float()

    # a method whose maps are normalised otherwise has a function of its own
    normalize_cams = staticmethod(normalize_cam)

    def add_cams(self, sample: SegDataSample, cams: Tensor, classes: Tensor | None = None) -> None:
        """Write class activation maps and the segmentation that they give into a sample.

        Args:
            sample: Sample with ``pred_score`` and, for ``use_image_labels``, ``gt_score``.
            classes: Foreground classes of the maps, ``(n,)`` int64; all by default.

        Shapes:
            cams: ``(n, H, W)`` at the size of the original image, not normalised.

        Raises:
            ValueError: ``use_image_labels`` without image-level labels.
        """
        competing = self.competing_classes(sample).nonzero().flatten()
        cams = cams[competing if classes is None else torch.isin(classes, competing)]
        size = cams.shape[1:]
        full = cams.new_zeros(self.num_classes - 1, *size)
        full[competing] = cams
        # a class that does not compete has the scores of a map that is 0 everywhere
        blank = self.normalize_cams(cams.new_zeros(1, 1, 1)).expand(1, *size)
        scores = torch.cat([blank, self.normalize_cams(cams)])
        background = background_score(scores, self.test_cfg.bg_score)
        logits = blank.repeat(self.num_classes, 1, 1)
        logits[0], logits[competing + 1] = background[0], scores[1:]
        best = torch.cat([background, scores[1:]]).argmax(dim=0, keepdim=True)
        sample.set_data(
            dict(
                cams=PixelData(data=full),
                seg_logits=PixelData(data=logits),
                pred_sem_seg=PixelData(data=F.pad(competing + 1, (1, 0))[best]),
            )
        )
