"""Train a model: what MMSegmentation's tool does, with the same options."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mmwsss.cli.first_weights import settle_weights
from mmwsss.cli.fitting import check_classes
from mmwsss.cli.launch import (
    add_common_options,
    build_runner,
    check_checkpoint,
    load_config,
    prepare_distributed,
    run_tool,
    use_amp,
)
from mmwsss.compat import load_from_local

if TYPE_CHECKING:
    from mmengine.config import Config


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog='train.py', description='Train a model.')
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder of logs and checkpoints (work_dirs/{config})')
    parser.add_argument(
        '--resume', action='store_true', help='go on from the latest checkpoint of the work dir'
    )
    parser.add_argument('--amp', action='store_true', help='train in automatic mixed precision')
    add_common_options(parser)
    return parser


def set_resume(cfg: Config, *, named: bool) -> None:
    """Go on from the latest checkpoint, or from the one that ``load_from`` was set to.

    Without any, the training starts afresh, from ``load_from`` if the config has one.

    Args:
        cfg: Config, changed in place.
        named: Whether the command line set ``load_from``.
    """
    latest = Path(cfg.work_dir, 'last_checkpoint')
    name = latest.read_text().strip() if latest.is_file() else ''
    if name and not named:
        cfg.load_from = name
        cfg.resume = True
    else:
        cfg.resume = named or cfg.get('load_from') is None


def keep_seed(cfg: Config) -> None:
    """Give a training that goes on without a seed in its config the seed that it began with.

    Args:
        cfg: Config that resumes, changed in place.
    """
    randomness = cfg.get('randomness') or {}
    if randomness.get('seed') is None:
        # the runner takes it from there, too, but after it has built the data loader
        meta = load_from_local(cfg.load_from, 'cpu').get('meta') or {}
        seed = meta.get('seed')
        cfg.randomness = dict(randomness, seed=seed)


def train(args: argparse.Namespace) -> None:
    """Train as the arguments say."""
    cfg = load_config(args)
    if args.amp:
        use_amp(cfg)
    cfg.resume = False
    if args.resume:
        set_resume(cfg, named='load_from' in (args.cfg_options or {}))
    if cfg.get('load_from'):
        check_checkpoint(cfg.load_from)
        if cfg.resume:
            keep_seed(cfg)
    settle_weights(cfg)
    prepare_distributed(cfg)
    runner = build_runner(cfg)
    check_classes(runner, runner.train_loop, 'train_dataloader')
    runner.train()


if __name__ == '__main__':
    run_tool(make_parser(), train)
