"""get_flops.py: what is counted by hand, what is told apart, the paper's figure, messages."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from torch import nn

from mmwsss.cli.complexity import BETWEEN, build_empty, count_complexity
from mmwsss.models import TokenViT
from tests.loading import run_main

TOOL = 'tools/analysis_tools/get_flops.py'
TINY = 'configs/cam/cam_r38-tiny_emblems.py'


class Toy(nn.Module):
    """A network whose head is used by a function, with parts that only a training uses."""

    def __init__(self, body, head=None):
        super().__init__()
        self.backbone = body
        self.head = head
        self.auxiliary_head = nn.Linear(5, 2)
        self.teacher = nn.Linear(7, 3).requires_grad_(False)

    def forward(self, images, mode):
        assert mode == 'tensor' and images.shape[0] == 1
        features = self.backbone(images)
        return features if self.head is None else F.conv2d(features, self.head.weight)


class Body(nn.Module):
    """Pixels as tokens of 3 channels, through a layer."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, images):
        return self.layer(images.flatten(2).transpose(1, 2))


class Attention(nn.Module):
    """Fused attention of tokens to themselves."""

    def forward(self, tokens):
        return F.scaled_dot_product_attention(tokens, tokens, tokens)


class Careful(nn.Module):
    """A product that no autocast may touch."""

    def forward(self, tokens):
        with torch.autocast(tokens.device.type, enabled=False):
            return tokens @ tokens.transpose(1, 2)


def count(model, size=(4, 5)):
    return count_complexity(model.to('meta').eval(), size)


@pytest.mark.parametrize(
    ('layer', 'expected'),
    [
        (nn.Linear(3, 8), 20 * 3 * 8),
        (Attention(), 2 * 20 * 20 * 3),
        (Careful(), 20 * 20 * 3),
        # four gates, of the input and of the state, in both directions
        (nn.LSTM(3, 6, batch_first=True, bidirectional=True), 2 * 20 * 4 * 6 * (3 + 6)),
        (nn.Sequential(nn.LayerNorm(3), nn.GELU()), 0),
    ],
)
def test_multiply_adds_are_those_counted_by_hand(layer, expected):
    assert count(Toy(Body(layer))).total.multiply_adds == expected


def test_parts_of_the_training_alone_are_told_apart():
    body = nn.Conv2d(3, 6, 3, padding=1)
    body.bias.requires_grad_(False)
    found = count(Toy(body, nn.Conv2d(6, 2, 1, bias=False)))
    assert [part[:3] for part in found.parts[:2]] == [('backbone', 168, 6), ('head', 12, 0)]
    assert [part[:3] for part in found.unused] == [('auxiliary_head', 12, 0), ('teacher', 24, 24)]
    assert found.total[1:] == (180, 6, 20 * (3 * 6 * 9 + 6 * 2))


def test_what_no_module_computes_is_counted_too():
    found = count(Toy(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 2, 1, bias=False)))
    assert [part[::3] for part in found.parts] == [
        ('backbone', 20 * 18),
        ('head', 0),
        (BETWEEN, 20 * 12),
    ]


def test_a_part_is_counted_where_only_what_is_in_it_is_called():
    class Around(Toy):
        def forward(self, images, mode):
            return self.backbone.layer.forward(images)

    found = count(Around(Body(nn.Sequential(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 2, 1)))))
    assert [part[::3] for part in found.parts] == [('backbone', 20 * (18 + 12))]


def test_autocast_is_as_before_after_an_error():
    before = torch.autocast
    with pytest.raises(RuntimeError, match='reduction dim'):
        count(Toy(Body(nn.Linear(4, 8))))
    assert torch.autocast is before


