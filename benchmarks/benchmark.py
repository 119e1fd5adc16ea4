"""Measure speed and memory of configs on synthetic images, one line a config."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from measure import peak_resident
from mmengine.config import Config, DictAction
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner.utils import set_random_seed
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from prettytable import PrettyTable
from torch import nn

import mmwsss  # noqa: F401 - registers everything
from mmwsss.apis.trained_model import check_device
from mmwsss.cli.launch import one_sentence, read_config

MEGABYTE = 2**20
CHILD = '--measure-here'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Measure images a second and peak memory of configs, each in a process of '
        'its own. Weights are random and images synthetic. Peak memory is what PyTorch '
        'allocated on a GPU; on a CPU it is all that the process held, libraries included.'
    )
    parser.add_argument('configs', nargs='+', help='configs of the models')
    parser.add_argument(
        '--mode', default='train', choices=['train', 'infer'], help='training step or prediction'
    )
    parser.add_argument('--batch-size', type=int, help="the config's for training, 1 to infer")
    parser.add_argument(
        '--size',
        type=int,
        nargs='+',
        help='height and width, or one for both (default: crop_size of the config, or 448)',
    )
    parser.add_argument('--iters', type=int, default=20, help='steps a repeat (default: 20)')
    parser.add_argument('--repeats', type=int, default=3, help='the median counts (default: 3)')
    parser.add_argument('--warmup', type=int, default=5, help='steps before (default: 5)')
    parser.add_argument('--amp', action='store_true', help='bfloat16 autocast')
    parser.add_argument('--channels-last', action='store_true', help='memory format')
    parser.add_argument('--device', help='cuda where there is one, else cpu')
    parser.add_argument('--threads', type=int, help='CPU threads of PyTorch')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='as in tools/train.py')
    args = parser.parse_args(argv)
    for name in ('batch_size', 'iters', 'repeats', 'threads'):
        if (value := getattr(args, name)) is not None and value < 1:
            parser.error(f'--{name.replace("_", "-")} must be at least 1, got {value}')
    if args.size is not None and (len(args.size) > 2 or min(args.size) < 1):
        parser.error(f'--size takes one or two positive numbers, got {args.size}')
    args.device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    check_device(args.device)
    return args


def without_pretrained(cfg: Any) -> Any:
    """Return a config without checkpoints to start from: speed does not depend on them."""
    if isinstance(cfg, dict):
        init = cfg.get('init_cfg')
        pretrained = isinstance(init, dict) and init.get('type') == 'Pretrained'
        return {
            key: without_pretrained(value)
            for key, value in cfg.items()
            if key != 'pretrained' and not (key == 'init_cfg' and pretrained)
        }
    if isinstance(cfg, (list, tuple)):
        return type(cfg)(without_pretrained(value) for value in cfg)
    return cfg


def image_size(cfg: Config, args: argparse.Namespace) -> tuple[int, int]:
    """Return height and width of the synthetic images."""
    size = args.size or cfg.get('crop_size') or [448]
    size = [size] if isinstance(size, int) else list(size)
    return size[0], size[-1]


def build_model(cfg: Config, args: argparse.Namespace) -> nn.Module:
    """Build the model of a config with random weights."""
    model_cfg = without_pretrained(cfg.model.to_dict())
    if 'data_preprocessor' in cfg:
        model_cfg.setdefault('data_preprocessor', cfg.data_preprocessor.to_dict())
    if (model_cfg.get('data_preprocessor') or {}).get('size') is not None:
        model_cfg['data_preprocessor']['size'] = image_size(cfg, args)
    model = MODELS.build(model_cfg)
    model.init_weights()
    model = revert_sync_batchnorm(model).to(args.device)
    if args.channels_last:
        model = model.to(memory_format=torch.channels_last)
    return model.train(args.mode == 'train')


def synthetic_batch(num_classes: int, batch_size: int, size: tuple[int, int]) -> dict:
    """Return images of noise with two tags each, a mask of them, and no padding."""
    samples = []
    for i in range(batch_size):
        tags = sorted({i % (num_classes - 1), (i + 1) % (num_classes - 1)})
        sample = SegDataSample(
            metainfo=dict(
                img_path=f'{i}.jpg',
                img_id=str(i),
                img_shape=size,
                ori_shape=size,
                pad_shape=size,
                scale_factor=(1.0, 1.0),
                flip=False,
                valid_box=(0, 0, *size),
            )
        )
        mask = torch.zeros(1, *size, dtype=torch.long)
        mask[:, : size[0] // 2] = tags[0] + 1
        sample.set_data(
            dict(
                gt_label=torch.tensor(tags),
                gt_score=torch.zeros(num_classes - 1).index_fill_(0, torch.tensor(tags), 1.0),
                gt_sem_seg=PixelData(data=mask),
            )
        )
        samples.append(sample)
    inputs = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for _ in samples]
    return dict(inputs=inputs, data_samples=samples)


def prepare(model: nn.Module, batch: dict, args: argparse.Namespace) -> dict:
    """Move and normalise a batch, as every step does."""
    data = model.data_preprocessor(batch, args.mode == 'train')
    if args.channels_last:
        data['inputs'] = data['inputs'].contiguous(memory_format=torch.channels_last)
    return data


def plain_wrapper(cfg: dict) -> dict:
    """Return the config of an optimizer wrapper without its mixed precision."""
    kept = {key: value for key, value in cfg.items() if key not in ('dtype', 'loss_scale')}
    return dict(kept, type='OptimWrapper')


def make_step(cfg: Config, model: nn.Module, args: argparse.Namespace) -> Callable[[dict], None]:
    """Return what is measured: a step on a batch."""
    autocast = partial(
        torch.autocast, torch.device(args.device).type, torch.bfloat16, enabled=args.amp
    )
    if args.mode == 'infer':

        def infer(batch: dict) -> None:
            with torch.inference_mode(), autocast():
                model(**prepare(model, batch, args), mode='predict')

        return infer
    # AmpOptimWrapper refuses CPUs; bfloat16 needs no loss scale
    wrapper = build_optim_wrapper(model, plain_wrapper(cfg.optim_wrapper))

    def train(batch: dict) -> None:
        with autocast():
            losses = model(**prepare(model, batch, args), mode='loss')
        loss, _ = model.parse_losses(losses)
        wrapper.update_params(loss)

    return train


def measure(config: str, args: argparse.Namespace) -> dict[str, Any]:
    """Measure one config in this process."""
    if args.threads:
        torch.set_num_threads(args.threads)
    set_random_seed(0)
    cfg = read_config(config, args.cfg_options or {})
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    model = build_model(cfg, args)
    head = getattr(model, 'cam_head', None) or model.decode_head
    size = image_size(cfg, args)
    configured = cfg.train_dataloader.batch_size if args.mode == 'train' else 1
    batch_size = args.batch_size or configured
    batch = synthetic_batch(head.num_classes, batch_size, size)
    step = make_step(cfg, model, args)
    cuda = torch.device(args.device).type == 'cuda'
    for _ in range(args.warmup):
        step(batch)
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    rates = []
    for _ in range(args.repeats):
        start = time.perf_counter()
        for _ in range(args.iters):
            step(batch)
        if cuda:
            torch.cuda.synchronize()
        rates.append(batch_size * args.iters / (time.perf_counter() - start))
    peak = torch.cuda.max_memory_allocated() if cuda else peak_resident()
    return dict(batch_size=batch_size, size=size, rates=rates, peak=peak)


def measure_apart(config: str, args: argparse.Namespace) -> dict[str, Any] | str:
    """Measure one config in a process of its own; return the end of its errors if it fails."""
    command = [sys.executable, __file__, CHILD, config, json.dumps(vars(args))]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        return (process.stderr.strip().splitlines() or ['no message'])[-1]
    return json.loads(process.stdout.strip().splitlines()[-1])


def describe(args: argparse.Namespace) -> str:
    """Say in one line what was measured and where."""
    name = args.device
    if torch.device(args.device).type == 'cuda':
        name = torch.cuda.get_device_name(args.device)
    elif args.threads:
        name += f', {args.threads} threads'
    precision = 'bfloat16 autocast' if args.amp else 'float32'
    layout = ', channels-last' if args.channels_last else ''
    return (
        f'{args.mode} on {name}, {precision}{layout}: median of {args.repeats} x {args.iters} '
        'steps (slowest - fastest)'
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; return 1 if a config could not be measured."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] == [CHILD]:
        print(json.dumps(measure(argv[1], argparse.Namespace(**json.loads(argv[2])))))
        return 0
    args = parse_args(argv)
    for config in args.configs:
        read_config(config, args.cfg_options or {})
    cuda = torch.device(args.device).type == 'cuda'
    memory = 'peak MiB (PyTorch)' if cuda else 'peak MiB (process)'
    table = PrettyTable(['config', 'batch', 'size', 'images/s', memory], align='r')
    table.align['config'] = 'l'
    failures = []
    for config in args.configs:
        result = measure_apart(config, args)
        if isinstance(result, str):
            failures.append(f'{config} could not be measured: {result}')
            table.add_row([config, '-', '-', 'failed', '-'])
            continue
        rates = result['rates']
        speed = f'{statistics.median(rates):.2f} ({min(rates):.2f} - {max(rates):.2f})'
        size = ' x '.join(str(n) for n in result['size'])
        peak = f'{result["peak"] / MEGABYTE:.0f}'
        table.add_row([config, result['batch_size'], size, speed, peak])
    print(describe(args))
    print(table)
    print(*failures, sep='\n', file=sys.stderr, end='\n' if failures else '')
    return int(bool(failures))


if __name__ == '__main__':
    with one_sentence('benchmark.py'):
        sys.exit(main())
