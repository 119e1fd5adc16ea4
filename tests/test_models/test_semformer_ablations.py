"""Every row of SemFormer's tables in docs/ablations.md trains for a step, by options alone."""

import pytest
import torch
from mmengine.config import Config, DictAction
from mmengine.optim import build_optim_wrapper
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from tests.loading import ROOT

STAGES = dict(CAAE='caae_deit-b_voc', SEM='semformer_deit-s_voc')
SIZE = 32


def documented_rows():
    """Return the table, row name, and options of both stages of each row that has any."""
    section = (ROOT / 'docs/ablations.md').read_text().split('\n## SemFormer\n')[1]
    rows = []
    for line in section.split('\n## ')[0].splitlines():
        cells = [cell.strip() for cell in line.strip('|').split('|')]
        if len(cells) == 6 and 'model.' in cells[2] + cells[3]:
            options = dict(zip(STAGES, cells[2:4], strict=True))
            rows += [
                pytest.param(stage, words.strip('`').split(), id=f'{cells[0]}: {cells[1]}, {stage}')
                for stage, words in options.items()
                if words
            ]
    return rows


def shrunk(stage):
    """Return a config of the paper with all that the tables do not vary made small."""
    cfg = Config.fromfile(ROOT / f'configs/semformer/{STAGES[stage]}.py')
    model = cfg.model
    model.backbone.update(embed_dims=16, num_heads=2, img_size=SIZE)
    model.data_preprocessor.size = (SIZE, SIZE)
    encoder = model.caae if 'caae' in model else model
    encoder.backbone.update(embed_dims=16, num_heads=2, num_layers=1, img_size=SIZE)
    encoder.embed_head.update(in_channels=16, embed_channels=8)
    if stage == 'CAAE':
        model.decoder.update(embed_dims=24, num_heads=2, num_layers=1)
    else:
        model.cam_head.in_channels = 16
        model.caae_size = SIZE
        # random weights guide as well here
        del model.caae.init_cfg
    return cfg


def batch():
    samples = []
    for tags in ([0, 3], [7]):
        sample = SegDataSample(metainfo=dict(valid_box=(0, 0, SIZE, SIZE - 8)))
        label = torch.tensor(tags)
        sample.set_data(dict(gt_label=label, gt_score=torch.zeros(20).index_fill_(0, label, 1)))
        samples.append(sample)
    inputs = [torch.randint(0, 255, (3, SIZE, SIZE), dtype=torch.uint8) for _ in samples]
    return dict(inputs=inputs, data_samples=samples)


@pytest.mark.parametrize(('stage', 'options'), documented_rows())
def test_row_trains_a_step(stage, options):
    torch.manual_seed(0)
    cfg = shrunk(stage)
    words = dict(option.split('=', 1) for option in options)
    cfg.merge_from_dict({key: DictAction._parse_iterable(value) for key, value in words.items()})
    model = MODELS.build(cfg.model).train()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    log = model.train_step(batch(), wrapper)
    assert all(torch.isfinite(value).all() for value in log.values())
    removed = {
        key.split('.')[1] for key, value in words.items() if '.loss_' in key and value == 'None'
    }
    if stage == 'SEM':
        assert not removed & set(log) and 'loss_cf' in log
        with torch.no_grad():
            maps = model.eval().predict_maps(torch.randn(1, 3, SIZE, SIZE))[0]
        assert maps.shape == (1, 20, 2, 2) and maps.isfinite().all() and maps.min() >= 0
    else:
        assert ('loss_reconstruction' in log) == ('model.decoder' not in words)


def test_all_tables_with_options_are_there():
    tables = {row.id.split(':')[0] for row in documented_rows()}
    assert tables == {*'3 5 6 7 8 10 13 15 16 17'.split(), '4, 12', '11, 14', 'none'}
