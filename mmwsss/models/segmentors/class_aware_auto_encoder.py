"""Class-aware auto-encoder: learns what each class looks like, for SemFormer's segmentation."""

from __future__ import annotations

from functools import partial
from typing import NoReturn

import torch
import torch.nn.functional as F
from mmseg.models.segmentors.base import BaseSegmentor
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mmwsss.models.utils import image_labels


@MODELS.register_module()
class ClassAwareAutoEncoder(BaseSegmentor):
    """Class-aware auto-encoder (CAAE), the first stage of SemFormer.

    Patch tokens become an embedding of each class, which is compared with the learned semantics
    of the class; the tokens before they are merged have to suffice to paint the image again.

    ``mode='tensor'`` gives ``class_embed`` ``(N, K + 1, D)``, ``class_semantic`` ``(K + 1, D)``,
    ``similarity`` ``(N, K + 1)`` and, with a decoder, ``reconstruction`` ``(N, 3, H, W)`` in
    normalised pixels. Predictions have ``pred_score`` (K,), the similarity of each foreground
    class, as metrics of multi-label classification read it; there is no segmentation.

    Source: Chen et al., 2022, Sec. 3.2, Eqs. 1 to 4, https://arxiv.org/abs/2210.14618

    Args:
        backbone: Config of the backbone; its last output is used.
        embed_head: Config of the head that makes class embeddings.
        decoder: Config of the head that paints the image, told its ``in_channels`` and, as
            ``hidden_channels``, the width of the encoder; None leaves reconstruction out.
        loss_similarity: Config of the loss on the similarities.
        loss_reconstruction: Config of the loss on the painted image.
        data_preprocessor: Config of the data preprocessor.
        pretrained: Checkpoint of the backbone, as in MMSeg.
        train_cfg: Not used; MMSeg's ``init_model`` sets it.
        init_cfg: Weights to start from.
    """

    def __init__(
        self,
        backbone: dict,
        embed_head: dict,
        *,
        decoder: dict | None = None,
        loss_similarity: dict | None = None,
        loss_reconstruction: dict | None = None,
        data_preprocessor: dict | None = None,
        pretrained: str | None = None,
        train_cfg: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        if pretrained is not None:
            backbone = {**backbone, 'init_cfg': dict(type='Pretrained', checkpoint=pretrained)}
        self.backbone = MODELS.build(backbone)
        self.embed_head = MODELS.build(embed_head)
        self.num_classes = self.embed_head.num_classes
        self.decoder = None
        if decoder is not None:
            channels = self.num_classes * self.embed_head.embed_channels
            hidden = embed_head['in_channels']
            self.decoder = MODELS.build(
                {'in_channels': channels, 'hidden_channels': hidden, **decoder}
            )
        self.loss_similarity = MODELS.build(loss_similarity or dict(type='SimilarityLoss'))
        self.loss_reconstruction = MODELS.build(
            loss_reconstruction or dict(type='ReconstructionLoss')
        )

    def extract_feat(self, inputs: Tensor) -> Tensor:
        """Return the patch tokens as a map, ``(N, C, h, w)``."""
        return self.backbone(inputs)[-1]

    def encode_decode(self, inputs: Tensor, batch_data_samples: list[SegDataSample]) -> NoReturn:
        """Refuse: an auto-encoder segments nothing."""
        raise NotImplementedError(
            'ClassAwareAutoEncoder gives no segmentation: train SemFormer with it.'
        )

    def encode(self, inputs: Tensor) -> tuple[Tensor, Tensor, tuple[int, int]]:
        """Return class embeddings of each token and of the image, and the size of the grid.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
            returns: ``(N, h * w, (K + 1) * D)``, and ``(N, K + 1, D)``.
        """
        feats = self.extract_feat(inputs)
        return *self.embed_head(feats.flatten(2).transpose(1, 2)), tuple(feats.shape[2:])

    def embed(self, inputs: Tensor, *, chunk_size: int | None = None) -> Tensor:
        """Return the class embeddings of images, without painting them.

        Args:
            chunk_size: Images that go through the network at a time, all by default. With more
                than one chunk memory is that of one: where gradients flow back to the images,
                activations are not kept but computed again.

        Shapes:
            inputs: ``(M, 3, H, W)`` float, normalised.
            returns: ``(M, K + 1, D)``.
        """
        if chunk_size is None or len(inputs) <= chunk_size:
            return self.encode(inputs)[1]
        embed = self.embed
        if torch.is_grad_enabled():
            embed = partial(checkpoint, self.embed, use_reentrant=False)
        return torch.cat([embed(chunk) for chunk in inputs.split(chunk_size)])

    def reconstruct(self, primary: Tensor, grid: tuple[int, int], inputs: Tensor) -> Tensor:
        """Return the painted images, cut to the size of the inputs; see :meth:`encode`."""
        height, width = inputs.shape[2:]
        return self.decoder(primary, grid)[..., :height, :width]

    def _forward(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> dict[str, Tensor]:
        """Return the raw tensors of the network by name."""
        primary, embed, grid = self.encode(inputs)
        outputs = dict(
            class_embed=embed,
            class_semantic=self.embed_head.class_semantics(),
            similarity=self.embed_head.similarity(embed),
        )
        if self.decoder is not None:
            outputs['reconstruction'] = self.reconstruct(primary, grid, inputs)
        return outputs

    def loss(self, inputs: Tensor, data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """Return ``loss_similarity`` and, with a decoder, ``loss_reconstruction`` of a batch.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
        """
        labels = image_labels(data_samples, self.num_classes, inputs.device)
        labels = F.pad(labels, (1, 0), value=1.0)  # (N, K + 1), every image has background
        primary, embed, grid = self.encode(inputs)
        similarity = self.embed_head.similarity(embed, labels)
        losses = dict(loss_similarity=self.loss_similarity(similarity, labels))
        if self.decoder is not None:
            painted = self.reconstruct(primary, grid, inputs)
            losses['loss_reconstruction'] = self.loss_reconstruction(painted, inputs)
        return losses

    def predict(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Return the samples with ``pred_score``.

        Shapes:
            inputs: ``(N, 3, H, W)`` float, normalised.
        """
        scores = self.embed_head.similarity(self.embed(inputs))[:, 1:]
        if data_samples is None:
            data_samples = [SegDataSample() for _ in scores]
        for sample, score in zip(data_samples, scores, strict=True):
            sample.set_data(dict(pred_score=score))
        return data_samples
