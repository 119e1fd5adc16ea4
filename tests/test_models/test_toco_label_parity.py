"""Labels, crops, losses, evaluation and augmentation of ToCo against the published numbers."""

from importlib import import_module

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmseg.registry import MODELS, TRANSFORMS
from mmseg.structures import SegDataSample

from mmwsss.models import ScaleMaxTTAModel
from mmwsss.models.losses import (
    class_token_contrast_loss,
    dense_energy_loss,
    patch_token_contrast_loss,
)
from mmwsss.models.segmentors.online_labels import KnownImages
from mmwsss.models.segmentors.toco_labels import TaggedCAMs, pick_tagged, tag_places
from mmwsss.ops import (
    PermutohedralLattice,
    choose_local_crops,
    cut_local_crops,
    pad_tags,
    pair_label_matrix,
    pixel_features,
    positive_views,
    region_map,
    threshold_labels,
    valid_mask,
)
from tests import toco_reference as reference
from tests.toco_reference import TOLERANCE, load

pytestmark = pytest.mark.stack
LOSS = dict(rtol=1e-4, atol=1e-6)


@pytest.fixture(scope='module')
def toco(tmp_path_factory):
    """Build the public model with published weights put through the tool."""
    return reference.build(reference.convert(tmp_path_factory.mktemp('toco'))).eval()


def boxes_of(img_box):
    """Return (top, left, bottom, right) of (top, bottom, left, right)."""
    return img_box.long()[:, [0, 2, 1, 3]]


# labels


@pytest.fixture(scope='module')
def labels():
    """Return the inputs of the labels, and the settings."""
    data, settings = load('pseudo_labels')
    data['classes'] = pad_tags([tags.nonzero().flatten() for tags in data['cls_labels']])
    data['valid'] = valid_mask(boxes_of(data['img_box']), (80, 112))
    return data, settings


def test_labels_by_threshold(labels):
    data, settings = labels
    cams, classes, scores = data['cams'], data['classes'], (settings['low'], settings['high'])
    found = threshold_labels(cams, classes, scores, data['valid'])
    assert torch.equal(found, data['pseudo_label'])
    found = threshold_labels(cams, classes, [settings['bkg']])
    assert torch.equal(found, data['pseudo_label_single'])
    assert torch.equal(region_map(cams, classes, *scores), data['roi_mask'])
    totals = (cams.double() * data['cls_labels'][..., None, None]).sum(dim=(2, 3))
    torch.testing.assert_close(totals, data['valid_cam_sum'])


def test_labels_of_cells_and_pairs(labels):
    data, settings = labels
    cells = F.interpolate(data['cams'], (5, 7), mode='bilinear')
    scores = (settings['low'], settings['high'])
    found = threshold_labels(cells, data['classes'], scores)
    assert torch.equal(found, data['cell_label'])
    pairs = pair_label_matrix(found, (5, 7), with_self=False)
    assert torch.equal(pairs, data['pair_label'])
    # the published loop lays the box in pixels upon the cells
    pixels = valid_mask(boxes_of(data['img_box']), (5, 7))
    found = threshold_labels(cells, data['classes'], scores, pixels)
    assert torch.equal(found, data['cell_label_pixel_box'])


@pytest.mark.parametrize('key', ['refined_label', 'refined_label_coco'])
def test_refined_pseudo_masks(toco, labels, monkeypatch, key):
    data, settings = labels
    high = settings['coco_high' if key.endswith('coco') else 'high']
    monkeypatch.setitem(toco.train_cfg, 'bg_scores', (settings['low'], high))
    assert toco.refiner.num_iters == settings['par_iters']
    classes = data['classes']
    known = KnownImages(data['images_u8'].float(), classes, None, data['valid'])
    cams = pick_tagged(data['cams'][:, None], classes)[:, 0]
    found = TaggedCAMs(cams, cams, tag_places(classes))
    masks = toco.pseudo_masks(known, found.cam, found.places)
    assert (masks != data[key]).flatten(1).sum(dim=1).max() <= 8


# local crops


