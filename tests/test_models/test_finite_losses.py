"""No loss is NaN, whatever the images of a batch are tagged with: a table methods x batches."""

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

# configs of all methods, with what they train on beside the tags
METHODS = (
    'cam/cam_r38-tiny_emblems',
    'cam/cam_mit-tiny_emblems',
    'cam/cam_mit-tiny-gap_emblems',
    'cam/cam_deit-tiny_emblems',
    'cam/cam_akp_r38-tiny_emblems',
    'seam/seam_r38-tiny_emblems',
    'afa/afa_mit-tiny_emblems',
    'apc/apc_vit-tiny_emblems',
    'apc/vit-pcm_vit-tiny_emblems',
    'toco/toco_vit-tiny_emblems',
    'semformer/caae_deit-tiny_emblems',
    'semformer/semformer_deit-tiny_emblems',
    'mctformer/mctformer-v1_deit-tiny_emblems',
    'mctformer/mctformer-v2_deit-tiny_emblems',
    'mctformer/mctformer-plus_deit-tiny_emblems',
    'affinitynet/affinitynet_r38-tiny_emblems',
    'irn/irn_r38-tiny_emblems',
    'deeplab_pseudo/deeplabv1_r38-tiny_emblems',
)
SIZE = 96
BATCHES = dict(none=(0, 0), one=(1, 1), all=(6, 6), mixed=(0, 6))
LATE = 10**6  # iterations: beyond the warm-up of AFA and SEAM's and APC's phases


def without_weights(cfg):
    """Take out the files that a training starts from."""
    if isinstance(cfg, dict):
        if isinstance(cfg.get('init_cfg'), dict):
            cfg['init_cfg'] = None
        for value in cfg.values():
            without_weights(value)
    return cfg


@pytest.fixture(scope='module')
def build(repo):
    """Build the model of a config once, in training."""
    built = {}

    def build(name):
        if name not in built:
            model = Config.fromfile(repo / f'configs/{name}.py').model
            torch.manual_seed(0)
            built[name] = MODELS.build(without_weights(model)).train()
        return built[name]

    return build


def samples(numbers):
    """Return two samples that are tagged with so many of six classes; masks say the same."""
    found = []
    for number in numbers:
        label = torch.arange(number)
        mask = torch.full((1, SIZE, SIZE), 255)  # nothing but ignored where there is no tag
        for k in range(number):
            mask[:, 16 * k : 16 * k + 16] = k + 1
        sample = SegDataSample(
            metainfo=dict(
                valid_box=(0, 0, SIZE, SIZE), ori_shape=(SIZE, SIZE), img_shape=(SIZE,) * 2
            )
        )
        sample.set_data(dict(gt_label=label, gt_score=torch.zeros(6).index_fill_(0, label, 1)))
        sample.gt_sem_seg = PixelData(data=mask)
        found.append(sample)
    return found


@pytest.mark.parametrize('batch', BATCHES)
@pytest.mark.parametrize('name', METHODS)
def test_losses_and_gradients_are_finite(build, name, batch):
    model = build(name)
    model.zero_grad()
    MessageHub.get_current_instance().update_info('iter', LATE)
    torch.manual_seed(0)
    losses = model(torch.randn(2, 3, SIZE, SIZE), samples(BATCHES[batch]), mode='loss')
    loss, values = model.parse_losses(losses)
    assert all(bool(torch.isfinite(value).all()) for value in values.values()), values
    if loss.requires_grad:
        loss.backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(bool(torch.isfinite(grad).all()) for grad in grads)
