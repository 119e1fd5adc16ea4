"""Every config is found, parsed, built in a tiny form and trained for one step."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.structures import PixelData
from mmseg.registry import METRICS, MODELS, TRANSFORMS
from mmseg.structures import SegDataSample

pytestmark = pytest.mark.stack
CONFIGS = Path(__file__).parents[1] / 'configs'
# those of pipelines have no model: tests/test_engine/test_pipeline_configs.py
FOUND = sorted(p for p in CONFIGS.rglob('*.py') if not {'_base_', 'pipelines'} & set(p.parts))
NAMES = [str(p.relative_to(CONFIGS)) for p in FOUND]
PROMISED = {
    'cam/cam_r38_voc.py',
    'cam/cam_r50_voc.py',
    'cam/cam_mit-b1_voc.py',
    'cam/cam_mmpretrain-r50_voc.py',
    'cam/cam_timm-r50_voc.py',
    'cam/cam_effnet-lite0_imagenet.py',
    'cam/deeplabv3plus_r50_cam-aux_voc.py',
    'seam/seam_r38_voc.py',
    'seam/seam_r38_coco.py',
    'seam/seam_r38_er_voc.py',
    'seam/seam_mit-b1_voc.py',
    'affinitynet/affinitynet_r38_voc.py',
    'affinitynet/affinitynet_r38_coco.py',
    'irn/irn_r50_voc.py',
    'irn/irn_r50_coco.py',
    'deeplab_pseudo/deeplabv1_r38_voc.py',
    'deeplab_pseudo/deeplabv1_r38_coco.py',
    'deeplab_pseudo/deeplabv2_r101_voc.py',
    'deeplab_pseudo/deeplabv3plus_r101_voc.py',
    'segformer_pseudo/segformer_mit-b1_voc.py',
    'semformer/caae_deit-b_voc.py',
    'semformer/caae_deit-b_coco.py',
    'semformer/semformer_deit-s_voc.py',
    'semformer/semformer_deit-s_coco.py',
    'afa/afa_mit-b1_voc.py',
    'afa/afa_mit-b1_coco.py',
    'apc/apc_vit-b_voc.py',
    'apc/apc_vit-b_coco.py',
    'apc/apc_vit-b_crop_voc.py',
    'apc/apc_vit-b_hard_voc.py',
    'apc/vit-pcm_vit-b_voc.py',
    'apc/vit-pcm_vit-b_coco.py',
}
# a published classifier, which is not trained: tests/test_apis/test_imagenet_inferencer.py
UNTRAINED = {'cam/cam_effnet-lite0_imagenet.py'}
OPTIONAL = ('mmpretrain', 'timm')
SIZE = 64
TINY_BACKBONES = dict(
    # timm's network for tests
    TIMMBackbone=dict(model_name='test_resnet', pretrained=False, zero_init_last=False),
    # small enough as it is
    EfficientNetLite={},
    ResNet38d=dict(width=1 / 16, depths=(1, 1, 1, 1, 1, 1)),
    AttentionMiT=dict(
        embed_dims=8, num_layers=[1, 1, 1, 2], num_heads=[1, 1, 2, 2], sr_ratios=[2, 1, 1, 1]
    ),
    MixVisionTransformer=dict(
        embed_dims=8, num_layers=[1] * 4, num_heads=[1, 1, 2, 2], sr_ratios=[1] * 4
    ),
    ResNet=dict(base_channels=4, stem_channels=4),
    ResNetWithStem=dict(base_channels=4, stem_channels=4),
    ResNetV1c=dict(base_channels=4, stem_channels=4),
    TokenViT=dict(embed_dims=8, num_heads=2),
)


def test_promised_configs_are_there():
    assert set(NAMES) >= PROMISED


def set_channels(model, widths, index):
    """Give a head or a refiner the channels of the tiny backbone's outputs."""
    if 'in_channels' in model:
        many = isinstance(index, (list, tuple))
        model['in_channels'] = [widths[i] for i in index] if many else widths[index]


def shrink_auto_encoder(model, width):
    """Make a class-aware auto-encoder small, where the model is one or is guided by one."""
    if 'embed_head' in model:
        model['embed_head'].update(in_channels=width, embed_channels=4)
        model['decoder'].update(embed_dims=8, num_layers=1, num_heads=2)
    if 'caae' in model:
        caae = model['caae']
        caae['backbone'].update(TINY_BACKBONES['TokenViT'])
        caae['embed_head'].update(in_channels=8, embed_channels=4)
        # random weights guide as well here
        del caae['init_cfg']
        model['caae_size'] = 32


