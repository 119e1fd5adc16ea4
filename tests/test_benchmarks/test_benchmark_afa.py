"""benchmark_afa.py: the plain step gives the same losses, and its memory."""

import json

import benchmark_afa as tool
import pytest
import torch
from measure import CHILD

pytestmark = pytest.mark.stack
SMALL = ['--size', '64', '--repeats', '1', '--device', 'cpu']


@pytest.mark.parametrize('iteration', [2000, 2001, 6001])
def test_plain_step_gives_the_same_losses(iteration):
    args = tool.parse_args([*SMALL, '--iteration', str(iteration)])
    batch = tool.make_batch(args, 64)
    ours, plain = (step(batch) for step in tool.make_forms(args).values())
    assert set(ours) == set(plain) == {'loss_cls', 'loss_affinity', 'loss_seg'}
    acting = {name for name, loss in ours.items() if loss}
    assert acting == ({'loss_cls'} if iteration == 2000 else set(ours))
    for name in acting:
        torch.testing.assert_close(ours[name], plain[name], rtol=1e-3, atol=1e-5)


def test_regularised_loss_on_request():
    assert tool.make_model(tool.parse_args([*SMALL, '--reg'])).loss_reg is not None


def test_memory_of_a_form(capsys):
    task = dict(vars(tool.parse_args(SMALL)), form='ours')
    assert tool.main([CHILD, json.dumps(task)]) == 0
    assert 0 <= int(capsys.readouterr().out) < 2**29


def test_wrong_options(capsys):
    for option in ('--size', '--batch-size', '--repeats', '--threads'):
        with pytest.raises(SystemExit, match='2'):
            tool.parse_args([option, '0'])
        assert 'at least' in capsys.readouterr().err
