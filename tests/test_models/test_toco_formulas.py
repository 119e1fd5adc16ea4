"""ToCo against its formulas, written out slowly, at sizes and settings of no reference."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub
from mmseg.registry import MODELS

from mmwsss.models.refiners import refine_scores
from tests.test_models.test_mctformer_formulas import (
    HEADS,
    WIDTH,
    attend,
    cubic_weights,
    soft_margin,
)
from tests.toco_reference import MEAN, STD, public_config, samples

pytestmark = pytest.mark.stack
PATCH, SIDE, CROP, NUM_CROPS, SEED = 8, 32, 20, 5, 7
WARMUP, SWITCH = 5, 9
# neither is square, the second fills no whole number of patches
SIZES = ((40, 56), (61, 45))
resize = partial(F.interpolate, mode='bilinear', align_corners=False)


def build(num_classes, num_layers, switch):
    """Return the public model with other depth, heads, patches and classes, in float64."""
    cfg = public_config(dict(warmup_iters=WARMUP, switch_iters=switch))
    cfg.backbone.update(
        embed_dims=WIDTH, num_heads=HEADS, num_layers=num_layers, patch_size=PATCH, img_size=SIDE
    )
    for part in (cfg.cam_head, cfg.auxiliary_head, cfg.decode_head):
        part.update(in_channels=WIDTH, num_classes=num_classes + 1)
    cfg.decode_head.update(channels=10, dilation=2)
    cfg.contrast_head.module.update(
        in_channels=WIDTH, hidden_channels=16, bottleneck_channels=6, out_channels=9
    )
    cfg.refiner.update(num_iters=2, dilations=(1, 3))
    # the lattice is an approximation, whose own tests are elsewhere
    cfg.update(crop_size=CROP, num_crops=NUM_CROPS, loss_reg=None)
    torch.manual_seed(0)
    model = MODELS.build(cfg).double().train()
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    for table in (model.backbone.pos_embed, model.backbone.class_pos_embed):
        torch.nn.init.normal_(table, std=0.3)
    return model


def batch(num_classes, size):
    """Return images, further views and samples: several tags, none, all; padding on each side."""
    mean, std = (torch.tensor(x, dtype=torch.float64).view(3, 1, 1) for x in (MEAN, STD))
    # half levels, so that cutting to 8 bits does not depend on rounding
    views = (torch.randint(0, 255, (3, 3, 3, *size)) + 0.5 - mean) / std
    tags = torch.zeros(3, num_classes)
    tags[0, [0, num_classes - 2]] = 1
    tags[2] = 1
    height, width = size
    # top, bottom, left, right
    boxes = torch.tensor([[13, height, 0, width - 12], [0, height, 0, width], [0, 30, 9, width]])
    # local views are cut as the image is, so their padding is black
    black, rows, columns = -mean / std, torch.arange(height)[:, None], torch.arange(width)
    for n, (top, bottom, left, right) in enumerate(boxes.tolist()):
        inside = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
        views[[0, 2], n] = views[[0, 2], n].where(inside, black)
    return views, tags, boxes, samples(tags, boxes, second_view=views[1], local_view=views[2])


# the network, image by image


def encode(model, image):
    """Return the two maps ``(C, h, w)`` and the class token of an image."""
    network, grid = model.backbone, tuple(max(n // PATCH, 1) for n in image.shape[1:])
    cells = image[:, : grid[0] * PATCH, : grid[1] * PATCH].unfold(1, PATCH, PATCH)
    cells = cells.unfold(2, PATCH, PATCH).permute(1, 2, 0, 3, 4).reshape(grid[0] * grid[1], -1)
    projection, side = network.patch_embed.projection, SIDE // PATCH
    table = network.pos_embed[0].view(side, side, WIDTH)
    rows, columns = (cubic_weights(side, n, side / n) for n in grid)
    table = torch.einsum('ia,jb,abc->ijc', rows, columns, table).flatten(0, 1)
    patches = cells @ projection.weight.flatten(1).T + projection.bias + table
    x = torch.cat([(network.class_tokens + network.class_pos_embed)[0], patches])
    for i, block in enumerate(network.layers):
        x, _ = attend(block, x)
        if i == len(network.layers) - 3:
            aux = x[1:].T.view(WIDTH, *grid)
    x = network.norm(x)
    return x[1:].T.view(WIDTH, *grid), aux, x[0]


def scores_and_cam(head, feat):
    """Return image scores ``(K,)`` and the raw maps ``(K, h, w)``."""
    weight = head.conv_cam.weight.flatten(1)
    return weight @ feat.flatten(1).amax(dim=1), torch.einsum('kc,chw->khw', weight, feat)


def decode(model, feat):
    head = model.decode_head
    for conv in (head.convs[0], head.convs[2]):
        feat = F.conv2d(feat, conv.weight, padding=2, dilation=2).relu()
    return torch.einsum('kc,chw->khw', head.conv_seg.weight.flatten(1), feat)


def project(head, token):
    """Return the cosines of a class token with the directions of the last layer."""
    for i in (0, 2, 4):
        token = head.mlp[i].weight @ token + head.mlp[i].bias
        token = F.gelu(token) if i < 4 else token / token.norm()
    directions = head.last.parametrizations.weight.original1
    return directions @ token / directions.norm(dim=1)


# labels, image by image


def cams_of(model, image):
    """Return the normalised maps ``(K, H, W)`` of the last and the auxiliary head."""
    size, totals = image.shape[1:], [0, 0]
    for scale in (1.0, 0.5, 1.5):
        x = resize(image[None], [int(n * scale) for n in size])[0]
        for i, head in enumerate((model.cam_head, model.auxiliary_head)):
            views = [scores_and_cam(head, encode(model, y)[i])[1] for y in (x, x.flip(2))]
            first, second = (resize(cam[None], size)[0] for cam in views)
            totals[i] = totals[i] + torch.maximum(first, second.flip(2)).relu()
    for i, total in enumerate(totals):
        total = total - total.amin(dim=(1, 2), keepdim=True)
        totals[i] = total / (total.amax(dim=(1, 2), keepdim=True) + 1e-5)
    return totals


def best_of(cams, tags):
    """Return the highest value of a tagged class at each position, and its label."""
    value, label = (cams * tags[:, None, None]).max(dim=0)
    return value, label + 1


def cells_of(cams, tags, box, low, high):
    """Return the label of each cell; 255 where unsure or less than half image."""
    grid = tuple(n // PATCH for n in cams.shape[1:])
    value, label = best_of(resize(cams[None], grid)[0], tags)
    label[value <= high] = 255
    label[value <= low] = 0
    inside = torch.zeros(cams.shape[1:], dtype=torch.float64)
    inside[box[0] : box[1], box[2] : box[3]] = 1
    return label.masked_fill(F.adaptive_avg_pool2d(inside[None], grid)[0] < 0.5, 255)


def mask_of(model, image, cams, tags, box, scores):
    """Return the pseudo mask of an image."""
    size, classes = cams.shape[1:], tags.nonzero().flatten()
    half = [n // 2 for n in size]
    mean, std = (torch.tensor(x, dtype=torch.float64).view(3, 1, 1) for x in (MEAN, STD))
    small = resize((image * std + mean).floor()[None] / 255, half)
    maps = []
    for score in scores:
        ground = torch.full((1, *half), score, dtype=torch.float64)
        maps.append(torch.cat([ground, resize(cams[None], half)[0][classes]]).softmax(dim=0))
    maps = refine_scores(model.refiner, small.float(), torch.stack(maps)[None].float(), None)[0]
    names = torch.cat([torch.zeros(1, dtype=torch.int64), classes + 1])
    loose, strict = (names[resize(x[None], size)[0].argmax(dim=0)] for x in maps)
    label = torch.where(strict == 0, 255, strict)
    label[(strict == 0) & (loose == 0)] = 0
    inside = torch.zeros(size, dtype=torch.bool)
    inside[box[0] : box[1], box[2] : box[3]] = True
    return label.masked_fill(~inside, 255)


def crops_of(cams, tags, low, high):
    """Return the corners of the local crops of an image, and which of them are positive."""
    value, _ = best_of(cams, tags)
    region = torch.ones_like(value)
    region[value <= low], region[value >= high] = 0, 2
    height, width = value.shape
    corners = [(y, x) for y in range(height - CROP) for x in range(width - CROP)]
    allowed = [(y, x) for y, x in corners if region[y + CROP // 2, x + CROP // 2] < 2]
    if len(allowed) < NUM_CROPS:
        allowed = corners
    chosen = [allowed[i] for i in torch.randperm(len(allowed))[:NUM_CROPS].tolist()]
    return chosen, [region[y : y + CROP, x : x + CROP].mean().item() > 0.2 for y, x in chosen]


# losses


def patch_contrast(feats, cells):
    """Return the loss of all pairs of different cells."""
    sums, counts = [0, 0], [0, 0]
    for feat, labels in zip(feats, cells, strict=True):
        tokens, labels = feat.flatten(1).T, labels.flatten().tolist()
        tokens = tokens / tokens.norm(dim=1, keepdim=True)
        for i, own in enumerate(labels):
            for j, other in enumerate(labels):
                if i != j and 255 not in (own, other):
                    sums[own == other] = sums[own == other] + (tokens[i] @ tokens[j]).abs()
                    counts[own == other] += 1
    return (1 - sums[1] / (counts[1] + 1)) / 2 + sums[0] / (counts[0] + 1) / 2


def class_contrast(student, teacher, positive, tau):
    """Return the loss of an image from its views' outputs."""
    total, eps = 0, 1e-4
    for t in teacher:
        e = [torch.exp(t @ s / tau) for s in student]
        negative = sum(x for x, yes in zip(e, positive, strict=True) if not yes) + eps
        total = total + sum(
            -torch.log(x / (x + negative)) for x, yes in zip(e, positive, strict=True) if yes
        )
        total = total + torch.log(torch.as_tensor(1 + negative))
    return total / 2 / (sum(positive) + eps)


