"""Class-aware auto-encoder as an MMSeg model, tiny: what the published numbers do not show."""

import pytest
import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmwsss.models.losses import ReconstructionLoss, SimilarityLoss, similarity_loss
from mmwsss.ops import clamped_cosine

pytestmark = pytest.mark.stack
CONFIG = dict(
    type='ClassAwareAutoEncoder',
    backbone=dict(
        type='TokenViT', embed_dims=8, num_layers=1, num_heads=2, patch_size=4, img_size=16
    ),
    embed_head=dict(type='ClassEmbedHead', in_channels=8, num_classes=4, embed_channels=6),
    decoder=dict(
        type='PatchDecodeHead',
        embed_dims=12,
        hidden_channels=10,
        num_layers=1,
        num_heads=2,
        patch_size=4,
    ),
)
HEAD = CONFIG['embed_head']


def build(**changes):
    torch.manual_seed(0)
    return MODELS.build({**CONFIG, **changes})


def samples(scores):
    out = []
    for score in scores:
        sample = SegDataSample(metainfo=dict(img_path='dog.jpg'))
        sample.set_data(dict(gt_score=torch.tensor(score)))
        out.append(sample)
    return out


# the model


@pytest.mark.parametrize('size', [(16, 16), (12, 20), (13, 18)])
def test_tensor_mode(size):
    with torch.no_grad():
        outputs = build()(torch.randn(2, 3, *size), mode='tensor')
    shapes = dict(
        class_embed=(2, 4, 6),
        class_semantic=(4, 6),
        similarity=(2, 4),
        reconstruction=(2, 3, *size),
    )
    assert {name: tuple(x.shape) for name, x in outputs.items()} == shapes
    assert outputs['similarity'].min() >= 0


