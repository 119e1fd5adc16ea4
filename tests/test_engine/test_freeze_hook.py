"""FreezeHook: what stands still, until when, after a resume, in distributed training."""

import pytest
import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel, MMDistributedDataParallel
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import nn

from mmwsss.engine import FreezeHook
from mmwsss.pipeline.photographs.schedule import set_schedule
from tests.leftovers import forget_runs

pytestmark = pytest.mark.stack
UNTIL, ITERS = 3, 6


class Network(BaseModel):
    """A network of three parts, the first of which is never trained."""

    def __init__(self):
        super().__init__()
        self.never, self.backbone, self.head = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 1)
        self.never.requires_grad_(False)

    def forward(self, inputs, mode='tensor'):
        return dict(loss=self.head(self.backbone(self.never(inputs))).square().mean())


class Watch(Hook):
    """Note the weights and the state of the optimiser after each iteration."""

    def __init__(self):
        self.weights, self.states = {}, {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        model = getattr(runner.model, 'module', runner.model)
        self.weights[runner.iter] = {k: v.clone() for k, v in model.state_dict().items()}
        state = runner.optim_wrapper.optimizer.state
        self.states[runner.iter] = {
            name: int(state[p]['step']) for name, p in model.named_parameters() if p in state
        }


def train(work_dir, *, until=UNTIL, start=None, network=None):
    """Train, from a checkpoint where one is given, and return the watch."""
    if network is None:
        torch.manual_seed(0)
        network = Network()
    watch = Watch()
    wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=0.1, weight_decay=0.1))
    torch.manual_seed(1)
    data = [torch.randn(2) for _ in range(2 * ITERS)]
    runner = Runner(
        model=network,
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=2,
            dataset=data,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=lambda items: dict(inputs=torch.stack(items)),
        ),
        optim_wrapper=wrapper,
        param_scheduler=[dict(type='MultiStepLR', milestones=[UNTIL], by_epoch=False)],
        train_cfg=dict(by_epoch=False, max_iters=ITERS),
        default_hooks=dict(
            logger=None,
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1),
        ),
        custom_hooks=[dict(type='FreezeHook', modules=['backbone'], until=until), watch],
        load_from=start,
        resume=start is not None,
        experiment_name='freeze',
        default_scope='mmseg',
        log_level='ERROR',
    )
    runner.train()
    forget_runs()
    return watch


def moved(watch, name):
    """Return the iterations after which a weight differs from what it was an iteration before."""
    values = [watch.weights[i][name] for i in sorted(watch.weights)]
    return [i for i in range(1, len(values)) if not torch.equal(values[i], values[i - 1])]


@pytest.mark.parametrize('until', [0, UNTIL])
def test_a_module_stands_still_until_its_iteration(tmp_path, until):
    watch = train(tmp_path, until=until)
    assert moved(watch, 'backbone.weight') == list(range(max(until, 1), ITERS))
    assert moved(watch, 'head.weight') == list(range(1, ITERS))
    assert moved(watch, 'never.weight') == []
    torch.manual_seed(0)
    start = Network().backbone.weight
    assert torch.equal(watch.weights[0]['backbone.weight'], start) == bool(until)


def test_the_optimiser_begins_with_a_module_when_it_does(tmp_path):
    """No weight decays and no step is counted before; the first step is Adam's first."""
    watch = train(tmp_path)
    assert watch.states[UNTIL - 1] == {'head.weight': UNTIL, 'head.bias': UNTIL}
    assert watch.states[ITERS - 1]['backbone.weight'] == ITERS - UNTIL
    step = watch.weights[UNTIL]['backbone.weight'] - watch.weights[UNTIL - 1]['backbone.weight']
    # Adam's first step is the learning rate in each direction
    torch.testing.assert_close(step.abs(), torch.full((2, 2), 0.01), rtol=1e-3, atol=0)


@pytest.mark.parametrize('stop', [1, UNTIL, 4])
def test_a_resumed_training_ends_with_the_same_bits(tmp_path, stop):
    whole = train(tmp_path / 'whole')
    torch.manual_seed(7)
    checkpoint = str(tmp_path / f'whole/iter_{stop}.pth')
    parts = train(tmp_path / 'parts', start=checkpoint, network=Network())
    assert sorted(parts.weights) == list(range(stop, ITERS))
    for name, value in whole.weights[ITERS - 1].items():
        assert torch.equal(parts.weights[ITERS - 1][name], value), name


@pytest.fixture
def one_process():
    """Make this process the only one of a group."""
    dist.init_process_group('gloo', store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_distributed_training_needs_no_search_for_unused_parameters(tmp_path, one_process):
    alone = train(tmp_path / 'alone')
    torch.manual_seed(0)
    together = train(tmp_path / 'together', network=MMDistributedDataParallel(Network()))
    for name, value in alone.weights[ITERS - 1].items():
        torch.testing.assert_close(together.weights[ITERS - 1][name], value)
    assert together.states == alone.states


def test_the_optimiser_is_left_alone_afterwards():
    model = Network()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    hook = FreezeHook(['backbone.weight'], 9)
    runner = type('Runner', (), dict(model=model, iter=0, optim_wrapper=None))()
    runner.optim_wrapper = type('Wrapper', (), dict(optimizer=optimizer))()

    def step():
        model(torch.ones(1, 2))['loss'].backward()
        optimizer.step()

    before = model.backbone.weight.clone()
    hook.before_train(runner)
    step()
    assert torch.equal(model.backbone.weight, before)
    assert model.backbone.bias.grad is not None
    hook.after_train(runner)
    step()
    assert not torch.equal(model.backbone.weight, before)


@pytest.mark.parametrize('modules', ['backbone', [], ()])
def test_modules_are_a_list(modules):
    with pytest.raises(ValueError, match='FreezeHook: modules must be a list of names'):
        HOOKS.build(dict(type='FreezeHook', modules=modules, until=1))


def test_until_is_checked():
    with pytest.raises(ValueError, match='until must not be negative, got -1'):
        FreezeHook(['backbone'], -1)


@pytest.mark.parametrize('name', ['back', 'never', 'neck'])
def test_modules_that_train_nothing_are_refused(name):
    runner = type('Runner', (), dict(model=Network()))()
    with pytest.raises(
        ValueError, match=f'no trainable parameter is called {name!r}.*backbone, head'
    ):
        FreezeHook([name], 1).before_train(runner)


# APC's schedule


@pytest.mark.parametrize(('data', 'epoch'), [('voc', 10582 // 16), ('coco', 82081 // 16)])
def test_the_encoder_of_apc_begins_in_the_third_epoch(repo, data, epoch):
    cfg = Config.fromfile(repo / f'configs/apc/apc_vit-b_{data}.py')
    freeze = next(hook for hook in cfg.custom_hooks if hook.type == 'FreezeHook')
    (scheduler,) = cfg.param_scheduler
    assert cfg.train_dataloader.batch_size == 16
    assert (freeze.until, scheduler.milestones) == (2 * epoch, [2 * epoch])
    assert any(hook.type == 'ExactResumeHook' for hook in cfg.custom_hooks)
    assert cfg.train_cfg.max_iters == 15 * epoch


def test_freezing_moves_along_with_the_schedule(repo):
    cfg = Config.fromfile(repo / 'configs/apc/apc_vit-b_voc.py')
    set_schedule(cfg, 5291)
    freeze = next(hook for hook in cfg.custom_hooks if hook.type == 'FreezeHook')
    assert (cfg.train_cfg.max_iters, freeze.until) == (4958, 661)
    assert cfg.param_scheduler[0].milestones == [661]
