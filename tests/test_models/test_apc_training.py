"""APC's training on a tiny network: the whole loss by loops, pseudo masks, gradients, padding."""

import math

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import DictAction
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmwsss.models.segmentors.online_labels import known_images
from mmwsss.ops import pixel_adaptive_refine, pixel_adaptive_weights
from tests.host_reads import NoHostReads
from tests.tiny_apc import apc_config

pytestmark = pytest.mark.stack
SIZE = (32, 32)
BOXES = ((0, 0, 32, 32), (8, 0, 32, 19))
TAGS = ((0, 2), (1,))
LOW, HIGH = 0.35, 0.55
NAMES = {'loss_cls', 'loss_pce', 'loss_seg'}


def build(name='apc_vit-tiny', **changes):
    """Build a public tiny model in training, with scores of all kinds, alike each time."""
    torch.manual_seed(0)
    model = MODELS.build(apc_config(name, changes)).train()
    with torch.no_grad():
        model.cam_head.conv_cam.weight.normal_(std=12.0)
    return model


def without_chance(model):
    for part in model.modules():
        if isinstance(part, (torch.nn.Dropout, torch.nn.Dropout2d)):
            part.p = 0
    return model


def batch(tags=TAGS, boxes=BOXES):
    """Return two images, the second with padding, and their samples."""
    torch.manual_seed(1)
    samples = []
    for labels, box in zip(tags, boxes, strict=True):
        samples.append(SegDataSample(metainfo=dict(valid_box=box)))
        label = torch.tensor(labels, dtype=torch.int64)
        samples[-1].set_data(dict(gt_label=label, gt_score=torch.zeros(3).index_fill_(0, label, 1)))
    return torch.randn(2, 3, *SIZE), samples


def score_maps(seed=0):
    """Return patch scores of all kinds, which sum to 1."""
    torch.manual_seed(seed)
    return (torch.randn(2, 4, 4, 4) * 3).softmax(dim=1)


# the same by loops


def patch_is_image(box, row, column):
    inside = [
        box[0] <= y < box[2] and box[1] <= x < box[3]
        for y in range(8 * row, 8 * row + 8)
        for x in range(8 * column, 8 * column + 8)
    ]
    return sum(inside) >= len(inside) / 2


def cross_entropy_of_tags(scores, tags, k=6, margin=0.05):
    terms = []
    for c, values in enumerate(scores.flatten(1).tolist()):
        ordered = sorted(values, reverse=True)
        kept = ordered[:k] + [v for v in ordered[k:] if ordered[0] - v < margin]
        p = sum(kept) / len(kept)
        terms.append(-math.log(p if c == 0 or c - 1 in tags else 1 - p))
    return terms


def contrast(embed, scores, tags, box, eps=0.85):
    cells = [(r, c) for r in range(4) for c in range(4) if patch_is_image(box, r, c)]
    total = []
    for tag in tags:
        high = [embed[:, r, c] for r, c in cells if scores[tag + 1, r, c] > eps]
        low = [embed[:, r, c] for r, c in cells if scores[tag + 1, r, c] < 1 - eps]

        def similar(a, b):
            return (1 + (a @ b / a.norm() / b.norm()).item()) / 2

        alike = [
            1 - similar(a, b) for i, a in enumerate(high) for j, b in enumerate(high) if i != j
        ]
        across = [similar(a, b) for a in high for b in low]
        total.append(sum(sum(x) / len(x) for x in (alike, across) if x))
    return sum(total) / len(total)


def shares_of(scores, tags, box):
    """Return the shares of background and tagged classes, patch by patch."""
    cells = [(r, c) for r in range(4) for c in range(4) if patch_is_image(box, r, c)]
    shares = torch.zeros_like(scores)
    for r, c in cells:
        for k in (0, *(tag + 1 for tag in tags)):
            shares[k, r, c] = scores[k, r, c] / max(scores[k, y, x].item() for y, x in cells)
        shares[:, r, c] /= shares[:, r, c].sum()
    return shares


def label_of(values):
    values = values / values.sum().clamp(min=1e-30)
    if values[0] > 1 - LOW:
        return 0
    return values[1:].argmax() + 1 if values[1:].max() > HIGH else 255


