"""affinity_confusion.py: pairs are told apart by the true masks, affinities and labels counted."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from tests.loading import load_file

CONFIG = Path(__file__).parents[2] / 'configs/afa/afa_mit-tiny_emblems.py'
tool = load_file('tools/analysis_tools/affinity_confusion.py')


def test_kinds_of_pairs_by_hand():
    mask = torch.tensor([[[1, 1, 0], [2, 255, 0]]])
    kinds = tool.true_kinds(mask, (2, 3), radius=1)[0]
    # object and object, background and background, object and background, two classes
    assert kinds[0].tolist() == [0, 0, -1, 3, -1, -1]
    assert kinds[1].tolist() == [0, 0, 2, 3, -1, 2]
    assert kinds[2].tolist() == [-1, 2, 1, -1, -1, 1]
    assert (kinds[4] == -1).all()


def test_counts_by_hand(monkeypatch):
    pairs = tool.Pairs(
        kind=torch.tensor([0, 2, 2]),
        affinity=torch.tensor([0.9, 0.2, 0.6]),
        label=torch.tensor([1, 0, 255]),
    )
    monkeypatch.setattr(tool, 'image_pairs', lambda model, data: pairs)
    total = tool.count_pairs(None, [None, None])
    expected = torch.tensor([[2, 1.8, 2, 2, 0], [0] * 5, [4, 1.6, 2, 0, 2], [0] * 5])
    torch.testing.assert_close(total, expected.double())
    lines = tool.make_table(total).splitlines()
    assert lines[1].split()[-5:] == ['33.3%', '0.900', '100.0%', '100.0%', '0.0%']
    assert lines[3].split()[-5:] == ['66.7%', '0.400', '50.0%', '0.0%', '50.0%']
    assert lines[4].split()[-5:] == ['0.0%', '0.000', '0.0%', '0.0%', '0.0%']


def test_pairs_of_a_model_are_those_of_its_training():
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(CONFIG).model).eval()
    mask = torch.zeros(1, 64, 64, dtype=torch.int64)
    mask[:, 16:48, 16:48] = 3
    sample = SegDataSample(gt_sem_seg=PixelData(data=mask), metainfo=dict(valid_box=(0, 0, 64, 64)))
    sample.set_field(torch.eye(6)[2], 'gt_score')
    data = dict(inputs=[torch.randint(256, (3, 64, 64), dtype=torch.uint8)], data_samples=[sample])
    with torch.no_grad():
        pairs = tool.image_pairs(model, data)
    # 8 x 8 cells, a square of 7 x 7 around each: 44 pairs an axis, 26 of them from the 4 cells of
    # the object and 16 within it
    mixed = 2 * (26**2 - 16**2)
    assert pairs.kind.bincount().tolist() == [16**2, 44**2 - 16**2 - mixed, mixed]
    assert 0 < pairs.affinity.min() and pairs.affinity.max() < 1


def test_other_methods_are_refused(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(CONFIG.parents[2] / 'tools/analysis_tools')
    weights = tmp_path / 'x.pth'
    config = CONFIG.parents[1] / 'seam/seam_r38-tiny_emblems.py'
    torch.save(MODELS.build(Config.fromfile(config).model).state_dict(), weights)
    args = tool.make_parser().parse_args([str(config), str(weights)])
    with pytest.raises(tool.UsageError, match='SEAM is no AFA; give its config'):
        tool.main(args)
