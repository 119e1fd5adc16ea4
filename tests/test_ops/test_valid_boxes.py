"""Boxes of a batch against each image cut out and resized alone."""

import pytest
import torch
import torch.nn.functional as F

from mmwsss.ops import resize_boxes, valid_mask
from tests.host_reads import NoHostReads

SOURCES = [(0, 0, 9, 12), (2, 3, 8, 10), (4, 11, 5, 12), (1, 0, 4, 12)]
TARGETS = [(0, 0, 6, 7), (1, 2, 5, 4), (0, 0, 3, 1), (5, 6, 6, 7)]


def cut(maps, box):
    top, left, bottom, right = box
    return maps[..., top:bottom, left:right]


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('swap', [False, True])
def test_is_each_box_resized_alone(align_corners, swap):
    sources, targets, size = SOURCES, TARGETS, (6, 7)
    maps = torch.rand(4, 3, 9, 12, dtype=torch.float64)
    if swap:
        sources, targets, size, maps = targets, sources, (9, 12), maps[..., :6, :7]
    out = resize_boxes(maps, sources, targets, size, align_corners=align_corners)
    assert out.shape == (4, 3, *size)
    for i, (source, target) in enumerate(zip(sources, targets, strict=True)):
        alone = F.interpolate(
            cut(maps[i : i + 1], source),
            cut(out, target).shape[2:],
            mode='bilinear',
            align_corners=align_corners,
        )
        torch.testing.assert_close(cut(out[i : i + 1], target), alone, rtol=0, atol=1e-6)


def test_repeats_the_border_around_the_target():
    out = resize_boxes(torch.rand(1, 1, 4, 4), [(0, 0, 4, 4)], [(2, 1, 4, 3)], (6, 5))[0, 0]
    assert torch.equal(out[:2], out[2:3].expand(2, -1))
    assert torch.equal(out[4:], out[3:4].expand(2, -1))
    assert torch.equal(out[:, 0], out[:, 1])
    assert torch.equal(out[:, 3:], out[:, 2:3].expand(-1, 2))


def test_reads_nothing_outside_the_source():
    maps = torch.full((4, 1, 9, 12), torch.nan)
    for i, box in enumerate(SOURCES):
        cut(maps[i], box)[:] = 1
    assert resize_boxes(maps, SOURCES, TARGETS, (6, 7)).isfinite().all()


def test_one_colour_stays_exactly_that():
    """The refinement would make edges of rounding errors where there are none."""
    maps = torch.rand(5, 3, 1, 1).expand(-1, -1, 23, 31)
    sources = [(0, 0, 23, 31 - i) for i in range(5)]
    out = resize_boxes(maps, sources, [(0, 0, 11, 13)] * 5, (11, 13))
    assert torch.equal(out, maps[..., :11, :13])


def test_has_gradients():
    maps = torch.rand(2, 1, 9, 12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x: resize_boxes(x, SOURCES[:2], TARGETS[:2], (6, 7)), maps
    )


def test_waits_for_no_value():
    with NoHostReads():
        resize_boxes(torch.rand(4, 3, 9, 12), SOURCES, TARGETS, (6, 7))


@pytest.mark.parametrize(
    ('sources', 'targets', 'message'),
    [
        (SOURCES[:3], TARGETS, r'4 non-empty boxes .* inside \(9, 12\)'),
        (SOURCES, TARGETS[:1], r'4 non-empty boxes .* inside \(6, 7\)'),
        ([(0, 0, 10, 12)] * 4, TARGETS, r'inside \(9, 12\), got \[\(0, 0, 10, 12\)'),
        ([(0, 3, 9, 3)] * 4, TARGETS, 'non-empty'),
        (SOURCES, [(-1, 0, 2, 2)] * 4, r'inside \(6, 7\)'),
    ],
)
def test_refuses_boxes_that_do_not_fit(sources, targets, message):
    with pytest.raises(ValueError, match=f'resize_boxes: .*{message}'):
        resize_boxes(torch.rand(4, 3, 9, 12), sources, targets, (6, 7))


def test_mask_of_boxes():
    mask = valid_mask(torch.tensor([(0, 1, 2, 3), (1, 0, 2, 3)]), (2, 3))
    assert mask.int().tolist() == [[[[0, 1, 1], [0, 1, 1]]], [[[0, 0, 0], [1, 1, 1]]]]