def segmentation(logits, masks):
    """Return half the mean over background plus half that over foreground; 0 without pixels."""
    errors = -logits.log_softmax(dim=1)
    errors = errors.gather(1, masks.where(masks != 255, 0)[:, None])[:, 0]
    kinds = [errors[masks == 0], errors[(masks != 0) & (masks != 255)]]
    return sum(kind.mean() / 2 for kind in kinds if len(kind))


def plain_losses(model, data, iteration, switch):
    """Return the weighted losses of a batch, one image after the other."""
    (images, seconds, locals_), tags, boxes, _ = data
    scores, contrast = model.train_cfg.bg_scores, iteration > switch
    losses = dict(loss_cls=0, loss_cls_aux=0, loss_ptc=0, loss_ctc=0, loss_seg=0)
    feats, cells, logits, masks = [], [], [], []
    for image, second, local, tag, box in zip(
        images, seconds, locals_, tags, boxes.tolist(), strict=True
    ):
        feat, aux, token = encode(model, image)
        for name, head, x in (
            ('loss_cls', model.cam_head, feat),
            ('loss_cls_aux', model.auxiliary_head, aux),
        ):
            losses[name] += soft_margin(scores_and_cam(head, x)[0], tag) / len(images)
        with torch.no_grad():
            cam, aux_cam = cams_of(model, image)
        feats.append(feat)
        cells.append(cells_of(aux_cam, tag, box, *scores))
        logits.append(resize(decode(model, feat)[None], image.shape[1:])[0])
        masks.append(mask_of(model, image, cam if contrast else aux_cam, tag, box, scores))
        if contrast:
            chosen, positive = crops_of(aux_cam, tag, *scores)
            views = [second] + [local[:, y : y + CROP, x : x + CROP] for y, x in chosen]
            tokens = [token] + [encode(model, view)[2] for view in views]
            teacher = [project(model.contrast_head.teacher, t.detach()) for t in tokens[:2]]
            student = [project(model.contrast_head.student, t) for t in tokens]
            tau = model.loss_ctc.settings['temperature']
            found = class_contrast(student, teacher, [True, True, *positive], tau)
            losses['loss_ctc'] += 0.5 * found / len(images)
    if contrast:
        losses['loss_ptc'] = 0.2 * patch_contrast(feats, cells)
    if iteration > WARMUP:
        losses['loss_seg'] = 0.1 * segmentation(torch.stack(logits), torch.stack(masks))
    return losses


