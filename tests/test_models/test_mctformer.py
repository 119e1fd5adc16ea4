"""MCTformer on a tiny network: losses, maps, options, two processes, errors."""

import copy
import subprocess
import sys

import pytest
import torch
from mmengine.config import Config, DictAction
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmwsss.models import CAMTTAModel
from mmwsss.models.segmentors.mctformer import maps_on_image
from tests.host_reads import NoHostReads
from tests.loading import ROOT

pytestmark = pytest.mark.stack
SIZE = (64, 64)
V1 = ('patch_head=None', 'fusion=attention', 'loss_contrast=None')
V2 = ('patch_head.pooling=gap', 'fusion=product', 'loss_contrast=None', 'attention_blocks=1')
VERSIONS = dict(v1=V1, v2=V2, plus=())


@pytest.fixture(scope='module')
def cfg(repo):
    """Return the public tiny + with three foreground classes."""
    cfg = Config.fromfile(repo / 'configs/_base_/models/mctformer_deit-tiny.py').model
    cfg.data_preprocessor.size = SIZE
    cfg.backbone.update(
        embed_dims=12, num_heads=2, stem_channels=(), img_size=64, drop_path_rate=0.0
    )
    cfg.cam_head.num_classes = 4
    return cfg


@pytest.fixture
def build(cfg):
    """Build the model in training, with options as on the command line, alike each time."""

    def build(*options):
        torch.manual_seed(0)
        changed = Config(dict(model=copy.deepcopy(cfg)))
        words = (word.split('=', 1) for word in options)
        changed.merge_from_dict(
            {f'model.{key}': DictAction._parse_iterable(value) for key, value in words}
        )
        model = MODELS.build(changed.model)
        model.init_weights()
        return model.train()

    return build


def batch(size=SIZE):
    """Return two images and their samples."""
    samples = []
    for tags in ((0, 2), (1,)):
        meta = dict(valid_box=(0, 0, *size), ori_shape=size, img_shape=size)
        samples.append(SegDataSample(metainfo=meta))
        label = torch.tensor(tags)
        samples[-1].set_data(dict(gt_label=label, gt_score=torch.zeros(3).index_fill_(0, label, 1)))
    return torch.randn(2, 3, *size), samples


# losses


@pytest.mark.parametrize(('version', 'names'), [
    ('v1', 'loss_cls'), ('v2', 'loss_cls loss_patch'), ('plus', 'loss_cls loss_patch loss_contrast')
])  # fmt: skip
def test_losses_and_a_gradient_in_every_parameter(build, version, names):
    model = build(*VERSIONS[version])
    losses = model(*batch(), mode='loss')
    assert list(losses) == names.split()
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_what_is_shown_changes_no_loss(build):
    """Training neither holds attention nor waits for values."""
    model, (inputs, samples) = build(), batch()
    seen = []
    encode = model.backbone.encode
    model.backbone.encode = lambda x, **kwargs: seen.append(kwargs) or encode(x, **kwargs)
    with NoHostReads():
        model(inputs, samples, mode='loss')
    assert seen == [{}]


def test_weight_of_the_contrast(build):
    data = batch()
    losses = [
        build(f'loss_contrast.loss_weight={weight}')(*data, mode='loss') for weight in (1, 0.25)
    ]
    torch.testing.assert_close(losses[0]['loss_contrast'], 4 * losses[1]['loss_contrast'])
    assert 'loss_contrast' not in build('loss_contrast.loss_weight=0')(*data, mode='loss')


@pytest.mark.parametrize('number', [1, 2, 3])
def test_contrast_sees_the_last_blocks(build, number):
    model = build(f'contrast_blocks={number}').eval()
    with torch.no_grad():
        tokens = model(batch()[0], mode='tensor')['class_tokens']
    assert tokens.shape == (number, 2, 3, 12)


# maps