def test_every_parameter_gets_a_gradient():
    model = build().train()
    tags = samples([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    losses = model(torch.randn(2, 3, 16, 16), tags, mode='loss')
    assert all(loss.ndim == 0 for loss in losses.values())
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize('width', [8, 4])
def test_tokens_are_reduced_to_the_width_of_the_encoder(width):
    """Not to that of the decoder: Tables 6 and 10 of the paper vary the two apart."""
    backbone = dict(CONFIG['backbone'], embed_dims=width)
    decoder = {k: v for k, v in CONFIG['decoder'].items() if k != 'hidden_channels'}
    decoder = build(
        backbone=backbone, embed_head=dict(HEAD, in_channels=width), decoder=decoder
    ).decoder
    assert decoder.reduce[0].out_features == decoder.project.in_features == width
    assert decoder.project.out_features == 12


def test_reconstruction_can_be_left_out():
    model = build(decoder=None)
    image = torch.randn(1, 3, 16, 16)
    losses = model(image, samples([[0.0, 1.0, 0.0]]), mode='loss')
    assert list(losses) == ['loss_similarity']
    assert 'reconstruction' not in model(image, mode='tensor')


def test_losses_have_weights():
    image, tags = torch.randn(1, 3, 16, 16), samples([[0.0, 1.0, 0.0]])
    plain = build()(image, tags, mode='loss')
    weighed = build(
        loss_similarity=dict(type='SimilarityLoss', loss_weight=2.0),
        loss_reconstruction=dict(type='ReconstructionLoss', loss_weight=3.0),
    )(image, tags, mode='loss')
    factors = dict(loss_similarity=2, loss_reconstruction=3)
    for name, factor in factors.items():
        torch.testing.assert_close(weighed[name], plain[name] * factor)


def test_semantics_learn_from_images_with_their_class():
    """An image without the class gives its semantic the same value and no gradient."""
    head = build().embed_head
    embed = torch.rand(2, 4, 6)
    labels = torch.tensor([[1.0, 0, 0, 0], [1, 0, 1, 0]])
    similarity = head.similarity(embed, labels)
    torch.testing.assert_close(similarity, head.similarity(embed))
    rows = torch.autograd.grad(similarity.sum(), head.semantics.weight)[0].abs().sum(dim=1) > 0
    assert rows.tolist() == [True, False, True, False]
    (found,) = torch.autograd.grad(head.similarity(embed, labels)[0].sum(), head.semantics.weight)
    (alone,) = torch.autograd.grad(head.similarity(embed[:1])[:, :1].sum(), head.semantics.weight)
    torch.testing.assert_close(found, alone)


@pytest.mark.parametrize(
    ('merge', 'expected'),
    [('sum', lambda x: x.sum(1)), ('mean', lambda x: x.mean(1)), ('max', lambda x: x.amax(1))],
)
def test_merges(merge, expected):
    model = build(embed_head={**HEAD, 'merge': merge})
    primary, embed, grid = model.encode(torch.randn(2, 3, 12, 20))
    assert primary.shape == (2, 15, 24) and tuple(grid) == (3, 5)
    torch.testing.assert_close(embed, expected(primary).view(2, 4, 6))


def test_patches_are_painted_in_their_places():
    """What one token is changed by shows in its patch, channel by channel, row by row."""
    decoder = build().decoder
    pixels = torch.arange(2 * 3 * 48.0).view(1, 6, 48)
    decoder.decode = lambda x: pixels
    image = decoder(torch.zeros(1, 6, 24), (2, 3))
    assert image.shape == (1, 3, 8, 12)
    assert torch.equal(image[0, :, 4:, 8:].flatten(), pixels[0, 5])
    assert torch.equal(image[0, :, :4, 4:8].flatten(), pixels[0, 1])


@pytest.mark.parametrize('chunk_size', [1, 2, 5, 9])
def test_chunks_embed_what_the_batch_does(chunk_size):
    model = build().requires_grad_(False)
    images = torch.randn(5, 3, 16, 16, requires_grad=True)
    whole = model.embed(images)
    chunked = model.embed(images, chunk_size=chunk_size)
    torch.testing.assert_close(chunked, whole)
    torch.testing.assert_close(whole, model(images, mode='tensor')['class_embed'])
    grads = [torch.autograd.grad(x.square().sum(), images)[0] for x in (whole, chunked)]
    torch.testing.assert_close(*grads)


def kept_by(chunk_size):
    """Return the elements that embedding eight images keeps for the backward pass."""
    model = build(backbone={**CONFIG['backbone'], 'num_layers': 4}).requires_grad_(False)
    images, kept = torch.randn(8, 3, 16, 16, requires_grad=True), []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda x: kept.append(x.numel()) or x, lambda x: x
    ):
        model.embed(images * 1, chunk_size=chunk_size)
    return sum(kept)


def test_chunks_keep_no_activations():
    assert kept_by(2) < kept_by(None) / 4


def test_predictions_carry_the_scores_of_the_foreground():
    model = build().eval()
    images = torch.randn(2, 3, 16, 16)
    found = model(images, samples([[1.0, 0.0, 0.0]] * 2), mode='predict')
    expected = model(images, mode='tensor')['similarity'][:, 1:]
    torch.testing.assert_close(torch.stack([x.pred_score for x in found]), expected)
    assert found[0].gt_score.shape == found[0].pred_score.shape
    assert len(model(images, mode='predict')) == 2


def test_arguments_that_init_model_sets_are_accepted(tmp_path):
    build(pretrained=None, train_cfg=None)
    weights = {k: torch.full_like(v, 0.5) for k, v in build().backbone.state_dict().items()}
    torch.save(weights, tmp_path / 'vit.pth')
    model = build(pretrained=str(tmp_path / 'vit.pth'))
    model.init_weights()
    torch.testing.assert_close(dict(model.backbone.state_dict()), weights)


def test_there_is_no_segmentation():
    with pytest.raises(NotImplementedError, match='gives no segmentation: train SemFormer'):
        build().encode_decode(torch.zeros(1, 3, 16, 16), [])


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(num_classes=1), 'num_classes includes the background, so at least 2, got 1'),
        (dict(merge='min'), r"merge must be one of \('sum', 'mean', 'max'\), got 'min'"),
    ],
)
def test_wrong_arguments_of_the_head_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build(embed_head={**HEAD, **changes})