@pytest.mark.parametrize(
    ('iteration', 'switch'), [(WARMUP, -1), (WARMUP + 1, -1), (WARMUP, SWITCH), (SWITCH, SWITCH),
                              (SWITCH + 1, SWITCH)]
)  # fmt: skip
@pytest.mark.parametrize(
    ('num_classes', 'num_layers', 'size'), [(4, 4, SIZES[0]), (80, 5, SIZES[1])]
)
def test_losses_and_gradients_by_their_formulas(num_classes, num_layers, size, iteration, switch):
    model = build(num_classes, num_layers, switch)
    model.data_preprocessor.size = size
    data = batch(num_classes, size)
    MessageHub.get_current_instance().update_info('iter', iteration)
    torch.manual_seed(SEED)
    found = model(data[0][0], data[3], mode='loss')
    torch.manual_seed(SEED)
    # the teacher has moved already
    expected = plain_losses(model, data, iteration, switch)
    assert found.keys() == expected.keys()
    for name, loss in expected.items():
        torch.testing.assert_close(
            found[name].double(), torch.as_tensor(loss, dtype=torch.float64), msg=name
        )
    learned = {name: p for name, p in model.named_parameters() if p.requires_grad}
    grads = [
        torch.autograd.grad(sum(losses.values()), learned.values(), allow_unused=True)
        for losses in (found, expected)
    ]
    for name, ours, theirs in zip(learned, *grads, strict=True):
        theirs = torch.zeros_like(ours) if theirs is None else theirs
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-7, msg=name)