def pseudo_mask(scores, tags, box, refine=None):
    """Return the mask of an image at half size, pixel by pixel."""
    pixels = shares_of(scores, tags, box).repeat_interleave(4, 1).repeat_interleave(4, 2)
    if refine is not None:
        pixels = refine(pixels)
    mask = torch.full((16, 16), 255, dtype=torch.uint8)
    for y in range(16):
        for x in range(16):
            if box[0] <= 2 * y < box[2] and box[1] <= 2 * x < box[3]:
                mask[y, x] = label_of(pixels[:, y, x])
    return mask


def segmentation(logits, masks):
    terms = []
    logits = F.interpolate(logits, (16, 16), mode='bilinear').log_softmax(dim=1)
    for image, mask in zip(logits, masks, strict=True):
        terms += [-image[mask[y, x].item(), y, x] for y in range(16) for x in range(16)
                  if mask[y, x] != 255]  # fmt: skip
    return sum(terms).item() / len(terms)


@pytest.mark.parametrize('refiner', [False, True])
def test_whole_loss_by_loops(refiner):
    model = without_chance(build(**({} if refiner else dict(refiner=None))))
    inputs, samples = batch()
    losses = model(inputs, samples, mode='loss')
    assert set(losses) == NAMES
    with torch.no_grad():
        feats = model.extract_feat(inputs)
        scores = model.cam_head(feats)[0]
        logits = model.decode_head(feats)
    terms = [t for image, tags in zip(scores, TAGS, strict=True)
             for t in cross_entropy_of_tags(image, tags)]  # fmt: skip
    assert losses['loss_cls'].item() == pytest.approx(sum(terms) / len(terms), rel=1e-4)
    parts = zip(feats[-1], scores, TAGS, BOXES, strict=True)
    expected = 0.02 * sum(contrast(*part) for part in parts) / 2
    assert expected > 0.001
    assert losses['loss_pce'].item() == pytest.approx(expected, rel=1e-4)
    masks = []
    for image, maps, tags, box in zip(inputs, scores, TAGS, BOXES, strict=True):
        refine = None
        if refiner:
            colours = (image * 127.5 + 127.5).clamp(0, 255).floor() / 255
            small = colours.view(3, 16, 2, 16, 2).mean(dim=(2, 4))
            weights = pixel_adaptive_weights(small[None], (1, 2, 4, 8))

            def refine(pixels, weights=weights):
                return pixel_adaptive_refine(pixels[None], weights, (1, 2, 4, 8), num_iters=5)[0]

        masks.append(pseudo_mask(maps, tags, box, refine))
    found = model.pseudo_masks(known_images(inputs, samples, torch.zeros(2, 3)), scores)
    assert (found == torch.stack(masks)).float().mean() > 0.998
    assert losses['loss_seg'].item() == pytest.approx(0.1 * segmentation(logits, masks), rel=5e-3)


# pseudo masks


@pytest.mark.parametrize('kind', ['PAMR', 'DenseCRF'])
def test_any_image_refiner_gets_images_of_its_type(kind):
    inputs, samples = batch()
    scores = score_maps()
    known = known_images(inputs, samples, torch.zeros(2, 3))
    rough = build(refiner=None).pseudo_masks(known, scores)
    found = build(refiner=dict(type=kind)).pseudo_masks(known, scores)
    assert found.shape == rough.shape and not torch.equal(found, rough)
    outside = torch.ones(16, 16, dtype=torch.bool)
    outside[4:, :10] = False
    assert found[1][outside].eq(255).all()


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('tags', [TAGS, ((0, 1, 2), (2,)), ((), (1,))])
def test_pseudo_masks_pixel_by_pixel(tags, seed):
    model = build(refiner=None)
    inputs, samples = batch(tags)
    scores = score_maps(seed)
    found = model.pseudo_masks(known_images(inputs, samples, torch.zeros(2, 3)), scores)
    expected = [pseudo_mask(*parts) for parts in zip(scores, tags, BOXES, strict=True)]
    assert torch.equal(found, torch.stack(expected))


