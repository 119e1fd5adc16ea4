"""MMSegmentation's ResNet that also returns the output of its stem."""

from __future__ import annotations

from mmseg.models import ResNet
from mmseg.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class ResNetWithStem(ResNet):
    """ResNet whose first output is that of the stem, after max pooling.

    Takes the arguments of MMSegmentation's ``ResNet``. IRN predicts boundaries from the stem and
    the four stages of a ResNet-50.

    Source: Ahn et al., CVPR 2019, https://arxiv.org/abs/1904.05044

    Shapes:
        input: ``(N, 3, H, W)`` float.
        returns: tuple of ``(N, C, h, w)``: the stem's at stride 4, then those of ``out_indices``.
    """

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs of the stem and of ``out_indices``, shallow to deep."""
        x = self.stem(x) if self.deep_stem else self.relu(self.norm1(self.conv1(x)))
        outputs = [self.maxpool(x)]
        for name in self.res_layers:
            outputs.append(getattr(self, name)(outputs[-1]))
        return outputs[0], *(outputs[i + 1] for i in self.out_indices)