def test_segmentation_network_of_semformer_is_that_of_its_paper():
    """Table 9: 24.06 M parameters, 23.34 GFLOPs at 448 x 448."""

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = TokenViT(384, 12, num_heads=6, img_size=448, num_class_tokens=21)
            self.mask_head = nn.Linear(384, 21)
            self.class_heads = nn.ModuleList(nn.Linear(384, 256) for _ in range(21))

        def forward(self, images, mode):
            tokens = self.backbone.encode(images)
            classes = zip(self.class_heads, tokens.class_tokens.unbind(1), strict=True)
            return self.mask_head(tokens.maps[0].flatten(2).mT), [head(x) for head, x in classes]

    with torch.device('meta'):
        network = Network()
    total = count_complexity(network.eval(), (448, 448)).total
    tokens, layers, width = 28 * 28 + 21, 12, 384
    blocks = layers * (12 * tokens * width**2 + 2 * tokens**2 * width)
    heads = 28 * 28 * (16 * 16 * 3 * width + width * 21) + 21 * width * 256
    assert total.multiply_adds == blocks + heads
    # the paper's tool counts norms as well, with 5 operations a number
    norms = 5 * (2 * layers + 1) * tokens * width
    assert (total.multiply_adds + norms) / 1e9 == pytest.approx(23.34, abs=0.005)
    # what is missing to the paper's is as much as a second grid of positions has, of 14 x 14
    assert (total.parameters + 14 * 14 * width) / 1e6 == pytest.approx(24.06, abs=0.005)


def test_config_of_semformer_has_the_size_of_the_paper(repo):
    cfg = Config.fromfile(repo / 'configs/semformer/semformer_deit-s_voc.py')
    total = count_complexity(build_empty(cfg), (448, 448)).total
    assert total.parameters == 23_984_661
    assert total.multiply_adds / 1e9 == pytest.approx(23.34, rel=1e-3)


def test_table_and_reading(repo, capsys):
    run_main(TOOL, repo / TINY)
    output = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in output.splitlines()]
    numbers = {row[0]: row[1:] for row in rows if len(row) == 4}
    assert list(numbers) == ['part', 'backbone', 'cam_head', 'network']
    total = [
        sum(int(numbers[name][i].replace(',', '')) for name in ('backbone', 'cam_head'))
        for i in range(3)
    ]
    assert [int(cell.replace(',', '')) for cell in numbers['network']] == total
    assert 'one image of 128 x 128: 0.24 M parameters, 0.07 G multiply-adds.' in output
    assert 'counted as two operations they are 0.14 GFLOPs' in output


@pytest.mark.parametrize(('shape', 'size'), [(['64'], (64, 64)), (['32', '64'], (32, 64))])
def test_shape_of_the_command_line_counts(repo, capsys, shape, size):
    run_main(TOOL, repo / TINY, '--shape', *shape)
    assert f'one image of {size[0]} x {size[1]}:' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['configs/none.py'], 'There is no config'),
        (['configs/pipelines/seam_r38_voc.py'], 'has no model; give the config of a training'),
        ([TINY, '--shape', '0'], '--shape takes one or two positive numbers, got [0].'),
        ([TINY, '--shape', '1', '2', '3'], '--shape takes one or two positive numbers'),
        (
            [TINY, '--cfg-options', 'model.data_preprocessor.size=None', 'crop_size=None'],
            'does not say how large its images are: give --shape.',
        ),
        (
            [TINY, '--cfg-options', 'model.cam_head.in_channels=7'],
            'cannot be counted at 128 x 128: ',
        ),
    ],
)
def test_wrong_calls_end_with_a_sentence(repo, monkeypatch, capsys, words, message):
    monkeypatch.chdir(repo)
    with pytest.raises(SystemExit, match='2'):
        run_main(TOOL, *words)
    assert message in capsys.readouterr().err


def test_missing_package_is_named(tmp_path, capsys):
    path = tmp_path / 'other.py'
    path.write_text(
        "custom_imports = dict(imports=['nowhere_to_be_found'], allow_failed_imports=False)\n"
    )
    with pytest.raises(SystemExit, match='2'):
        run_main(TOOL, path)
    assert (
        'cannot be read: ImportError: Failed to import nowhere_to_be_found.'
        in capsys.readouterr().err
    )
