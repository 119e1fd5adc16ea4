"""Every row of the page of ablations that names a config and options trains for a step."""

import re

import pytest
import torch
from mmengine.config import Config, DictAction
from mmengine.optim import build_optim_wrapper
from mmseg.registry import MODELS

from tests.loading import ROOT
from tests.test_configs import SIZE, samples, shrink

pytestmark = pytest.mark.stack
PAGE = (ROOT / 'docs/ablations.md').read_text(encoding='utf-8')
METHODS = ('SEAM', 'AFA', 'APC')
TABLE_ROW = re.compile(r'^\|[^|]*\| (`configs/[^|]*) \|', re.MULTILINE)


def rows():
    """Return config and options of each row, those that stand there twice once."""
    found = {}
    for method in METHODS:
        section = PAGE.split(f'## {method}\n')[1].split('\n## ')[0]
        for cell in TABLE_ROW.findall(section):
            config, *options = re.findall(r'`([^`]*)`', cell)
            if '/pipelines/' not in config:
                found[' '.join([config, *options])] = (config, options)
    return found


ROWS = rows()


def test_rows_are_found():
    assert len(ROWS) > 50
    with_options = [options for _, options in ROWS.values() if options]
    assert all('=' in option for options in with_options for option in options)


@pytest.mark.parametrize('name', ROWS)
@pytest.mark.filterwarnings('ignore')  # MMSeg's heads and backbones scold their own defaults
def test_row_trains_a_step(name):
    config, options = ROWS[name]
    cfg = Config.fromfile(ROOT / config)
    words = dict(option.split('=', 1) for option in options)
    cfg.merge_from_dict({key: DictAction._parse_iterable(word) for key, word in words.items()})
    for key, word in words.items():
        value = cfg
        for part in key.split('.'):
            value = value[int(part) if isinstance(value, list) else part]
        assert value == DictAction._parse_iterable(word)
    if cfg.model.get('refiner'):
        cfg.model.refiner.num_iters = 1
    model = MODELS.build(shrink(cfg.model)).train()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    inputs = [torch.randint(0, 255, (3, SIZE, SIZE), dtype=torch.uint8) for _ in range(2)]
    head = cfg.model.get('cam_head') or cfg.model.get('decode_head') or dict(num_classes=3)
    batch = dict(inputs=inputs, data_samples=samples(head['num_classes']))
    log = model.train_step(batch, wrapper)
    assert all(torch.isfinite(value).all() for value in log.values())