def test_norms_of_the_decoder_have_the_published_epsilon():
    decoder = build().decoder
    norms = [decoder.reduce[1], decoder.norm, *(x.norm1 for x in decoder.layers)]
    assert {x.eps for x in norms} == {1e-5}


# a class that resembles nothing


def test_present_class_at_cosine_0_learns_with_a_finite_gradient():
    """No entry of the embedding of class 1 is one of its semantic."""
    model = build()
    head = model.embed_head
    with torch.no_grad():
        head.semantics.weight[1] = torch.tensor([1.0, 1, 1, -1, -1, -1])
        # tokens have norms of about sqrt(8): without mean there are positive ones in each class
        head.embed.weight.view(4, 6, 8)[1, :3] = 0
    embed = model.embed(torch.randn(2, 3, 16, 16)).detach().requires_grad_()
    labels = torch.tensor([[1.0, 1, 0, 0]] * 2)
    similarity = head.similarity(embed, labels)
    assert not similarity[:, 1].any() and embed[:, 1].any()
    loss = similarity_loss(similarity, labels)
    embeds, semantics = torch.autograd.grad(loss, [embed, head.semantics.weight])
    assert torch.isfinite(loss) and torch.isfinite(embeds).all() and torch.isfinite(semantics).all()
    # along the semantic, and bounded by 1e4 over the elements
    lengths = embed.detach()[:, 1].norm(dim=1) * 3**0.5
    expected = -1e4 / 8 / lengths[:, None].expand(-1, 3)
    torch.testing.assert_close(embeds[:, 1, :3], expected)


def test_short_vectors_have_a_direction_too():
    short = torch.tensor([3e-6, 4e-6])
    assert clamped_cosine(short, torch.tensor([1.0, 0.0])).item() == pytest.approx(0.6)


@pytest.mark.parametrize('label', [0.0, 1.0])
def test_embedding_of_zeros_gives_finite_gradients(label):
    embed = torch.zeros(1, 2, 6, requires_grad=True)
    semantics = torch.rand(2, 6, requires_grad=True)
    loss = similarity_loss(clamped_cosine(embed.relu(), semantics), torch.full((1, 2), label))
    loss.backward()
    assert torch.isfinite(embed.grad).all() and torch.isfinite(semantics.grad).all()


def test_similarity_loss_is_binary_cross_entropy_with_tangents():
    labels = torch.tensor([1.0, 0.0])
    s = torch.tensor([[0.3, 0.3], [1e-4, 1 - 1e-4], [0.0, 1.0], [-1e-4, 1.0 + 1e-4]])
    log = -torch.log(torch.tensor(1e-4)).item()
    expected = [[1.20397, 0.35667], [log, log], [log + 1, log + 1], [log + 2, log + 2]]
    for row, value in zip(s.double(), expected, strict=True):
        for i in (0, 1):
            found = similarity_loss(row[i].view(1, 1), labels[i].view(1, 1))
            assert found.item() == pytest.approx(value[i], rel=1e-4)


def test_similarity_loss_gradient():
    labels = torch.tensor([[1.0, 0.0, 1.0, 0.0]]).double()
    s = torch.tensor([[0.4, 0.7, -3e-5, 0.2]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: similarity_loss(x, labels), (s,), eps=1e-6)


def test_reconstruction_loss_by_hand():
    painted = torch.tensor([1.0, 3.0]).view(1, 1, 1, 2).expand(1, 3, 1, 2)
    assert ReconstructionLoss(0.5)(painted, torch.zeros(1, 3, 1, 2)).item() == 2.5


def test_losses_take_half_precision():
    half = torch.full((1, 2), 0.9995).bfloat16()
    assert torch.isfinite(SimilarityLoss()(clamped_cosine(half, half)[:, None], torch.zeros(1, 1)))
    assert clamped_cosine(half, half).dtype == torch.float32