@pytest.mark.parametrize('tags', [TAGS, ((0, 1, 2), (2,)), ((), (1,))])
def test_hard_masks_are_the_categories_of_patches(tags):
    model = build(refiner=None, thresholds=None)
    inputs, samples = batch(tags)
    scores = score_maps()
    found = model.pseudo_masks(known_images(inputs, samples, torch.zeros(2, 3)), scores)
    for maps, labels, box, mask in zip(scores, tags, BOXES, found, strict=True):
        shares = shares_of(maps, labels, box).repeat_interleave(4, 1).repeat_interleave(4, 2)
        outside = torch.ones(16, 16, dtype=torch.bool)
        outside[box[0] // 2 : box[2] // 2, : (box[3] + 1) // 2] = False
        assert mask[outside].eq(255).all()
        assert torch.equal(mask[~outside].long(), shares.argmax(dim=0)[~outside])


def test_all_kinds_of_labels_come_up():
    model = build(refiner=None)
    inputs, samples = batch()
    known, found = known_images(inputs, samples, torch.zeros(2, 3)), [set(), set()]
    for seed in range(3):
        masks = model.pseudo_masks(known, score_maps(seed))
        found = [
            seen | set(mask.unique().tolist()) for seen, mask in zip(found, masks, strict=True)
        ]
    assert found == [{0, 1, 3, 255}, {0, 2, 255}]


def test_what_lies_outside_the_image_is_in_no_mask_and_no_pair():
    """Scores and embeddings of patches of padding change neither loss; nor do those of no tag."""
    model = build(refiner=None)
    inputs, samples = batch()
    known = known_images(inputs, samples, torch.zeros(2, 3))
    scores, embed = score_maps(), torch.randn(2, 16, 4, 4)
    valid = F.adaptive_avg_pool2d(known.valid.float(), (4, 4)) >= 0.5
    assert not valid[1].all()
    spoilt_scores = torch.where(valid, scores, torch.rand_like(scores))
    spoilt_embed = torch.where(valid, embed, torch.randn_like(embed))
    labels = torch.stack([sample.gt_score for sample in samples])
    masks = model.pseudo_masks(known, scores)
    assert torch.equal(model.pseudo_masks(known, spoilt_scores), masks)
    assert (masks[1, :4] == 255).all() and (masks[1, :, 10:] == 255).all()
    assert torch.equal(
        model.loss_pce(embed, scores, labels, valid),
        model.loss_pce(spoilt_embed, spoilt_scores, labels, valid),
    )


def test_the_classifier_is_told_where_the_image_is():
    model, seen = build(), []
    model.loss_pce.register_forward_pre_hook(lambda _, args: seen.extend(args))
    inputs, samples = batch()
    model(inputs, samples, mode='loss')
    embed, _, labels, valid = seen
    assert embed.requires_grad
    assert labels.tolist() == [[1, 0, 1], [0, 1, 0]]
    expected = [[patch_is_image(box, r, c) for r in range(4) for c in range(4)] for box in BOXES]
    assert valid.flatten(1).tolist() == expected


# what is computed


def test_one_pass_of_the_encoder_serves_classes_and_decoder():
    model, passes = build(), []
    model.backbone.register_forward_hook(lambda *_: passes.append(1))
    model(*batch(), mode='loss')
    assert len(passes) == 1


@pytest.mark.parametrize('name', ['apc_vit-tiny', 'vit-pcm'])
def test_nothing_waits_for_values(name):
    changes = {}
    if name == 'apc_vit-tiny':
        # MMSeg's cross entropy counts the pixels that it does not ignore
        changes['decode_head.loss_decode'] = dict(type='BalancedCrossEntropyLoss')
    model, data = build(name, **changes), batch()
    with NoHostReads():
        losses = model(*data, mode='loss')
    assert set(losses) == (NAMES if changes else {'loss_cls', 'loss_et'})


@pytest.mark.parametrize(
    ('changes', 'names'),
    [
        ({}, NAMES),
        (dict(loss_pce=None), {'loss_cls', 'loss_seg'}),
        ({'decode_head': None, 'test_cfg.output': 'cam'}, {'loss_cls', 'loss_pce'}),
        (dict(neck=None), NAMES),
        (dict(refiner=None), NAMES),
    ],
)
def test_parts_can_be_left_out(changes, names):
    losses = build(**changes)(*batch(), mode='loss')
    assert set(losses) == names
    assert all(loss.isfinite() for loss in losses.values())


@pytest.mark.parametrize(
    ('place', 'name'),
    [
        ('cam_head.loss_cls.loss_weight', 'loss_cls'),
        ('loss_pce.loss_weight', 'loss_pce'),
        ('decode_head.loss_decode.loss_weight', 'loss_seg'),
    ],
)
def test_weights_are_settings(place, name):
    found = [
        without_chance(build(**{place: weight}))(*batch(), mode='loss')[name]
        for weight in (1.0, 3.0)
    ]
    torch.testing.assert_close(found[1], 3 * found[0])


# gradients


@pytest.mark.parametrize(
    ('name', 'parts'),
    [
        ('loss_cls', {'backbone', 'neck', 'cam_head'}),
        # the scores choose and learn nothing
        ('loss_pce', {'backbone', 'neck'}),
        # the pseudo masks are given
        ('loss_seg', {'backbone', 'decode_head'}),
    ],
)
def test_gradients_flow_where_they_should(name, parts):
    model = build()
    model(*batch(), mode='loss')[name].backward()
    found = {n.split('.')[0] for n, p in model.named_parameters() if p.grad is not None}
    assert found == parts
    assert model.backbone.pos_embed.grad.any()


def test_every_parameter_learns():
    model = build(thresholds=(0.5, 0.5))
    sum(model(*batch(), mode='loss').values()).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


# odd batches


@pytest.mark.parametrize('precision', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('scale', [0.0, 0.1, 1e3])
@pytest.mark.parametrize('tags', [((), ()), ((0, 1, 2), (0, 1, 2)), TAGS])
def test_losses_and_gradients_are_finite(tags, scale, precision):
    """With no high patch, none low, equal scores, or scores of 0 and 1; in half precision."""
    model = build()
    with torch.no_grad():
        model.cam_head.conv_cam.weight.mul_(scale)
    inputs, samples = batch(tags)
    with torch.autocast('cpu', torch.bfloat16, enabled=precision == torch.bfloat16):
        losses = model(inputs, samples, mode='loss')
    assert all(loss.isfinite() and loss.dtype == torch.float32 for loss in losses.values())
    sum(losses.values()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_untrained_scores_are_too_uncertain_to_be_learned():
    """So the decoder begins by itself when there is something to learn."""
    model = build()
    with torch.no_grad():
        model.cam_head.conv_cam.weight.zero_()
    losses = model(*batch(), mode='loss')
    assert losses['loss_seg'] == 0
    losses['loss_seg'].backward()
    assert all(p.grad is not None and not p.grad.any() for p in model.decode_head.parameters())


def test_one_patch_is_enough():
    model = build()
    model.train()
    samples = batch()[1]
    for sample in samples:
        sample.set_metainfo(dict(valid_box=(0, 0, 8, 8)))
    losses = model(torch.randn(2, 3, 8, 8), samples, mode='loss')
    assert all(loss.isfinite() for loss in losses.values())


# the commands of docs/apc.md


@pytest.mark.parametrize(
    'options',
    [
        'cam_head.pooling.k=256 cam_head.pooling.margin=0',
        'cam_head.pooling.k=1 cam_head.pooling.margin=0',
        'cam_head.pooling.margin=0',
        'cam_head.pooling.k=1 cam_head.pooling.margin=0 loss_pce=None',
        'loss_pce=None',
    ],
)
def test_options_of_the_page_train(repo, options):
    page = ' '.join((repo / 'docs/apc.md').read_text().replace('\\\n', ' ').split())
    assert ' '.join(f'model.{word}' for word in options.split()) in page
    words = (word.split('=') for word in options.split())
    model = build(**{place: DictAction._parse_iterable(value) for place, value in words})
    losses = model(*batch(), mode='loss')
    assert all(loss.isfinite() for loss in losses.values())
    scores = model.cam_head(model.extract_feat(batch()[0]))[0]
    pooled = model.cam_head.pool(scores)
    if 'k=256' in options:
        torch.testing.assert_close(pooled, scores.mean(dim=(2, 3)))
    elif 'k=1' in options:
        torch.testing.assert_close(pooled, scores.amax(dim=(2, 3)))
