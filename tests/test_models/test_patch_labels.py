"""Pseudo masks of patch scores: shares of the tagged classes, thresholds, what is not image."""

from functools import partial

import pytest
import torch

from mmwsss.models.segmentors.patch_labels import confident_labels, tagged_patch_scores
from mmwsss.ops import pad_tags

TAGS = [torch.tensor([0, 2]), torch.tensor([1]), torch.tensor([], dtype=torch.int64)]


def patch_scores(dtype=torch.float64):
    return torch.randn(3, 5, 2, 3, dtype=dtype).mul(2).softmax(dim=1)


def shares_by_hand(scores):
    """Return the shares of all K + 1 classes, those without a tag 0, image by image."""
    out = torch.zeros_like(scores)
    for image, tags, result in zip(scores, TAGS, out, strict=True):
        for c in [0, *(tags + 1).tolist()]:
            result[c] = image[c] / image[c].max()
        result /= result.sum(dim=0)
    return out


def test_shares_of_the_tagged_classes():
    scores = patch_scores()
    got = tagged_patch_scores(scores, pad_tags(TAGS))
    expected = shares_by_hand(scores)
    assert got.shape == (3, 3, 2, 3)
    torch.testing.assert_close(got[0], expected[0, [0, 1, 3]])
    torch.testing.assert_close(got[1, :2], expected[1, [0, 2]])
    assert got[1, 2].eq(0).all()
    assert got[2, 0].eq(1).all()
    torch.testing.assert_close(got.sum(dim=1), torch.ones(3, 2, 3).double())


def test_scores_of_other_classes_are_not_read():
    scores, classes = patch_scores(), pad_tags(TAGS)
    spoilt = scores.clone()
    spoilt[0, [2, 4]] = spoilt[1, [1, 3, 4]] = torch.nan
    assert torch.equal(tagged_patch_scores(spoilt, classes), tagged_patch_scores(scores, classes))


def test_patches_are_spread_as_they_are():
    scores, classes = patch_scores(), pad_tags(TAGS)
    small = tagged_patch_scores(scores, classes)
    large = tagged_patch_scores(scores, classes, size=(32, 48))
    assert torch.equal(large, small.repeat_interleave(16, 2).repeat_interleave(16, 3))


def test_padding_counts_for_nothing():
    scores, classes = patch_scores(), pad_tags(TAGS)
    valid = torch.ones(3, 1, 2, 3)
    valid[:, :, :, 2] = 0
    got = tagged_patch_scores(scores, classes, valid)
    torch.testing.assert_close(got[..., :2], tagged_patch_scores(scores[..., :2], classes))
    assert got[..., 2].eq(0).all()


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_a_class_that_is_seen_nowhere_is_finite(dtype):
    scores = torch.zeros(1, 3, 2, 2, dtype=dtype)
    scores[:, 0] = 1
    got = tagged_patch_scores(scores, torch.tensor([[0, 1]]))
    assert got.dtype == torch.float32
    assert got[:, 0].eq(1).all() and got[:, 1:].eq(0).all()


def test_labels_by_hand():
    shares = torch.tensor(
        # background, two classes: sure, one class unsure, classes unsure of each other, sure, none
        [[0.1, 0.5, 0.1, 0.8, 0.0], [0.9, 0.5, 0.5, 0.1, 0.0], [0.0, 0.0, 0.4, 0.1, 0.0]]
    ).view(1, 3, 1, 5)
    got = confident_labels(shares, torch.tensor([[3, 19]]), (0.35, 0.55))
    assert got.dtype == torch.uint8
    assert got.tolist() == [[[4, 255, 255, 0, 255]]]


def test_thresholds_are_left_open_themselves():
    dog = torch.tensor([0.25, 0.75])
    shares = torch.stack([1 - dog, dog]).view(1, 2, 1, 2)
    assert confident_labels(shares, torch.tensor([[0]]), (0.25, 0.75)).tolist() == [[[255, 255]]]


@pytest.mark.parametrize(
    ('shares', 'threshold'),
    [((0.4, 0.35, 0.25), 0.5), ((0.5, 0.3, 0.2), 0.3), ((0.7, 0.2, 0.1), 0.2)],
)
def test_equal_thresholds_ignore_what_several_classes_share(shares, threshold):
    shares = torch.tensor(shares).view(1, 3, 1, 1)
    classes = torch.tensor([[3, 19]])
    assert confident_labels(shares, classes, (threshold, threshold)).item() == 255
    assert confident_labels(shares, classes, None).item() == 0


def test_without_thresholds_the_largest_share_decides():
    scores, classes = patch_scores(), pad_tags(TAGS)
    labels = confident_labels(tagged_patch_scores(scores, classes), classes, None)
    assert labels.dtype == torch.uint8
    assert torch.equal(labels, shares_by_hand(scores).argmax(dim=1).to(torch.uint8))
    valid = torch.ones(3, 1, 2, 3)
    valid[:, :, 0] = 0
    shares = tagged_patch_scores(scores, classes)
    assert confident_labels(shares, classes, None, valid)[:, 0].eq(255).all()


def test_one_threshold_for_both_ignores_ties_alone_where_there_is_one_class():
    shares = tagged_patch_scores(patch_scores(), pad_tags(TAGS[1:2] * 3))
    labels = confident_labels(shares, pad_tags(TAGS[1:2] * 3), (0.5, 0.5))
    assert torch.equal(labels, torch.where(shares[:, 1] > shares[:, 0], 2, 0).to(torch.uint8))


def test_the_sum_of_refined_scores_does_not_count():
    shares, classes = tagged_patch_scores(patch_scores(), pad_tags(TAGS)), pad_tags(TAGS)
    assert torch.equal(
        confident_labels(shares * 1.1, classes, (0.35, 0.55)),
        confident_labels(shares, classes, (0.35, 0.55)),
    )


def test_what_is_not_image_is_ignored():
    shares, classes = tagged_patch_scores(patch_scores(), pad_tags(TAGS)), pad_tags(TAGS)
    valid = torch.ones(3, 1, 2, 3)
    valid[:, :, 0] = 0
    labels = confident_labels(shares, classes, (0.35, 0.55), valid)
    assert labels[:, 0].eq(255).all()
    assert torch.equal(labels[:, 1], confident_labels(shares, classes, (0.35, 0.55))[:, 1])


@pytest.mark.parametrize('thresholds', [(0.6, 0.4), (-0.1, 0.5), (0.5, 1.1)])
def test_thresholds_are_checked(thresholds):
    with pytest.raises(ValueError, match=f'thresholds must satisfy.*got {thresholds[0]} and'):
        confident_labels(torch.ones(1, 2, 1, 1), torch.tensor([[0]]), thresholds)


@pytest.mark.parametrize(
    'function', [tagged_patch_scores, partial(confident_labels, thresholds=(0.4, 0.6))]
)
def test_classes_of_another_batch_are_refused(function):
    with pytest.raises(ValueError, match='classes must be the .* of pad_tags'):
        function(torch.ones(1, 2, 1, 1), torch.tensor([[0], [1]]))
