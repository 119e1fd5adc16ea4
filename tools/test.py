"""Evaluate a model: what MMSegmentation's tool does, with the same options."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mmwsss.cli.fitting import check_classes, load_fitting
from mmwsss.cli.launch import (
    add_common_options,
    build_runner,
    check_checkpoint,
    load_config,
    prepare_distributed,
    run_tool,
)
from mmwsss.errors import UsageError
from mmwsss.utils import number

if TYPE_CHECKING:
    from mmengine.config import Config


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog='test.py', description='Evaluate a model.')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='file or address of the weights')
    parser.add_argument('--work-dir', help='folder of logs and metrics (work_dirs/{config})')
    parser.add_argument('--out', help='folder for the predicted masks')
    parser.add_argument('--show', action='store_true', help='show the predictions in a window')
    parser.add_argument('--show-dir', help='folder for painted predictions')
    parser.add_argument(
        '--wait-time', type=number(float, 0), default=2, help='seconds a window stays (2)'
    )
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    add_common_options(parser)
    return parser


def set_output(cfg: Config, folder: str) -> None:
    """Name the output folder to the evaluator that writes masks, be it one or one of several.

    Args:
        cfg: Config, changed in place.
        folder: Where the files go.

    Raises:
        UsageError: none of the evaluators writes files.
    """
    from mmwsss.evaluation.seg_evaluator import with_output_dir

    found = cfg.test_evaluator
    metrics = found.get('metrics', found) if isinstance(found, dict) else found
    metrics = [metrics] if isinstance(metrics, dict) else metrics
    try:
        metrics = with_output_dir(metrics, folder, keep_results=True)
    except ValueError as error:
        raise UsageError(f'--out: {error}') from None
    if isinstance(found, dict) and 'metrics' in found:
        found.metrics = metrics
    else:
        cfg.test_evaluator = metrics


def set_drawing(cfg: Config, args: argparse.Namespace) -> None:
    """Paint the predictions, on the screen or into a folder.

    Args:
        cfg: Config, changed in place.
        args: ``show``, ``show_dir`` and ``wait_time``.
    """
    hooks = cfg.setdefault('default_hooks', {})
    hook = dict(hooks.get('visualization') or {}, draw=True)
    hook.setdefault('type', 'PaintHook')
    # MMSegmentation's own paints every 50th image otherwise
    hook.setdefault('interval', 1)
    if args.show:
        hook.update(show=True, wait_time=args.wait_time)
    hooks['visualization'] = hook
    if args.show_dir:
        cfg.setdefault('visualizer', dict(type='SegLocalVisualizer', name='visualizer'))
        cfg.visualizer.setdefault('vis_backends', [dict(type='LocalVisBackend')])
        cfg.visualizer.save_dir = args.show_dir


def set_tta(cfg: Config) -> None:
    """Test on several views of each image.

    Args:
        cfg: Config with ``tta_pipeline`` and ``tta_model``, changed in place.

    Raises:
        UsageError: the config lacks one of them.
    """
    missing = [key for key in ('tta_pipeline', 'tta_model') if not cfg.get(key)]
    if missing:
        raise UsageError(f'--tta needs {" and ".join(missing)} in the config, it has none.')
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.model = dict(cfg.tta_model, module=cfg.model)


def test(args: argparse.Namespace) -> None:
    """Evaluate as the arguments say."""
    cfg = load_config(args)
    check_checkpoint(args.checkpoint)
    cfg.load_from, cfg.resume = None, False
    if args.show or args.show_dir:
        set_drawing(cfg, args)
    if args.tta:
        set_tta(cfg)
    if args.out:
        set_output(cfg, args.out)
    prepare_distributed(cfg)
    runner = build_runner(cfg)
    check_classes(runner, runner.test_loop, 'test_dataloader')
    load_fitting(runner, args.checkpoint)
    runner.test()


if __name__ == '__main__':
    run_tool(make_parser(), test)
