"""Patch contrast: the double loop over pairs, empty sets, gradients, what counts for nothing."""

import pytest
import torch
from mmseg.registry import MODELS

from mmwsss.models.losses import patch_contrastive_loss

HIGH, LOW = 0.7, 0.3


def batch(num=3, classes=4, size=(3, 4), dtype=torch.float64):
    """Return embeddings, scores that are high, low and between, and tags; the last image has none.

    The scores do not sum to 1, so that sets of any size come up.
    """
    embed = torch.randn(num, 5, *size, dtype=dtype)
    scores = torch.rand(num, classes + 1, *size, dtype=dtype)
    labels = (torch.rand(num, classes) < 0.6).float()
    labels[0] = 1
    labels[-1] = 0
    return embed, scores, labels


def similarity(a, b):
    return (1 + a @ b / (a.norm() * b.norm()).clamp(min=1e-12)) / 2


def mean(values):
    return sum(values) / len(values) if values else 0


def by_pairs(embed, scores, labels, with_background, repel_weight=1):
    """Return the loss pair by pair, as it is defined."""
    images = []
    for vectors, image_scores, tags in zip(
        embed.flatten(2), scores.flatten(2), labels, strict=True
    ):
        present = [c for c in range(len(image_scores)) if (tags[c - 1] if c else with_background)]
        classes = []
        for c in present:
            high = [v for v, s in zip(vectors.T, image_scores[c], strict=True) if s > HIGH]
            low = [v for v, s in zip(vectors.T, image_scores[c], strict=True) if s < LOW]
            alike = [
                1 - similarity(a, b)
                for i, a in enumerate(high)
                for j, b in enumerate(high)
                if i != j
            ]
            across = [similarity(a, b) for a in high for b in low]
            classes.append(mean(alike) + repel_weight * mean(across))
        images.append(mean(classes))
    return mean(images)


