"""The snippets of docs/mix_in.md and docs/add_a_method.md: configs train, programs run."""

import re
import runpy
import sys

import pytest
import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from tests.weak_data import save_image

pytestmark = pytest.mark.stack

CONFIGS = ('fcn_r18', 'cam_head', 'adaptive_k', 'dense_crf', 'dense_energy')
PROGRAMS = ('refine', 'pixel_correlation', 'affinity_head')
MODULES = ('energy_segmentor', 'mirror_loss', 'mirror_segmentor')
METHOD = 'mirror_r38-tiny_emblems'
REGISTERED = ('EnergySegmentor', 'MirrorLoss', 'MirrorSegmentor')


def find_snippets(repo):
    """Return the snippets that name a file, by the name."""
    pages = ('docs/mix_in.md', 'docs/add_a_method.md')
    text = ''.join((repo / page).read_text(encoding='utf-8') for page in pages)
    blocks = re.findall(r'```python\n(.*?)```', text, re.DOTALL)
    named = [re.match(r'# ([\w-]+)\.py\n', block) for block in blocks]
    return {
        match[1]: block for match, block in zip(named, blocks, strict=True) if match is not None
    }


@pytest.fixture
def folder(repo, tmp_path, monkeypatch):
    """A folder with all snippets as files, from which they are run."""
    for name, text in find_snippets(repo).items():
        (tmp_path / f'{name}.py').write_text(text)
    (tmp_path / 'configs').symlink_to(repo / 'configs')
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in MODULES:
        sys.modules.pop(name, None)
    for name in REGISTERED:
        MODELS.module_dict.pop(name, None)


def make_batch(folder):
    """Return a batch as a loader gives it, its images in files."""
    inputs, samples = [], []
    for i in range(2):
        image = torch.randint(256, (3, 64, 64), dtype=torch.uint8)
        path = folder / f'{i}.png'
        save_image(path, image.permute(1, 2, 0).flip(2).numpy())
        shapes = dict.fromkeys(('ori_shape', 'img_shape', 'pad_shape'), (64, 64))
        sample = SegDataSample(metainfo=dict(shapes, img_path=str(path)))
        sample.gt_sem_seg = PixelData(data=torch.randint(3, (1, 64, 64)))
        inputs.append(image)
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


def build(name):
    return MODELS.build(Config.fromfile(f'{name}.py').model)


def losses_of(model, folder):
    data = model.data_preprocessor(make_batch(folder), training=True)
    return model.train()(**data, mode='loss')


def test_every_snippet_is_tested(repo):
    assert set(find_snippets(repo)) == {*CONFIGS, *PROGRAMS, *MODULES, METHOD}


@pytest.mark.parametrize('name', CONFIGS)
def test_config_trains(folder, name):
    model = build(name)
    losses = losses_of(model, folder)
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    extra = dict(cam_head='aux.loss_cls', adaptive_k='aux.loss_cls', dense_energy='loss_energy')
    assert all(value.isfinite().all() for value in losses.values())
    assert {'decode.loss_ce', 'loss_ce'} & losses.keys()
    assert extra.get(name, next(iter(losses))) in losses


def test_pooling_is_the_adaptive_one(folder):
    assert type(build('adaptive_k').auxiliary_head.pooling).__name__ == 'AdaptiveKPooling'


def test_energy_pulls_at_the_decoder(folder):
    model = build('dense_energy')
    losses_of(model, folder)['loss_energy'].backward()
    assert model.decode_head.conv_seg.weight.grad.abs().sum() > 0


def test_crf_changes_the_prediction_and_not_the_weights(folder):
    plain, refined = build('fcn_r18').eval(), build('dense_crf').eval()
    refined.load_state_dict(plain.state_dict())
    batch = make_batch(folder)
    logits = []
    for model in (plain, refined):
        with torch.no_grad():
            logits.append(model.test_step(batch)[0].seg_logits.data.softmax(0))
    assert logits[0].shape == logits[1].shape == (21, 64, 64)
    assert not torch.allclose(logits[0], logits[1])
    tta = MODELS.build(dict(Config.fromfile('dense_crf.py').tta_model, module=refined))
    assert tta.module is refined


@pytest.mark.parametrize(
    ('name', 'result', 'shape'),
    [
        ('refine', 'mask', (1, 48, 64)),
        ('pixel_correlation', 'refined', (2, 21, 8, 8)),
        ('affinity_head', 'affinity', (2, 4, 4)),
    ],
)
def test_program_runs(folder, name, result, shape):
    found = runpy.run_path(str(folder / f'{name}.py'))[result]
    assert tuple(found.shape) == shape
    assert found.isfinite().all()


def test_method_trains_and_predicts(folder):
    model = build(METHOD)
    batch = make_batch(folder)
    for sample, label in zip(batch['data_samples'], (0, 3), strict=True):
        sample.gt_score = torch.nn.functional.one_hot(torch.tensor(label), 6).float()
    data = model.data_preprocessor(batch, training=True)
    losses = model.train()(**data, mode='loss')
    losses['loss_mirror'].backward()
    assert losses.keys() == {'loss_cls', 'loss_mirror'}
    assert model.cam_head.conv_cam.weight.grad[[0, 3]].abs().sum() > 0
    assert not model.cam_head.conv_cam.weight.grad[[1, 2, 4, 5]].any()
    with torch.no_grad():
        (first, _) = model.eval().test_step(batch)
    assert first.pred_sem_seg.data.shape == (1, 64, 64)
