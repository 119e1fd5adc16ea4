"""SemFormer on a tiny network: what the published numbers do not show."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config, DictAction
from mmengine.optim import build_optim_wrapper
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmwsss.compat import CheckpointError
from mmwsss.models import CAMTTAModel, ClassAwareAutoEncoder
from mmwsss.models.losses import activation_suppression_loss
from mmwsss.models.segmentors.semformer_pairs import present_pairs, resized_valid_mask
from tests.host_reads import NoHostReads

pytestmark = pytest.mark.stack
NAMES = {'loss_cf', 'loss_cb', 'loss_as', 'loss_ac', 'loss_ss'}


def shrunk(cfg):
    """Give a config four classes, 8 channels, and images of 32 pixels."""
    cfg = copy.deepcopy(cfg)
    cfg.backbone.update(embed_dims=8, num_layers=3, num_heads=2, img_size=32, init_cfg=None)
    cfg.cam_head.update(in_channels=8, num_classes=4)
    cfg.caae.backbone.update(embed_dims=8, num_layers=1, num_heads=2, img_size=32)
    cfg.caae.embed_head.update(in_channels=8, num_classes=4, embed_channels=6)
    del cfg.caae.init_cfg
    cfg.update(caae_size=32, cra_blocks=2)
    return cfg


@pytest.fixture(scope='module')
def cfg(repo):
    return shrunk(Config.fromfile(repo / 'configs/_base_/models/semformer_deit-s.py').model)


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
        model = MODELS.build(changed.model).train()
        model.guide.load()
        model.cam_head.dropout = torch.nn.Identity()
        for parameter in model.parameters():
            # what is near 0 at the beginning would hide where it goes
            torch.nn.init.normal_(parameter, std=0.3)
        return model

    return build


@pytest.fixture
def checkpoint(cfg, tmp_path):
    """Save an auto-encoder with its decoder and return its config."""
    decoder = dict(type='PatchDecodeHead', embed_dims=8, num_layers=1, num_heads=2)
    config = {**copy.deepcopy(cfg.caae), 'decoder': decoder}
    model = MODELS.build(config)
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'caae.pth')
    return model, str(tmp_path / 'caae.pth')


def batch(tags=((0, 2), (1,)), size=(32, 32)):
    """Return images, the second with padding, and their samples."""
    boxes = [(0, 0, *size), (8, 0, size[0], size[1] - 8)]
    samples = []
    for tag, box in zip(tags, boxes, strict=True):
        samples.append(SegDataSample(metainfo=dict(valid_box=box, ori_shape=size)))
        label = torch.tensor(tag, dtype=torch.int64)
        samples[-1].set_data(dict(gt_label=label, gt_score=torch.zeros(3).index_fill_(0, label, 1)))
    torch.manual_seed(1)
    images = torch.randn(2, 3, *size)
    return images * resized_valid_mask(samples, size, size, 'cpu'), samples


# pairs and valid boxes


@pytest.mark.parametrize('with_tags', [False, True])
def test_pairs_are_those_of_the_loops(with_tags):
    _, samples = batch(((0, 2), ()))
    labels = torch.tensor([[1, 1, 0, 1], [1, 0, 0, 0]])
    pairs = present_pairs(labels, samples if with_tags else ())
    expected = [(i, k) for i in range(2) for k in range(4) if labels[i, k]]
    assert list(zip(pairs.image.tolist(), pairs.classes.tolist(), strict=True)) == expected
    for row, (image, own) in enumerate(expected):
        assert pairs.own[row].nonzero().flatten().tolist() == [own]
        others = [k for k in range(4) if labels[image, k] and k != own]
        assert pairs.others[row].nonzero().flatten().tolist() == others


def test_boxes_are_rounded_down():
    (sample,) = batch()[1][1:]
    assert sample.valid_box == (8, 0, 32, 24)
    valid = resized_valid_mask([sample, SegDataSample()], (32, 32), (10, 6), 'cpu')
    rows, columns = valid[0, 0].any(dim=1), valid[0, 0].any(dim=0)
    assert rows.nonzero().flatten().tolist() == list(range(2, 10))
    assert columns.nonzero().flatten().tolist() == list(range(4))
    assert valid[1].all()


# losses


def test_loss_keys(build):
    losses = build()(*batch(), mode='loss')
    assert set(losses) == NAMES
    assert all(loss.ndim == 0 and torch.isfinite(loss) for loss in losses.values())


def test_guidance_is_that_of_the_loops(build):
    """Embed every part of every image alone."""
    model = build()
    images, samples = batch()
    found = model(images, samples, mode='loss')
    guide = model.guide.load()
    semantics = guide.embed_head.class_semantics()
    with torch.no_grad():
        logits = model.encode(images)[0]['mask_logits']
        masks = F.interpolate(logits, (32, 32), mode='bilinear', align_corners=True).sigmoid()
        terms = dict(cf_pull=[], cf_push=[], cb_pull=[], cb_push=[])
        for image, mask, sample in zip(images, masks, samples, strict=True):
            top, left, bottom, right = sample.valid_box
            inside = torch.zeros(32, 32)
            inside[top:bottom, left:right] = 1
            present = [0, *(sample.gt_label + 1).tolist()]
            for k in present:
                for side, part in (('cf', mask[k] * inside), ('cb', 1 - mask[k] * inside)):
                    embed = guide.embed((image * part)[None])[0]
                    seen = F.cosine_similarity(embed, semantics, dim=1, eps=1e-8).clamp(
                        max=1 - 1e-4
                    )
                    others = [seen[j] for j in present if j != k]
                    own = [seen[k]]
                    terms[f'{side}_pull'] += own if side == 'cf' else others
                    terms[f'{side}_push'] += others if side == 'cf' else own
    means = {name: sum(values) / len(values) for name, values in terms.items()}
    for side in ('cf', 'cb'):
        expected = ((1 - means[f'{side}_pull']) + (1 + means[f'{side}_push'])) / 2
        torch.testing.assert_close(found[f'loss_{side}'].detach(), expected)


def test_masks_are_0_on_padding(build):
    model = build()
    images, samples = batch()
    found = model(images, samples, mode='loss')['loss_as']
    with torch.no_grad():
        logits = model.encode(images)[0]['mask_logits']
    masks = F.interpolate(logits, (32, 32), mode='bilinear', align_corners=True).sigmoid()
    masks[1, :, :8] = masks[1, :, :, 24:] = 0
    torch.testing.assert_close(found.detach(), 0.075 * activation_suppression_loss(masks))


def test_images_without_tags(build):
    losses = build()(*batch(((), ())), mode='loss')
    assert losses['loss_ac'] == 0
    sum(losses.values()).backward()
    assert all(torch.isfinite(loss) for loss in losses.values())


@pytest.mark.parametrize('chunk', [1, 3, 100])
def test_chunks_give_the_same_numbers(build, chunk):
    results = []
    for options in ((), (f'caae_chunk={chunk}',)):
        model = build(*options)
        loss = sum(model(*batch(), mode='loss').values())
        results.append(torch.autograd.grad(loss, [*model.parameters()], allow_unused=True))
    for whole, chunked in zip(*results, strict=True):
        torch.testing.assert_close(chunked, whole)


@pytest.mark.parametrize('name', sorted(NAMES))
@pytest.mark.parametrize('value', ['None', 'weight'])
def test_losses_can_be_left_out(build, name, value):
    option = f'{name}=None' if value == 'None' else f'{name}.loss_weight=0'
    model = build(option)
    whole, found = build()(*batch(), mode='loss'), model(*batch(), mode='loss')
    assert set(found) == NAMES - {name} and getattr(model, name) is None
    for key, loss in found.items():
        torch.testing.assert_close(loss, whole[key])


def parts_seen(model, monkeypatch):
    """Return how many images the auto-encoder embeds in a step."""
    seen = []
    embed = ClassAwareAutoEncoder.embed

    def noting(self, inputs, **kwargs):
        seen.append(len(inputs))
        return embed(self, inputs, **kwargs)

    monkeypatch.setattr(ClassAwareAutoEncoder, 'embed', noting)
    model(*batch(), mode='loss')
    return sum(seen)


@pytest.mark.parametrize(
    ('options', 'parts'),
    [((), 10), (('loss_cb=None',), 5), (('loss_cf=None', 'loss_cb=None'), 0)],
)
def test_only_what_is_needed_goes_through_the_auto_encoder(build, monkeypatch, options, parts):
    assert parts_seen(build(*options), monkeypatch) == parts


def test_every_parameter_gets_a_gradient(build):
    model = build()
    sum(model(*batch(), mode='loss').values()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_nothing_waits_for_values(build):
    model = build()
    images, samples = batch()
    with NoHostReads():
        losses = model(images, samples, mode='loss')
    assert set(losses) == NAMES


def test_bfloat16(build):
    model = build()
    whole = model(*batch(), mode='loss')
    with torch.autocast('cpu', torch.bfloat16):
        found = model(*batch(), mode='loss')
    for name, loss in found.items():
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, whole[name], rtol=0.1, atol=0.02)
    sum(found.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_dropout_drops_places(cfg):
    head = MODELS.build({**cfg.cam_head, 'dropout': 0.5}).train()
    torch.nn.init.ones_(head.classify.weight)
    logits = head((torch.ones(2, 8, 6, 6),)) - head.classify.bias.view(-1, 1, 1)
    # all channels of a place or none: 8, doubled
    assert set(logits.unique().round().tolist()) == {0.0, 16.0}


# the auto-encoder


def test_auto_encoder_is_frozen_and_no_part_of_the_model(build, checkpoint):
    trained, path = checkpoint
    model = build(f'caae.init_cfg.checkpoint={path}', 'caae.init_cfg.type=Pretrained')
    guide = model.guide.load()
    before = copy.deepcopy(guide.state_dict())
    wrapper = build_optim_wrapper(model, dict(optimizer=dict(type='SGD', lr=0.1)))
    wrapper.update_params(sum(model.train()(*batch(), mode='loss').values()))
    assert not guide.training and guide.decoder is None
    assert all(p.grad is None and not p.requires_grad for p in guide.parameters())
    names = [*model.state_dict(), *(name for name, _ in model.named_parameters())]
    assert not any('caae' in name or 'guide' in name for name in names)
    for name, value in guide.state_dict().items():
        assert torch.equal(value, before[name]) and torch.equal(value, trained.state_dict()[name])


def test_semantics_go_along_with_the_weights(build, checkpoint):
    trained, path = checkpoint
    options = (f'caae.init_cfg.checkpoint={path}', 'caae.init_cfg.type=Pretrained')
    model = build(*options)
    model.init_weights()
    expected = trained.embed_head.class_semantics()
    torch.testing.assert_close(model.class_semantics, expected, rtol=0, atol=0)
    other = build()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.class_semantics, expected)


def test_missing_auto_encoder_is_told_before_the_first_batch(cfg, tmp_path):
    init = dict(type='Pretrained', checkpoint=str(tmp_path / 'none.pth'))
    model = MODELS.build({**cfg, 'caae': {**cfg.caae, 'init_cfg': init}})
    model(torch.zeros(1, 3, 32, 32), mode='tensor')
    message = (
        r'none\.pth of SemFormer \(model\.caae\) cannot be used: there is no such file\. Train'
    )
    with pytest.raises(CheckpointError, match=message):
        model.init_weights()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda w: w | {'embed_head.semantics.weight': torch.ones(7, 6)},
            r'its embed_head\.semantics\.weight has the shape \(7, 6\) where \(4, 6\) is',
        ),
        (
            lambda w: {k: v for k, v in w.items() if 'norm.bias' not in k},
            r'it has no backbone\.norm',
        ),
        (lambda w: w | {'fc8': torch.ones(1)}, 'there is no place for its fc8'),
    ],
)
def test_other_auto_encoders_are_refused(cfg, checkpoint, tmp_path, change, message):
    trained, path = checkpoint
    torch.save(dict(state_dict=change(dict(trained.state_dict()))), path)
    init = dict(type='Pretrained', checkpoint=path)
    model = MODELS.build({**cfg, 'caae': {**cfg.caae, 'init_cfg': init}})
    with pytest.raises(CheckpointError, match=message):
        model.init_weights()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('cra_blocks=4',), 'cra_blocks must lie in 0 to 3, the blocks of the backbone, got 4'),
        (('cam_head.num_classes=5',), 'the same num_classes, got 5 and 4'),
        (('caae.init_cfg.type=Xavier',), r"caae\.init_cfg must be dict\(type='Pretrained'"),
        (('caae.embed_head.num_classes=2',), 'the same num_classes, got 4 and 2'),
        (('cra_blocks=0', 'cam_head.activation=None'), 'maps are masks, attention or both: set'),
        (('cam_head.activation=softmax',), r"one of \('relu', 'sigmoid', None\), got 'softmax'"),
        (('test_cfg.output=seg',), r"test_cfg\.output must be one of \('cam',\), got 'seg'"),
    ],
)
def test_wrong_settings_are_refused(build, options, message):
    with pytest.raises(ValueError, match=message):
        build(*options)


# maps


@pytest.mark.parametrize('blocks', [0, 1, 3])
def test_tensor_mode(build, blocks):
    model = build(f'cra_blocks={blocks}').eval()
    with torch.no_grad():
        outputs = model(torch.randn(2, 3, 32, 48), mode='tensor')
    shapes = dict(mask_logits=(2, 4, 2, 3), class_embed=(2, 4, 6), cra=(2, 4, 2, 3))
    if not blocks:
        del shapes['cra']
    assert {name: tuple(x.shape) for name, x in outputs.items()} == shapes
    if blocks:
        assert outputs['cra'].min() == 0 and 0.9 < outputs['cra'].max() <= 1


@pytest.mark.parametrize('name', ['relu', 'sigmoid', None])
def test_maps_are_masks_times_attention(build, name):
    """The published form, the paper's, and attention alone (Table 16)."""
    model = build(f'cam_head.activation={name}').eval()
    images = torch.randn(2, 3, 32, 48)
    with torch.no_grad():
        outputs = model(images, mode='tensor')
        found = model.predict_maps(images)[0]
    logits = outputs['mask_logits']
    masks = {'relu': logits.clamp(min=0), 'sigmoid': logits.sigmoid(), None: 1.0}[name]
    torch.testing.assert_close(found, (masks * outputs['cra'])[:, 1:])


