"""Which of SEAM's maps are predicted, and SEAM without its module: ER alone."""

import pytest
import torch

from mmwsss.models.utils import image_labels
from tests.test_models.test_weak_segmentor import SEAM, batch, build

pytestmark = pytest.mark.stack
ER = dict(pcm=None, loss_ecr=None, loss_rvmin=None)


@pytest.mark.parametrize(('maps', 'key'), [('refined', 'cam_rv'), ('raw', 'cam')])
def test_maps_are_chosen(maps, key):
    model = build(SEAM, test_cfg=dict(maps=maps)).eval()
    inputs, samples = batch()
    with torch.no_grad():
        expected = model(inputs, mode='tensor')[key][:, 1:]
        found = model(inputs, samples, mode='predict')
    tags = image_labels(samples, 4, 'cpu')[..., None, None]
    for sample, cams in zip(found, expected * tags, strict=True):
        torch.testing.assert_close(sample.cams.data, cams)


def test_refined_maps_are_the_default():
    assert build(SEAM).cam_key == 'cam_rv'


def test_equivariant_regularisation_alone():
    model = build(SEAM, **ER, test_cfg=dict(maps='raw')).train()
    losses = model(*batch(), mode='loss')
    assert set(losses) == {'loss_cls', 'loss_er'}
    sum(losses.values()).backward()
    # nothing is left for which other processes would wait
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    assert set(model(batch()[0], mode='tensor')) == {'cam', 'cls'}


@pytest.mark.parametrize(
    'changes',
    [ER, dict(ER, test_cfg=dict(maps='raw'), loss_ecr=SEAM['loss_ecr'])],
)
def test_refined_maps_need_the_module(changes):
    with pytest.raises(ValueError, match="without pcm there are no refined maps: set .*'raw'"):
        build(SEAM, **changes)


def test_unknown_maps_are_refused():
    with pytest.raises(ValueError, match=r"maps must be one of \('refined', 'raw'\), got 'cam'"):
        build(SEAM, test_cfg=dict(maps='cam'))


def test_key_is_none_of_the_baseline():
    baseline = {k: v for k, v in SEAM.items() if k in ('backbone', 'cam_head')}
    with pytest.raises(ValueError, match='WeakSegmentor: test_cfg has no maps'):
        build(dict(baseline, type='WeakSegmentor'), test_cfg=dict(maps='raw'))
