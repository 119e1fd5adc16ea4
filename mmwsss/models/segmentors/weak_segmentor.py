"""Segmentor that learns from image-level labels and predicts by class activation maps."""

from __future__ import annotations

from collections.abc import Mapping
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


@MODELS.register_module()
class WeakSegmentor(CRFPrediction, EncoderDecoder):
    """Classifier that segments: backbone, CAM head and, where a method has one, a decoder.

    As it stands it is the CAM baseline (Zhou et al., CVPR 2016,
    https://arxiv.org/abs/1512.04150); the methods derive from it. Prediction follows MMSeg, so
    its metrics, visualiser, inferencer and test-time augmentation work unchanged. Samples also
    get ``cams`` (K, H, W), not normalised, and ``pred_score`` (K,), the probability of each
    class; ``seg_logits`` are the background score and the normalised maps.

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
    def out_channels(self) -> int:
        """Channels of what ``encode_decode`` returns."""
        maps = self.num_classes - (self.test_cfg.output == 'cam')
        return maps + self.num_classes - 1

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
            returns: maps ``(N, C, h, w)`` on their own grid, C as in :meth:`encode_decode`, and
                image scores ``(N, K)``.
        """
        outputs = self._forward(inputs)
        if self.test_cfg.output == 'seg':
            return outputs['seg'], outputs['cls']
        return outputs[self.cam_key][:, 1 - self.num_classes :], outputs['cls']

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Return maps at input size and, as constant planes, the image scores.

        The scores travel as planes so that MMSeg's sliding window, flipping and resizing
        serve them too.

        Shapes:
            inputs: ``(N, 3, H, W)``.
            returns: ``(N, C + K, H, W)``; C is K for CAMs, K + 1 for segmentation logits.
        """
        maps, scores = self.predict_maps(inputs)
        size = inputs.shape[2:]
        if maps.shape[2:] != size:
            maps = F.interpolate(maps, size, mode='bilinear', align_corners=self.align_corners)
        planes = scores[..., None, None].expand(-1, -1, *size)
        return torch.cat([maps, planes.to(maps.dtype)], dim=1).float()

    def predict(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Return the samples with their predictions at the size of the original image.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
        """
        data_samples = super().predict(inputs, data_samples)
        for sample in data_samples:
            maps, planes = sample.seg_logits.data.tensor_split([1 - self.num_classes])
            sample.set_data(dict(pred_score=planes.mean(dim=(1, 2)).sigmoid()))
            if self.test_cfg.output == 'cam':
                self.add_cams(sample, maps)
            else:
                self.add_mask(sample, maps)
        return data_samples

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

    def add_cams(self, sample: SegDataSample, cams: Tensor) -> None:
        """Write class activation maps and the segmentation that they give into a sample.

        Args:
            sample: Sample with ``pred_score`` and, for ``use_image_labels``, ``gt_score``.
            cams: Maps ``(K, H, W)`` at the size of the original image, not normalised.

        Raises:
            ValueError: ``use_image_labels`` without image-level labels.
        """
        tags = self.competing_classes(sample).to(cams)
        scores = self.normalize_cams(cams * tags[:, None, None])
        sample.set_data(dict(cams=PixelData(data=cams)))
        background = background_score(scores, self.test_cfg.bg_score)
        self.add_logits(sample, torch.cat([background, scores]))
