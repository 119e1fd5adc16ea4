"""Packed maps of tagged classes, and labels made of them, against a look at every pixel."""

import pytest
import torch
import torch.nn.functional as F

from mmwsss.ops import pad_tags, tagged_labels, tagged_scores, threshold_labels
from tests.host_reads import NoHostReads

TAGS = [torch.tensor([1, 4]), torch.tensor([], dtype=torch.int64), torch.tensor([0, 2, 3])]
CLASSES = pad_tags(TAGS)


def make_cams():
    """Return maps that are not a number where the image has no such class."""
    cams = torch.rand(3, 6, 7, 9)
    for maps, tags in zip(cams, TAGS, strict=True):
        absent = torch.ones(6, dtype=torch.bool)
        absent[tags] = False
        maps[absent] = torch.nan
    return cams


def test_tags_are_packed():
    assert CLASSES.tolist() == [[1, 4, -1], [-1, -1, -1], [0, 2, 3]]


def test_images_without_tags_have_one_empty_place():
    assert pad_tags([TAGS[1], TAGS[1]]).tolist() == [[-1], [-1]]


def test_scores_are_the_softmax_over_background_and_tags():
    cams = make_cams()
    scores = tagged_scores(cams, CLASSES, [0.35, 0.55])
    assert scores.shape == (3, 2, 4, 7, 9)
    for i, tags in enumerate(TAGS):
        for b, constant in enumerate((0.35, 0.55)):
            stack = torch.cat([torch.full((1, 7, 9), constant), cams[i, tags]]).softmax(0)
            torch.testing.assert_close(scores[i, b, : len(stack)], stack)
            assert not scores[i, b, len(stack) :].any()


def test_maps_are_resized_before_the_softmax():
    cams = torch.rand(1, 3, 8, 6)
    classes = torch.tensor([[0, 2]])
    small = F.interpolate(cams, (4, 3), mode='bilinear', align_corners=False)
    torch.testing.assert_close(
        tagged_scores(cams, classes, [0.5], (4, 3)), tagged_scores(small, classes, [0.5])
    )


def expected_label(values, low, high):
    """Return the label of a pixel from the values of its classes, by class."""
    best = max(values, key=values.get, default=None)
    value = -1 if best is None else values[best]
    if value <= low:
        return 0
    return best + 1 if value > high else 255


@pytest.mark.parametrize('bg_scores', [(0.35, 0.75), (0.6,)])
@pytest.mark.parametrize('function', ['threshold', 'softmax'])
def test_labels_of_every_pixel(function, bg_scores):
    cams = make_cams()
    if function == 'threshold':
        labels = threshold_labels(cams, CLASSES, bg_scores)
    else:
        labels = tagged_labels(tagged_scores(cams, CLASSES, bg_scores), CLASSES)
    assert labels.dtype == torch.uint8
    for i, tags in enumerate(TAGS):
        for y in range(7):
            for x in range(9):
                values = {c: cams[i, c, y, x].item() for c in tags.tolist()}
                expected = expected_label(values, bg_scores[0], bg_scores[-1])
                assert labels[i, y, x] == expected


def test_a_value_at_the_threshold_is_background():
    cams, classes = torch.tensor([0.25, 0.5]).view(1, 1, 1, 2), torch.tensor([[0]])
    assert threshold_labels(cams, classes, [0.25, 0.5]).tolist() == [[[0, 255]]]


def test_the_background_then_the_first_class_wins_a_tie():
    cams, classes = torch.tensor([0.5, 0.5]).view(1, 2, 1, 1), torch.tensor([[0, 1]])
    labels = [
        tagged_labels(tagged_scores(cams, classes, [score]), classes).item()
        for score in (0.5, 0.25)
    ]
    assert labels == [0, 1]


def test_what_is_not_image_is_ignored():
    valid = torch.rand(3, 1, 7, 9) > 0.5
    cams = make_cams()
    scores = tagged_scores(cams, CLASSES, [0.4, 0.6])
    for label in (
        threshold_labels(cams, CLASSES, [0.4, 0.6], valid),
        tagged_labels(scores, CLASSES, valid.float()),
    ):
        whole = threshold_labels(cams, CLASSES, [0.4, 0.6])
        assert (label[~valid[:, 0]] == 255).all()
        assert torch.equal(label[valid[:, 0]], whole[valid[:, 0]])


def test_half_precision_is_computed_in_single():
    cams = torch.rand(1, 3, 4, 4).bfloat16()
    classes = torch.tensor([[0, 2]])
    out = tagged_scores(cams, classes, [0.4], (2, 2))
    assert torch.equal(out, tagged_scores(cams.float(), classes, [0.4], (2, 2)))


def test_waits_for_no_value():
    cams = torch.rand(3, 6, 8, 8)
    with NoHostReads():
        classes = pad_tags(TAGS)
        scores = tagged_scores(cams, classes, [0.4, 0.6], (4, 4))
        tagged_labels(scores, classes, torch.ones(3, 1, 4, 4))
        threshold_labels(cams, classes, [0.4, 0.6])


@pytest.mark.parametrize('shape', [(2, 1), (3, 0), (3,)])
def test_refuses_tags_of_other_images(shape):
    with pytest.raises(ValueError, match=r'classes must be the \(N, S\) of pad_tags'):
        threshold_labels(torch.rand(3, 6, 2, 2), torch.zeros(shape, dtype=torch.int64), [0.5])