def test_predictions(build):
    model = build().eval()
    model.class_semantics.copy_(model.guide.load().embed_head.class_semantics())
    images, samples = batch()
    with torch.no_grad():
        found = model(images, samples, mode='predict')
        embed = model(images, mode='tensor')['class_embed']
    similarity = model.guide.load().embed_head.similarity(embed)[:, 1:]
    torch.testing.assert_close(torch.stack([x.pred_score for x in found]), similarity)
    for sample in found:
        assert sample.cams.data.shape == (3, 32, 32) and sample.cams.data.min() >= 0
        absent = sample.gt_score == 0
        assert (sample.seg_logits.data[1:][absent] == -1).all()
        assert sample.pred_sem_seg.data.shape == (1, 32, 32)


def test_maps_lie_on_images_of_any_size(build):
    """A map does not stretch where the last patches reach beyond the image."""
    model = build('cra_blocks=0').eval()
    images = torch.randn(1, 3, 32, 48)
    with torch.no_grad():
        whole = model.predict_maps(images)[0]
        whole = F.interpolate(whole, (32, 48), mode='bilinear', align_corners=False)
        images[..., 30:, :] = images[..., 41:] = 0
        padded = model.predict_maps(images)[0]
        padded = F.interpolate(padded, (32, 48), mode='bilinear', align_corners=False)
        cut = model.predict_maps(images[..., :30, :41])[0]
    assert cut.shape[2:] == (30, 41) and not torch.equal(whole, padded)
    torch.testing.assert_close(cut, padded[..., :30, :41])