@torch.no_grad()
def test_fusions_and_refinement_by_hand(build):
    inputs = batch()[0]
    outputs = build().eval()(inputs, mode='tensor')
    attention, patch = outputs['class_attention'], outputs['patch_cam'].relu()
    fused = dict(attention=attention, patch=patch, product=attention * patch)
    fused['sqrt'] = (attention * patch).sqrt()
    for name, cam in fused.items():
        model = build(f'fusion={name}').eval()
        found = model(inputs, mode='tensor')
        torch.testing.assert_close(found['cam'], cam)
        refined = torch.einsum('nij,nkj->nki', outputs['patch_affinity'], cam.flatten(2))
        torch.testing.assert_close(found['refined_cam'], refined.view_as(cam))
        torch.testing.assert_close(model.predict_maps(inputs)[0], found['refined_cam'])
        plain = build(f'fusion={name}', 'refine=False').eval()
        torch.testing.assert_close(plain.predict_maps(inputs)[0], cam)


@torch.no_grad()
@pytest.mark.parametrize('reduce', ['sum', 'mean'])
@pytest.mark.parametrize('refine', [True, False])
def test_attention_of_the_last_blocks(build, reduce, refine):
    inputs = batch()[0]
    whole = build('attention_reduce=sum').eval()
    rows = [x[:, :3] for x in whole.backbone.encode(inputs, attention='mean').attentions]
    model = build('attention_blocks=2', f'attention_reduce={reduce}', f'refine={refine}').eval()
    found = model(inputs, mode='tensor')['class_attention']
    expected = rows[1] + rows[2]
    expected = expected if reduce == 'sum' else expected / 2
    torch.testing.assert_close(found.flatten(2), expected)
    assert len(model.backbone.attention_blocks) == (3 if refine else 2)


@torch.no_grad()
@pytest.mark.parametrize('size', [(64, 64), (70, 61), (3, 90), (40, 47)])
@pytest.mark.parametrize('stretch', [True, False])
def test_predictions_of_any_size(build, size, stretch):
    model = build(f'stretch_maps={stretch}').eval()
    for sample in model(*batch(size), mode='predict'):
        assert sample.cams.data.shape == (3, *size)
        assert sample.seg_logits.data.isfinite().all()
        assert sample.pred_score.shape == (3,)


def test_maps_lie_where_the_patches_are():
    maps = torch.zeros(1, 1, 2, 3)
    maps[..., 0, 2] = 1
    found = maps_on_image(maps, 8, (21, 30))
    assert found.shape == (1, 1, 21, 30)
    assert found[0, 0, :4, 20:].eq(1).all()  # from the middle of the patch to the border
    assert not found[0, 0, :, :12].any()
    assert found[0, 0, 20].eq(0).all()
    assert maps_on_image(maps[:, :0], 8, (21, 30)).shape == (1, 0, 21, 30)


@torch.no_grad()
def test_stretched_maps_need_images_without_padding(build):
    model = build('stretch_maps=True').eval()
    inputs, samples = batch()
    for sample in samples:
        sample.set_metainfo(dict(img_padding_size=[0, 8, 0, 0], img_path='dog.jpg'))
    with pytest.raises(ValueError, match=r'but dog.jpg is padded: predict images of several'):
        model(inputs, samples, mode='predict')


@torch.no_grad()
@pytest.mark.parametrize('number', [0, 1, 3])
def test_maps_of_any_tags_are_finite(build, number):
    views = CAMTTAModel(module=build().eval())
    inputs, samples = batch()
    score = (torch.arange(3) < number).float()
    for sample in samples:
        sample.set_data(dict(gt_score=score, gt_label=score.nonzero().flatten()))
    images = (inputs * 50 + 120).clamp(0, 255).byte()
    mirrored = copy.deepcopy(samples)
    for sample in mirrored:
        sample.set_metainfo(dict(flip=True, flip_direction='horizontal'))
    data = dict(inputs=[images, images.flip(3)], data_samples=[samples, mirrored])
    for sample in views.test_step(data):
        assert sample.seg_logits.data.isfinite().all()
        assert sample.pred_sem_seg.data.max() <= number


# options of the page


