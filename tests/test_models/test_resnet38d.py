"""ResNet38d: outputs, what is frozen, what a missing weight file says."""

import pytest
import torch

from mmwsss.models import ResNet38d

TINY = dict(width=1 / 16, depths=(1, 1, 1, 1, 1, 1))


def test_outputs_have_the_strides_and_channels_of_the_table():
    outputs = ResNet38d(**TINY)(torch.zeros(1, 3, 33, 47))
    shapes = [tuple(x.shape) for x in outputs]
    assert shapes == [(1, 16, 9, 12), (1, 32, 5, 6), (1, 64, 5, 6), (1, 256, 5, 6)]


def test_out_indices_choose():
    x = torch.randn(1, 3, 16, 16)
    torch.manual_seed(1)
    every = ResNet38d(**TINY).eval()
    some = ResNet38d(**TINY, out_indices=(1, 3)).eval()
    some.load_state_dict(every.state_dict())
    torch.testing.assert_close(some(x), tuple(every(x)[i] for i in (1, 3)))


def test_full_size_has_the_published_entries():
    with torch.device('meta'):
        backbone = ResNet38d()
    assert len(backbone.state_dict()) == 228


def test_frozen_parts_have_no_gradient_and_the_rest_has():
    backbone = ResNet38d(**TINY).train()
    sum(x.mean() for x in backbone(torch.randn(2, 3, 32, 32))).backward()
    for name, parameter in backbone.named_parameters():
        frozen = name.startswith(('conv1', 'stages.0.')) or 'norm' in name
        assert (parameter.grad is None) == frozen, name


def test_everything_trains_when_nothing_is_frozen():
    backbone = ResNet38d(
        **TINY, frozen_stages=-1, norm_eval=False, norm_cfg=dict(type='BN')
    ).train()
    sum(x.pow(2).mean() for x in backbone(torch.randn(2, 3, 32, 32))).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in backbone.parameters())


def test_frozen_blocks_keep_no_activations():
    backbone = ResNet38d(**TINY).train()
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: saved.append(t.shape) or t, lambda t: t
    ):
        backbone(torch.randn(1, 3, 64, 64))
    # stem and b2 work at strides 1 and 2: nothing larger than stride 2 at b3's entrance is kept
    assert max(shape[-1] for shape in saved if len(shape) == 4) == 32
    assert sum(shape[-1] == 32 for shape in saved if len(shape) == 4) <= 4


@pytest.mark.parametrize('norm_eval', [True, False])
def test_norm_eval_keeps_the_running_statistics(norm_eval):
    backbone = ResNet38d(**TINY, norm_eval=norm_eval).train()
    backbone(torch.randn(2, 3, 16, 16) + 3)
    unchanged = torch.equal(backbone.norm.running_mean, torch.zeros(256))
    assert unchanged == norm_eval


def test_channels_last_trains_like_channels_first():
    backbone = ResNet38d(**TINY, frozen_stages=-1).train()
    for module in backbone.modules():
        if isinstance(module, torch.nn.Dropout2d):
            module.p = 0
    x = torch.randn(2, 3, 32, 32)
    grads = []
    for images in (x, x.contiguous(memory_format=torch.channels_last)):
        backbone.zero_grad()
        backbone(images)[-1].sum().backward()
        grads.append([p.grad.clone() for p in backbone.parameters() if p.grad is not None])
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-3, atol=1e-4)


def test_weights_are_loaded(tmp_path):
    path = tmp_path / 'weights.pth'
    source = ResNet38d(**TINY)
    torch.save(dict(state_dict=source.state_dict()), path)
    torch.manual_seed(1)
    backbone = ResNet38d(**TINY, init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    assert not torch.equal(backbone.conv1.weight, source.conv1.weight)
    backbone.init_weights()
    torch.testing.assert_close(backbone.state_dict(), source.state_dict())


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(depths=(1, 2)), 'depths must be 6 positive numbers'),
        (dict(dilations=(2, 4)), 'dilations must be three numbers'),
        (dict(out_indices=(4,)), 'out_indices must be among 0 to 3'),
        (dict(frozen_stages=7), 'frozen_stages must lie in -1 to 6'),
    ],
)
def test_arguments_are_checked(kwargs, message):
    with pytest.raises(ValueError, match=message):
        ResNet38d(**kwargs)