def test_untagged_images_need_semantics(build):
    model = build('test_cfg.use_image_labels=False').eval()
    images, samples = batch()
    with torch.no_grad(), pytest.raises(ValueError, match='the weights hold no semantics'):
        model(images, samples, mode='predict')
    model.class_semantics.fill_(1.0)
    with torch.no_grad():
        (sample, _) = model(images, samples, mode='predict')
    suppressed = sample.pred_score < 0.5
    assert ((sample.seg_logits.data[1:] == -1).all(dim=(1, 2)) >= suppressed).all()


def test_views_are_summed(build):
    model = build().eval()
    images, samples = batch()
    views = [
        dict(inputs=[x], data_samples=[copy.deepcopy(samples[0])])
        for x in (images[0], images[0].flip(2))
    ]
    for view, flip in zip(views, (False, True), strict=True):
        view['data_samples'][0].set_metainfo(dict(flip=flip, flip_direction='horizontal'))
    with torch.no_grad():
        single = [model.predict_maps(x)[0] for x in (images[:1], images[:1].flip(3))]
    single = [F.interpolate(x, (32, 32), mode='bilinear', align_corners=False) for x in single]
    data = dict(
        inputs=[view['inputs'] for view in views],
        data_samples=[view['data_samples'] for view in views],
    )
    model.data_preprocessor = torch.nn.Identity()
    model.data_preprocessor.forward = lambda data, training=False: dict(
        data, inputs=torch.stack(data['inputs'])
    )
    with torch.no_grad():
        (found,) = CAMTTAModel(module=model).test_step(data)
    expected = (single[0] + single[1].flip(3))[0]
    torch.testing.assert_close(found.cams.data, expected)
    torch.testing.assert_close(
        found.seg_logits.data[1:][samples[0].gt_label],
        (expected / (expected.amax(dim=(1, 2), keepdim=True) + 1e-5))[samples[0].gt_label],
    )


# the tokens of the classes


def test_one_class_token_becomes_that_of_all_classes(cfg):
    weights = MODELS.build({**cfg.backbone, 'num_class_tokens': 1}).state_dict()
    network = MODELS.build({**cfg.backbone, 'num_class_tokens': 4})
    network.load_state_dict(weights)
    for name in ('class_tokens', 'class_pos_embed'):
        found = getattr(network, name)
        assert found.shape == (1, 4, 8) and torch.equal(found, weights[name].expand(1, 4, 8))