@pytest.mark.parametrize('prefix', ['', 'second_'])
@pytest.mark.parametrize('own_generator', [False, True])
def test_local_crops(prefix, own_generator):
    data, settings = load('local_crops')
    size, number, seed = (settings[k] for k in ('crop_size', 'num_crops', f'{prefix}seed'))
    generator = None
    if own_generator:
        generator = torch.Generator().manual_seed(seed)
    else:
        torch.manual_seed(seed)
    crops = choose_local_crops(data['roi_mask'], size, number, generator=generator)
    assert torch.equal(crops.counts, data[f'{prefix}counts'])
    assert torch.equal(crops.positions, data[f'{prefix}positions'])
    torch.testing.assert_close(crops.ratios.double(), data[f'{prefix}ratios'], rtol=1e-6, atol=0)
    assert torch.equal(positive_views(crops.ratios).float(), data[f'{prefix}flags'])
    images = data['image'][:, None] * torch.tensor([1.0, 2, 3]).view(3, 1, 1)
    cut = cut_local_crops(images, crops.positions, size)
    sums = cut.double().sum(dim=(1, 2, 3)).view(number, -1)
    torch.testing.assert_close(sums, data[f'{prefix}crop_sums'], rtol=1e-6, atol=0)
    # ranks are those of the candidates in row-major order
    corners = data['roi_mask'][:, size // 2 :, size // 2 :][:, : 80 - size, : 96 - size] < 2
    for i, ranks in enumerate(data[f'{prefix}ranks']):
        allowed = corners[i] if corners[i].sum() >= number else torch.ones_like(corners[i])
        assert torch.equal(allowed.nonzero()[ranks], crops.positions[i])


# losses


def test_contrast_of_patch_tokens():
    data, _ = load('losses')
    feats = data['ptc_feats'].requires_grad_()
    pairs = pair_label_matrix(data['ptc_label'], (5, 6), with_self=False)
    assert torch.equal(pairs, data['ptc_pairs'])
    assert [(pairs == k).sum() for k in (1, 0)] == data['ptc_counts'].tolist()
    loss = patch_token_contrast_loss(feats, pairs)
    torch.testing.assert_close(loss.double(), data['ptc_value'], **LOSS)
    loss.backward()
    torch.testing.assert_close(feats.grad, data['ptc_value_grad'], **TOLERANCE)
    for key, label in (('all_ignored', 255), ('one_class', 3)):
        pairs = pair_label_matrix(torch.full((2, 5, 6), label), (5, 6), with_self=False)
        loss = patch_token_contrast_loss(feats, pairs)
        torch.testing.assert_close(loss.double(), data[f'ptc_{key}'], **LOSS)


@pytest.mark.parametrize(
    ('key', 'temperature'), [('value', 0.5), ('value_t1', 1.0), ('all_positive', 0.5)]
)
def test_contrast_of_class_tokens(key, temperature):
    data, settings = load('losses')
    assert settings['temp'] == 0.5
    student = data['ctc_student'].requires_grad_()
    flags = data['ctc_flags'] if key != 'all_positive' else torch.ones(3, 10)
    teacher = data['ctc_teacher'].unflatten(0, (2, 3))
    loss = class_token_contrast_loss(
        student.unflatten(0, (10, 3)), teacher, flags > 0, temperature=temperature
    )
    torch.testing.assert_close(loss.double(), data[f'ctc_{key}'], **LOSS)
    loss.backward()
    torch.testing.assert_close(student.grad, data[f'ctc_{key}_grad'], **TOLERANCE)


def test_contrast_of_class_tokens_with_fewer_crops():
    data, _ = load('losses')
    loss = class_token_contrast_loss(
        data['ctc_student'][:15].unflatten(0, (5, 3)),
        data['ctc_teacher'].unflatten(0, (2, 3)),
        data['ctc_flags'][:, :5] > 0,
    )
    torch.testing.assert_close(loss.double(), data['ctc_five_crops'], **LOSS)


def test_losses_of_tags_and_masks(toco):
    data, _ = load('losses')
    loss = toco.cam_head.loss_cls(data['cls_logits'], data['cls_target'])
    torch.testing.assert_close(loss.double(), data['cls_value'], **LOSS)
    logits, target = data['seg_logits'].requires_grad_(), data['seg_target']
    loss = toco.decode_head.loss_decode(logits, target) * 10
    torch.testing.assert_close(loss.double(), data['seg_value'], **LOSS)
    loss.backward()
    torch.testing.assert_close(logits.grad, data['seg_value_grad'], **TOLERANCE)
    for key, other in (('bg', target != 0), ('fg', target == 0)):
        half = toco.decode_head.loss_decode(logits, target.masked_fill(other, 255)) * 10
        torch.testing.assert_close(half.double() * 2, data[f'seg_value_{key}'], **LOSS)


def gated_energy(images, probs, gate, valid):
    """Return the published value, which carries the gate and takes padding as it is."""
    lattice = PermutohedralLattice(pixel_features(images, sigma_xy=50.0, sigma_rgb=15.0))
    flat = (probs * valid).flatten(2)
    return -(flat * gate.flatten(2) * lattice.filter(flat)).sum() / len(flat)


def test_regularised_loss(monkeypatch):
    data, settings = load('losses')
    loss_reg = MODELS.build(
        dict(
            type='DenseEnergyLoss',
            loss_weight=settings['reg_weight'],
            sigma_rgb=settings['reg_sigma_rgb'],
            sigma_xy=settings['reg_sigma_xy'],
            scale=settings['reg_scale'],
            reference_size=None,
        )
    )
    seen = []
    monkeypatch.setattr(
        # the package has a function of this name
        import_module('mmwsss.models.losses.dense_energy_loss'),
        'dense_energy_loss',
        lambda *args, **kwargs: seen.append(args) or dense_energy_loss(*args, **kwargs),
    )
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in (reference.MEAN, reference.STD))
    images = data['reg_inputs'] * std + mean  # not cut to 8 bits
    whole = torch.ones(2, 1, 40, 56, dtype=torch.bool)
    for key, label, valid in (
        ('reg', data['reg_label'], valid_mask(boxes_of(data['reg_img_box']), (40, 56))),
        ('reg_unlabelled', torch.full_like(data['reg_label'], 255), whole),
    ):
        logits = data['reg_logits'].clone().requires_grad_()
        loss = loss_reg(logits, images, label, valid)
        value = loss if key == 'reg_unlabelled' else gated_energy(*seen[0])
        torch.testing.assert_close(
            value.double(), data[f'{key}_value'].double(), rtol=1e-4, atol=0, check_dtype=False
        )
        loss.backward()
        expected = data[f'{key}_grad']
        assert (logits.grad - expected).norm() < 0.06 * expected.norm()