def shrink_apc(model, width):
    """Make the neck of APC small, where the model is one."""
    if model.get('neck'):
        model['neck'].update(in_channels=width, hidden_channels=width // 4)
        # nothing that is untrained is sure enough to be learned from
        if model.get('thresholds'):
            model['thresholds'] = (0.5, 0.5)
        if 'transformation' in model:
            model['transformation'].update(crop_size=32, patch_size=model['backbone']['patch_size'])


def shrink(model):
    """Make the model of a config small; which parts it has stays as it is."""
    backbone = model['backbone']
    name = backbone['type'].split('.')[-1]
    backbone.update(TINY_BACKBONES[name], init_cfg=None)
    if backbone['type'].startswith('mmpretrain'):
        backbone['expansion'] = 4
    built = MODELS.build(backbone)
    widths = [x.shape[1] for x in built(torch.randn(2, 3, SIZE, SIZE))]
    model['data_preprocessor']['size'] = (SIZE, SIZE)
    for part in ('cam_head', 'decode_head', 'auxiliary_head'):
        if model.get(part):
            set_channels(model[part], widths, model[part].get('in_index', -1))
            if 'channels' in model[part]:
                model[part].update(channels=8, norm_cfg=dict(type='BN'))
    if model.get('decode_head'):
        if 'c1_in_channels' in model['decode_head']:
            model['decode_head'].update(c1_in_channels=widths[0], c1_channels=4)
        if backbone.get('norm_cfg', {}).get('type', '').endswith('BN'):
            backbone['norm_cfg'] = dict(type='BN', requires_grad=True)
    if (model.get('pcm') or {}).get('type') == 'PixelCorrelation':
        indices = model['pcm']['in_indices']
        model['pcm']['in_channels'] = [widths[i] for i in indices]
        model['pcm'].update(embed_channels=[4] * len(indices), channels=8)
    shrink_auto_encoder(model, widths[-1])
    shrink_apc(model, widths[-1])
    if 'radius' in model and 'cam_head' not in model:
        indices = model.get('in_indices', range(len(widths)))
        model.update(in_channels=[widths[i] for i in indices], radius=3)
    return model


def samples(num_classes):
    out = []
    for i in range(2):
        sample = SegDataSample(metainfo=dict(valid_box=(0, 0, SIZE, SIZE - i)))
        score = torch.zeros(num_classes - 1)
        score[i] = 1
        mask = torch.full((1, SIZE, SIZE), i + 1)
        sample.set_data(dict(gt_score=score, gt_sem_seg=PixelData(data=mask)))
        out.append(sample)
    return out


@pytest.mark.parametrize(
    'name',
    [
        pytest.param(n, marks=[getattr(pytest.mark, mark) for mark in OPTIONAL if mark in n])
        for n in NAMES
        if n not in UNTRAINED
    ],
)
@pytest.mark.filterwarnings('ignore')  # MMSeg's heads and backbones scold their own defaults
def test_config_trains_a_step(name):
    cfg = Config.fromfile(CONFIGS / name, import_custom_modules=any(o in name for o in OPTIONAL))
    assert cfg.default_scope == 'mmseg'
    assert cfg.custom_imports['imports'][0] == 'mmwsss'
    model = MODELS.build(shrink(cfg.model)).train()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    heads = ('cam_head', 'embed_head', 'decode_head')
    head = next((cfg.model[key] for key in heads if key in cfg.model), None)
    inputs = [torch.randint(0, 255, (3, SIZE, SIZE), dtype=torch.uint8) for _ in range(2)]
    # a network of affinities knows no classes
    num_classes = head['num_classes'] if head else 3
    batch = dict(inputs=inputs, data_samples=samples(num_classes))
    before = [p.detach().clone() for p in model.parameters() if p.requires_grad]
    for group in wrapper.optimizer.param_groups:
        group['lr'] = 1e-3
    log = model.train_step(batch, wrapper)
    assert all(torch.isfinite(value).all() for value in log.values())
    after = [p for p in model.parameters() if p.requires_grad]
    moved = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert sum(moved) / len(moved) > 0.9
    with torch.no_grad():
        outputs = model.eval()(inputs[0][None].float(), mode='tensor')
    assert outputs is not None


@pytest.mark.parametrize('name', NAMES)
def test_pipelines_and_evaluators_of_a_config_are_registered(name):
    cfg = Config.fromfile(CONFIGS / name, import_custom_modules=False)
    loaders = [cfg[key] for key in ('train_dataloader', 'test_dataloader') if key in cfg]
    for pipeline in (*(loader.dataset.pipeline for loader in loaders), cfg.test_pipeline):
        for step in pipeline:
            TRANSFORMS.build(step)
    for step in cfg.tta_pipeline:
        TRANSFORMS.build(step)
    if name in UNTRAINED:
        return
    evaluator = cfg.test_evaluator
    # MMSegmentation's test tool writes --out into it
    assert isinstance(evaluator, dict)
    assert '_delete_' not in evaluator
    for metric in evaluator.get('metrics', [evaluator]):
        METRICS.build(metric)
    # masks stay closed while training on tags
    decoder_learns_masks = 'decode_head' in cfg.model and cfg.model.type not in ('AFA', 'APC')
    weak = {'cam_head', 'embed_head'} & set(cfg.model) and not decoder_learns_masks
    steps = {step.type for step in cfg.train_dataloader.dataset.pipeline}
    assert not (weak and steps & {'LoadMaskChecked', 'LoadAnnotations'})
    assert not (weak and cfg.get('val_dataloader'))