@pytest.mark.parametrize(
    'options',
    [
        'shared_token=True fusion=product loss_contrast=None',
        'loss_contrast=None',
        'contrast_blocks=1',
        'refine=False',
        'fusion=attention',
        'fusion=patch',
        'patch_head.pooling=gap',
        'patch_head.pooling=gmp',
        'patch_head=None fusion=attention loss_contrast=None',
        'attention_blocks=1',
        'stretch_maps=True',
        'backbone.position_offset=0.1',
    ],
)
def test_options_of_the_page_train(build, repo, options):
    page = ' '.join((repo / 'docs/mctformer.md').read_text().replace('\\\n', ' ').split())
    words = options.replace('=gap', '=$pooling').replace('=gmp', '=$pooling').split()
    assert all(f'model.{word}' in page for word in words)
    model = build(*options.split())
    losses = model(*batch(), mode='loss')
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in model.parameters())
    with torch.no_grad():
        maps = model.eval().predict_maps(batch()[0])[0]
    assert maps.shape == (2, 3, 8, 8) and maps.isfinite().all()


# two processes

PROCESS = """
import sys, warnings
warnings.simplefilter('ignore')
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
import mmwsss
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
init_default_scope('mmseg')
folder, rank = sys.argv[1], int(sys.argv[2])
store = f'file://{folder}/store'
distributed.init_process_group('gloo', init_method=store, rank=rank, world_size=2)
saved = torch.load(f'{folder}/batch.pth', weights_only=False)
model = MODELS.build(Config.fromfile(f'{folder}/model.py').model).train()
model.load_state_dict(saved['weights'])
wrapped = DistributedDataParallel(model)
inputs, samples = saved['batch']
losses = wrapped(inputs[rank:rank + 1], samples[rank:rank + 1], mode='loss')
sum(losses.values()).backward()
if not rank:
    torch.save({n: p.grad for n, p in model.named_parameters()}, f'{folder}/grads.pth')
distributed.destroy_process_group()
"""


def test_two_processes_give_the_gradients_of_one(cfg, tmp_path):
    """All losses are means over images."""
    saved = Config(dict(model=copy.deepcopy(cfg)))
    saved.dump(tmp_path / 'model.py')
    torch.manual_seed(0)
    model = MODELS.build(saved.model).train()
    inputs, samples = batch()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    torch.save(dict(weights=weights, batch=(inputs, samples)), tmp_path / 'batch.pth')
    processes = [
        subprocess.Popen([sys.executable, '-c', PROCESS, str(tmp_path), str(rank)], cwd=ROOT)
        for rank in range(2)
    ]
    assert [process.wait(500) for process in processes] == [0, 0]
    sum(model(inputs, samples, mode='loss').values()).backward()
    grads = torch.load(tmp_path / 'grads.pth')
    assert len(grads) == len(list(model.parameters())) > 20
    for name, grad in grads.items():
        torch.testing.assert_close(
            grad, model.get_parameter(name).grad, rtol=1e-4, atol=1e-6, msg=name
        )


# what is refused


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ('attention_blocks=4', 'must lie in 1 to 3, the blocks of the backbone, got 4 and 3'),
        ('contrast_blocks=0', 'must lie in 1 to 3, the blocks of the backbone, got 3 and 0'),
        ('fusion=sum', r"fusion must be one of \('attention', 'patch', 'product', 'sqrt'\)"),
        ('attention_reduce=max', r"attention_reduce one of \('sum', 'mean'\), got 'sqrt' and"),
        ('patch_head=None', "fusion='sqrt' needs a patch_head: set one, or set fusion='attention'"),
        (
            'shared_token=True',
            'shared_token=True cannot distinguish classes: set fusion to another',
        ),
        ('test_cfg.output=seg', 'test_cfg.output must be one of'),
        ('pcm.type=PixelCorrelation', 'MCTformer takes no pcm'),
        (
            'stretch_maps=True test_cfg.mode=slide test_cfg.crop_size=[32,32] '
            'test_cfg.stride=[16,16]',
            "stretch_maps needs test_cfg.mode='whole'",
        ),
    ],
)
def test_wrong_settings_are_refused(build, options, message):
    with pytest.raises(ValueError, match=message):
        build(*options.split())
