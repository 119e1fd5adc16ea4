"""MCTformer against its formulas, written out slowly, at sizes and settings of no reference."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mmwsss.models import CAMTTAModel
from mmwsss.models.segmentors.mctformer import maps_on_image
from tests.mctformer_reference import VERSIONS, public_config, samples

pytestmark = pytest.mark.stack
PATCH, SIDE, LAYERS, HEADS, WIDTH, CLASSES = 8, 32, 5, 2, 12, 4
# several images, none of them of the size of the positions but the first
SIZES = ((32, 32), (37, 32), (24, 43), (33, 33), (9, 70))
# several tags, none, all
LABELS = torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]])


@pytest.fixture(params=VERSIONS)
def model(request):
    """Return the public model with other depth, heads, patches and classes, in float64."""
    init_default_scope('mmseg')
    cfg = public_config(request.param, SIDE).model
    cfg.backbone.update(
        embed_dims=WIDTH, num_heads=HEADS, num_layers=LAYERS, patch_size=PATCH, drop_path_rate=0.0
    )
    cfg.cam_head.num_classes = CLASSES + 1
    torch.manual_seed(0)
    model = MODELS.build(cfg).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.version = request.param
    return model.eval()


def cubic_weights(old, new, step):
    """Return the rows of a bicubic resampling of a line, half-pixel centres."""
    rows, a = torch.zeros(new, old, dtype=torch.float64), -0.75
    for i in range(new):
        centre = (i + 0.5) * step - 0.5
        for j in range(int(centre // 1) - 1, int(centre // 1) + 3):
            x = abs(centre - j)
            if x <= 1:
                weight = (a + 2) * x**3 - (a + 3) * x**2 + 1
            else:
                weight = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
            rows[i, min(max(j, 0), old - 1)] += weight
    return rows


def positions(model, size, grid):
    """Return the positions of the patches, ``(L, C)``."""
    side = SIDE // PATCH
    table = model.backbone.pos_embed[0].view(side, side, WIDTH)
    if size[0] == size[1] and grid == (side, side):
        return table.flatten(0, 1)
    shift = 0.0 if model.version == 'plus' else 0.1
    rows, columns = (cubic_weights(side, n, side / (n + shift)) for n in grid)
    return torch.einsum('ia,jb,abc->ijc', rows, columns, table).flatten(0, 1)


def attend(block, x):
    """Return the tokens of an image behind a block, and its attention, head by head."""
    qkv = F.linear(block.norm1(x), block.attn.qkv.weight, block.attn.qkv.bias)
    width, outs, attention = WIDTH // HEADS, [], 0
    for h in range(HEADS):
        q, k, v = (qkv[:, part * WIDTH + h * width :][:, :width] for part in range(3))
        weights = torch.exp(q @ k.T / width**0.5)
        weights = weights / weights.sum(dim=1, keepdim=True)
        outs.append(weights @ v)
        attention = attention + weights / HEADS
    x = x + block.attn.proj(torch.cat(outs, dim=1))
    first, last = block.ffn.layers[0][0], block.ffn.layers[1]
    return x + last(F.gelu(first(block.norm2(x)))), attention


def rank(scores, decay):
    """Return the weighted mean of scores in falling order."""
    total = weight = 0
    for k, score in enumerate(sorted(scores, key=lambda x: -x.item())):
        total, weight = total + decay**k * score, weight + decay**k
    return total / weight


def classify_patches(conv, tokens, grid):
    """Return the scores of the patches, ``(K, h, w)``, patch by patch."""
    patches = F.pad(tokens.T.view(WIDTH, *grid), (1, 1, 1, 1))
    rows = [
        [
            torch.einsum('kcab,cab->k', conv.weight, patches[:, i : i + 3, j : j + 3]) + conv.bias
            for j in range(grid[1])
        ]
        for i in range(grid[0])
    ]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def plain(model, image):
    """Return what the formulas give for an image, under the names of the tensors."""
    grid = tuple(n // PATCH for n in image.shape[1:])
    cells = image[:, : grid[0] * PATCH, : grid[1] * PATCH].unfold(1, PATCH, PATCH)
    cells = cells.unfold(2, PATCH, PATCH).permute(1, 2, 0, 3, 4).reshape(grid[0] * grid[1], -1)
    projection, network = model.backbone.patch_embed.projection, model.backbone
    patches = cells @ projection.weight.flatten(1).T + projection.bias
    patches = patches + positions(model, tuple(image.shape[1:]), grid)
    x = torch.cat([(network.class_tokens + network.class_pos_embed)[0], patches])
    tokens, attentions = [], []
    for block in network.layers:
        x, attention = attend(block, x)
        tokens.append(x[:CLASSES])
        attentions.append(attention)
    plus, out = model.version == 'plus', dict(class_logits=x[:CLASSES].mean(dim=1))
    shown = attentions if plus else attentions[-3:]
    relation = sum(a[:CLASSES, CLASSES:] for a in shown).view(CLASSES, *grid)
    out['class_attention'] = cam = relation / LAYERS if plus else relation
    if model.version != 'v1':
        out['patch_cam'] = scores = classify_patches(model.patch_head.conv_cam, x[CLASSES:], grid)
        decay = 0.996 if plus else 1.0
        out['patch_logits'] = torch.stack([rank(s.flatten(), decay) for s in scores])
        cam = cam * scores.clamp(min=0)
        cam = cam.sqrt() if plus else cam
    if plus:
        out['class_tokens'] = torch.stack(tokens)
    affinity = sum(a[CLASSES:, CLASSES:] for a in attentions)
    refined = torch.stack([(affinity * c.flatten()).sum(dim=1).view(grid) for c in cam])
    return dict(out, cam=cam, patch_affinity=affinity, refined_cam=refined)


def soft_margin(logits, labels):
    """Return the loss of the scores of an image."""
    return sum(
        F.softplus(-s) if y else F.softplus(s) for s, y in zip(logits, labels, strict=True)
    ) / len(labels)  # fmt: skip


def contrast(tokens, labels):
    """Return the contrast of the class tokens of an image, ``(B, K, C)``, pair by pair."""
    total = 0
    for block in tokens:
        for c in labels.nonzero().flatten():
            cosines = [block[c] @ other / (block[c].norm() * other.norm()) for other in block]
            total = total - cosines[c] + torch.stack(cosines).exp().sum().log()
    return total / len(tokens) / (labels.sum() + 1e-8)


def plain_losses(model, images):
    """Return the losses of a batch as the mean over its images, one after the other."""
    losses = dict(loss_cls=0, loss_patch=0, loss_contrast=0)
    for image, labels in zip(images, LABELS, strict=True):
        found = plain(model, image)
        losses['loss_cls'] += soft_margin(found['class_logits'], labels) / len(images)
        if model.version != 'v1':
            losses['loss_patch'] += soft_margin(found['patch_logits'], labels) / len(images)
        if model.version == 'plus':
            losses['loss_contrast'] += contrast(found['class_tokens'], labels) / len(images)
    return {name: loss for name, loss in losses.items() if isinstance(loss, torch.Tensor)}


@pytest.mark.parametrize('size', SIZES)
def test_tensors_by_their_formulas(model, size):
    images = torch.randn(3, 3, *size, dtype=torch.float64)
    with torch.no_grad():
        outputs = model(images, mode='tensor')
        for i, image in enumerate(images):
            expected = plain(model, image)
            assert expected.keys() == outputs.keys()
            for name, value in expected.items():
                found = outputs[name][:, i] if name == 'class_tokens' else outputs[name][i]
                torch.testing.assert_close(
                    found, value, rtol=1e-4, atol=1e-5, msg=name, check_dtype=False
                )


# where the patches are as many as the positions PyTorch's gradient of the shift is that of a copy
@pytest.mark.parametrize('size', [(32, 32), (24, 43), (9, 70)])
def test_losses_and_gradients_by_their_formulas(model, size):
    images = torch.randn(3, 3, *size, dtype=torch.float64)
    found = model.train()(images, samples(LABELS), mode='loss')
    expected = plain_losses(model, images)
    assert found.keys() == expected.keys()
    for name, loss in expected.items():
        torch.testing.assert_close(found[name], loss, msg=name, check_dtype=False)
    parameters = dict(model.named_parameters())
    grads = [
        torch.autograd.grad(sum(losses.values()), parameters.values(), allow_unused=True)
        for losses in (found, expected)
    ]
    for name, ours, theirs in zip(parameters, *grads, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-7, msg=name)


@pytest.mark.parametrize('size', [(32, 40), (37, 43), (5, 3)])
def test_place_of_the_maps_by_its_formula(size):
    maps = torch.rand(2, 3, *(max(n // PATCH, 1) for n in size), dtype=torch.float64)
    found = maps_on_image(maps, PATCH, size)
    axes = []
    for side, cells in zip(size, maps.shape[2:], strict=True):
        rows = torch.zeros(side, cells, dtype=torch.float64)
        for x in range(side):
            centre = min(max((x + 0.5) / PATCH - 0.5, 0), cells - 1)
            below = min(int(centre), cells - 1)
            rows[x, below] += 1 - (centre - below)
            rows[x, min(below + 1, cells - 1)] += centre - below
        axes.append(rows)
    torch.testing.assert_close(found, torch.einsum('ya,xb,nkab->nkyx', *axes, maps))


@torch.no_grad()
def test_maps_of_all_views_by_their_formula(model):
    """Each view is laid on its image, turned back, resized; the sum is normalised."""
    views, scales, size = CAMTTAModel(module=copy.deepcopy(model).float()), (1.0, 0.75), (37, 45)
    images, labels = torch.randint(256, (2, 3, *size)), LABELS[:2]
    data, total = dict(inputs=[], data_samples=[]), 0
    for scale in scales:
        sides = [round(n * scale) for n in size]
        scaled = F.interpolate(images.float(), sides, mode='nearest').byte()
        for flip in (False, True):
            view = scaled.flip(3) if flip else scaled
            meta = dict(ori_shape=size, flip=flip, flip_direction='horizontal')
            found = samples(labels)
            for sample in found:
                sample.set_metainfo(meta)
            data['inputs'].append(list(view))
            data['data_samples'].append(found)
            x = model.data_preprocessor(dict(inputs=list(view), data_samples=None))['inputs']
            cams = torch.stack([plain(model, image)['refined_cam'] for image in x.double()])
            cams = maps_on_image(cams, PATCH, tuple(sides))
            cams = cams.flip(3) if flip else cams
            total = total + F.interpolate(cams, size, mode='bilinear')
    lo, hi = total.amin(dim=(2, 3), keepdim=True), total.amax(dim=(2, 3), keepdim=True)
    expected = (total - lo) / (hi - lo + 1e-8) * labels[:, :, None, None]
    for sample, cams in zip(views.test_step(data), expected, strict=True):
        torch.testing.assert_close(
            sample.seg_logits.data[1:], cams, rtol=1e-3, atol=1e-4, check_dtype=False
        )