@pytest.mark.parametrize('with_background', [False, True])
@pytest.mark.parametrize('size', [(3, 4), (1, 2), (1, 1)])
def test_it_is_the_double_loop_over_pairs(with_background, size):
    embed, scores, labels = batch(size=size)
    loss = patch_contrastive_loss(
        embed, scores, labels, high=HIGH, low=LOW, with_background=with_background
    )
    expected = by_pairs(embed, scores, labels, with_background)
    torch.testing.assert_close(loss, torch.as_tensor(expected).double(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize('repel_weight', [0.0, 0.5])
def test_repulsion_can_be_weighed_or_left_out(repel_weight):
    embed, scores, labels = batch()
    settings = dict(high=HIGH, low=LOW, repel_weight=repel_weight)
    loss = MODELS.build(dict(type='PatchContrastiveLoss', **settings))(embed, scores, labels)
    expected = by_pairs(embed, scores, labels, False, repel_weight)
    torch.testing.assert_close(loss, torch.as_tensor(expected).double(), rtol=1e-12, atol=1e-14)
    assert loss != patch_contrastive_loss(embed, scores, labels, high=HIGH, low=LOW)


@pytest.mark.parametrize('weight', [-0.1, float('nan')])
def test_weight_of_the_repulsion_is_checked(weight):
    with pytest.raises(ValueError, match=f'repel_weight must not be negative, got {weight}'):
        MODELS.build(dict(type='PatchContrastiveLoss', repel_weight=weight))


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_lower_precision_stays_near(dtype):
    embed, scores, labels = batch(size=(24, 24), dtype=torch.float32)
    exact = patch_contrastive_loss(embed.double(), scores, labels, high=HIGH, low=LOW)
    loss = patch_contrastive_loss(embed.to(dtype), scores, labels, high=HIGH, low=LOW)
    assert loss.dtype == torch.float32
    assert abs(loss.item() - exact.item()) < (1e-6 if dtype == torch.float32 else 1e-3)


def test_autocast_changes_nothing():
    embed, scores, labels = batch(dtype=torch.float32)
    loss = patch_contrastive_loss(embed, scores, labels, high=HIGH, low=LOW)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(patch_contrastive_loss(embed, scores, labels, high=HIGH, low=LOW), loss)


@pytest.mark.parametrize(
    ('values', 'expected'),
    [
        ((0.9, 0.9, 0.1), 0.5),  # alike: 0; a right angle to the low one: 1/2
        ((0.9, 0.5, 0.9), 0.5),  # two high at a right angle, none low
        ((0.9, 0.5, 0.1), 0.5),
        ((0.9, 0.1, 0.5), 1.0),  # one high, a low one in the same direction
        ((0.9, 0.5, 0.5), 0.0),  # no pair
        ((0.1, 0.1, 0.1), 0.0),
        ((0.5, 0.5, 0.5), 0.0),
        ((0.85, 0.5, 0.85), 0.0),  # at the thresholds
        ((0.9, 0.5, 0.15), 0.0),
    ],
)
def test_values_by_hand(values, expected):
    embed = torch.tensor([[3.0, 1.0, 0.0], [0.0, 0.0, 2.0]]).view(1, 2, 1, 3).requires_grad_()
    dog = torch.tensor(values)
    scores = torch.stack([1 - dog, dog]).view(1, 2, 1, 3)
    loss = patch_contrastive_loss(embed, scores, torch.ones(1, 1))
    loss.backward()
    assert loss.item() == pytest.approx(expected)
    assert embed.grad.isfinite().all()


def test_patches_of_zeros_are_finite():
    embed, scores, labels = batch()
    embed[:, :, :2] = 0
    embed.requires_grad_()
    loss = patch_contrastive_loss(embed, scores, labels, high=HIGH, low=LOW)
    loss.backward()
    expected = by_pairs(embed.detach(), scores, labels, False)
    torch.testing.assert_close(loss.detach(), expected, rtol=1e-12, atol=0)
    assert embed.grad.isfinite().all()


def test_no_tag_gives_zero_on_the_graph():
    embed, scores, labels = batch()
    embed.requires_grad_()
    loss = patch_contrastive_loss(embed, scores, labels * 0, high=HIGH, low=LOW)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(embed.grad, torch.zeros_like(embed))


def test_loss_of_a_batch_is_the_mean_of_its_images():
    parts = batch()
    alone = [patch_contrastive_loss(*(x[i : i + 1] for x in parts)) for i in range(3)]
    torch.testing.assert_close(patch_contrastive_loss(*parts), torch.stack(alone).mean())


def test_classes_without_a_tag_and_the_background_change_nothing():
    embed, scores, labels = batch()
    loss = patch_contrastive_loss(embed, scores, labels, high=HIGH, low=LOW)
    absent = torch.cat([torch.ones(3, 1), 1 - labels], dim=1).bool()[..., None, None]
    spoilt = torch.where(absent, 1 - scores, scores)
    assert torch.equal(patch_contrastive_loss(embed, spoilt, labels, high=HIGH, low=LOW), loss)


def test_what_is_not_valid_changes_nothing():
    embed, scores, labels = batch()
    valid = torch.ones(3, 1, 3, 4)
    valid[:, :, :, 2:] = 0
    cut = patch_contrastive_loss(embed[..., :2], scores[..., :2], labels, high=HIGH, low=LOW)
    loss = patch_contrastive_loss(embed, scores, labels, valid, high=HIGH, low=LOW)
    torch.testing.assert_close(loss, cut)
    nothing = patch_contrastive_loss(embed, scores, labels, valid * 0, high=HIGH, low=LOW)
    assert nothing.item() == 0


@pytest.mark.parametrize('with_background', [False, True])
def test_gradient(with_background):
    embed, scores, labels = batch(size=(2, 4))
    assert torch.autograd.gradcheck(
        lambda x: patch_contrastive_loss(
            x, scores, labels, high=HIGH, low=LOW, with_background=with_background
        ),
        (embed.requires_grad_(),),
    )


def test_scores_get_no_gradient():
    embed, scores, labels = batch()
    scores.requires_grad_()
    patch_contrastive_loss(embed.requires_grad_(), scores, labels).backward()
    assert scores.grad is None


def test_registered_loss():
    loss = MODELS.build(dict(type='PatchContrastiveLoss', loss_weight=2.0, high=HIGH, low=LOW))
    parts = batch()
    assert torch.equal(loss(*parts), 2 * patch_contrastive_loss(*parts, high=HIGH, low=LOW))


@pytest.mark.parametrize('settings', [dict(low=-0.1), dict(high=1.1), dict(low=0.9)])
def test_thresholds_are_checked(settings):
    with pytest.raises(ValueError, match='PatchContrastiveLoss: low and high must satisfy'):
        MODELS.build(dict(type='PatchContrastiveLoss', **settings))


@pytest.mark.parametrize('part', range(3))
def test_shapes_are_checked(part):
    parts = list(batch())
    parts[part] = parts[part][..., :-1]
    with pytest.raises(ValueError, match='patch_contrastive_loss: embed must be'):
        patch_contrastive_loss(*parts)
