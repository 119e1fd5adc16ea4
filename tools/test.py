"""Evaluate a model: what MMSegmentation's tool does, with the same options."""

from __future__ import annotations

import argparse
import inspect
from typing import TYPE_CHECKING

from mmwsss.engine.fitting import check_classes, load_fitting
from mmwsss.engine.launch import (
    UsageError,
    add_common_options,
    build_runner,
    check_checkpoint,
    load_config,
    prepare_distributed,
    run_tool,
)
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

    Where none does, one that writes anything else (the curves of ``CAMMetric``) gets it.

    Args:
        cfg: Config, changed in place.
        folder: Where the files go.

    Raises:
        UsageError: none of the evaluators writes files.
    """
    from mmseg.registry import METRICS

    found = cfg.test_evaluator
    writers = []
    for evaluator in [found] if isinstance(found, dict) else found:
        kind = evaluator['type']
        metric = METRICS.get(kind) if isinstance(kind, str) else kind
        options = inspect.signature(metric).parameters if metric else {}
        if 'output_dir' in options:
            # what can be told to write nothing but files writes masks
            writers.append(('format_only' not in options, len(writers), evaluator, options))
    if not writers:
        raise UsageError('--out needs an evaluator with output_dir, such as MaskMetric.')
    _, _, evaluator, options = min(writers, key=lambda writer: writer[:2])
    evaluator['output_dir'] = folder
    if 'keep_results' in options:
        evaluator['keep_results'] = True


def set_drawing(cfg: Config, args: argparse.Namespace) -> None:
    """Paint the predictions, on the screen or into a folder.

    Args:
        cfg: Config, changed in place.
        args: ``show``, ``show_dir`` and ``wait_time``.
    """
    hooks = cfg.setdefault('default_hooks', {})
    hook = dict(hooks.get('visualization') or {}, draw=True)
    hook.setdefault('type', 'SegVisualizationHook')
    # mmsegmentation 1.2 paints every 50th image otherwise
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