# evaluation


@pytest.mark.parametrize('name', ['voc', 'coco'])
def test_multi_scale_segmentation(toco, repo, monkeypatch, name):
    data, settings = load('multi_scale')
    views = Config.fromfile(repo / f'configs/toco/toco_vit-b_{name}.py').tta_model
    assert views.pop('type') == 'ScaleMaxTTAModel'
    assert list(views.scales) == settings[f'eval_{name}_scales']
    tta = ScaleMaxTTAModel(toco, **views)
    seen = []
    hook = toco.backbone.register_forward_hook(
        lambda _, args, feats: seen.append((args[0], toco.decode_head(feats)))
    )
    sample = SegDataSample(metainfo=dict(ori_shape=(60, 84)))
    # its work is done
    monkeypatch.setattr(toco.data_preprocessor, 'forward', lambda batch, training: batch)
    with torch.no_grad():
        merged = tta.merged_logits(data['eval_inputs'])
        sample = tta.test_step(dict(inputs=data['eval_inputs'], data_samples=[sample]))[0]
    hook.remove()
    sizes = [list(x.shape[2:]) for x, _ in seen[:3]]
    assert sizes == data['eval_sizes' if name == 'voc' else 'eval_coco_sizes'].tolist()
    if name == 'voc':
        torch.testing.assert_close(seen[0][1][:1], data['eval_seg'], **TOLERANCE)
        torch.testing.assert_close(merged[0], data['eval_voc_seg'], **TOLERANCE)
    else:
        expected = data['eval_coco_seg_s2']
        torch.testing.assert_close(merged[0, :, ::2, ::2], expected, **TOLERANCE)
    assert (sample.pred_sem_seg.data[0] != data[f'eval_{name}_label']).sum() <= 8


def test_dense_crf(repo):
    data, settings = load('crf')
    crf = Config.fromfile(repo / 'configs/pipelines/toco_vit-b_voc.py').crf
    assert crf.num_iters == settings['iters']
    image = data['image_u8'].permute(2, 0, 1)[None]
    found = MODELS.build(crf)(image, data['prob'][None])[0]
    torch.testing.assert_close(found, data['crf_prob'], rtol=1e-3, atol=1e-3)
    assert (found.argmax(dim=0) != data['crf_label']).float().mean() <= 0.005


# augmentation


@pytest.mark.parametrize('radius', ['0.1', '0.4', '0.9', '1.5', '2.0'])
def test_blur(radius):
    with np.load(reference.REFERENCE / 'toco/augment.npz') as data:
        image, expected = data['image'], data[f'blur_{radius}']
    blur = TRANSFORMS.build(
        dict(type='BlurImage', min_radius=float(radius), max_radius=float(radius))
    )
    # of BGR, as this package has it
    found = blur(dict(img=image[..., ::-1]))['img'][..., ::-1]
    assert np.array_equal(found, expected)


def test_solarised():
    with np.load(reference.REFERENCE / 'toco/augment.npz') as data:
        image, expected = data['image'], data['solarised']
    found = TRANSFORMS.build(dict(type='SolarizeImage'))(dict(img=image))['img']
    assert found.dtype == np.uint8 and np.array_equal(found, expected)


def test_boxes_of_crops():
    data, settings = load('augment')
    crop = TRANSFORMS.build(dict(type='CropWithValidBox', crop_size=settings['crop_size']))
    for size, box in zip(data['crop_image_sizes'].tolist(), data['crop_boxes'], strict=True):
        found = crop(dict(img=np.zeros((*size, 3), np.uint8)))['valid_box']
        top, left, bottom, right = found
        # where in the crop is chance; how much of it is not
        assert bottom - top == box[1] - box[0] and right - left == box[3] - box[2]
