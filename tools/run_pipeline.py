"""Run a pipeline: from image-level labels to a tested segmentation model, in one command."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmwsss.cli.launch import add_common_options, run_tool
from mmwsss.cli.mask_tools import add_worker_option
from mmwsss.errors import UsageError
from mmwsss.pipeline import Pipeline, read_pipeline, run_pipeline, show_plan
from mmwsss.pipeline.display import say
from mmwsss.pipeline.estimates import estimate
from mmwsss.pipeline.locks import check_system
from mmwsss.pipeline.photographs.pipeline import own_pipeline, own_work_dir
from mmwsss.pipeline.tasks import follow
from mmwsss.pipeline.world import join_world
from mmwsss.utils import number

from mmengine.config import Config

TOOLS = Path(__file__).resolve().parent
DEFAULT = 'configs/pipelines/photographs_effnet-lite0.py'


def add_photograph_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for photographs of one's own.

    Args:
        parser: Parser of the tool.
    """
    group = parser.add_argument_group('photographs of your own')
    group.add_argument('--images', help='folder of the photographs, subfolders too')
    group.add_argument('--labels', help='their tags: CSV or JSON, or any source of tags')
    group.add_argument('--masks', help='true masks of some or all of them, for evaluation alone')
    group.add_argument(
        '--classes',
        nargs='+',
        metavar='CLASS',
        help='a file with one name a line, or the names (default: all that the tags name)',
    )


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='run_pipeline.py',
        description='Run the stages of a pipeline one after the other. What is finished is left '
        'out, what was stopped goes on, and what a change of settings makes out of date runs '
        'again.',
    )
    parser.add_argument(
        'config',
        nargs='?',
        help='config of a pipeline, such as configs/pipelines/*.py; with --images the pipeline '
        f'whose methods and networks are taken ({DEFAULT})',
    )
    parser.add_argument(
        '--from',
        dest='first',
        metavar='STAGE',
        help='run this stage and those that follow again, finished or not',
    )
    parser.add_argument('--until', dest='last', metavar='STAGE', help='stop after this stage')
    parser.add_argument('--work-dir', help='folder of all results (work_dirs/{config})')
    parser.add_argument(
        '--dry-run', action='store_true', help='print what would be done, and do nothing'
    )
    parser.add_argument(
        '--seed', type=number(int, 0, 2**32 - 1), help='of all trainings (that of the config)'
    )
    add_worker_option(parser)
    add_common_options(parser)
    add_photograph_options(parser)
    return parser


def read_config(args: argparse.Namespace) -> tuple[Config, Path]:
    """Return the pipeline that the command line names, and the folder of its results.

    Args:
        args: Of the command line.

    Raises:
        UsageError: the options do not fit together; a file is missing or wrong.
    """
    photographs = dict(images=args.images, labels=args.labels, masks=args.masks)
    if args.images and args.labels:
        config = args.config or str(TOOLS.parent / DEFAULT)
        cfg = read_pipeline(config, args.cfg_options)
        work_dir = args.work_dir or own_work_dir(config, args.images)
        cfg = own_pipeline(
            cfg,
            **photographs,
            classes=args.classes,
            work_dir=work_dir,
            tools=TOOLS,
            workers=args.workers,
            say=say,
        )
        return cfg, Path(work_dir)
    if any(photographs.values()) or args.classes:
        raise UsageError('Photographs of your own need both --images and --labels.')
    if args.config is None:
        raise UsageError('Give the config of a pipeline, or --images and --labels.')
    cfg = read_pipeline(args.config, args.cfg_options)
    return cfg, Path(args.work_dir or Path('work_dirs') / Path(args.config).stem)


def say_how_long(pipeline: Pipeline, cfg: Config, workers: int) -> None:
    """Print how long the stages take together.

    Args:
        pipeline: The pipeline.
        cfg: Its config, with the number of the photographs and their usual size.
        workers: Number of processes.
    """
    seconds, unknown = estimate(pipeline, cfg.num_images, tuple(cfg.image_size), workers)
    if not seconds:
        return
    rest = f', without {", ".join(unknown)}' if unknown else ''
    say(f'What is to do takes about {max(round(seconds / 60), 1)} minutes on this machine{rest}.')


def main(args: argparse.Namespace) -> None:
    """Run what the arguments say, or say what would be run."""
    check_system()
    world = join_world('none' if args.dry_run else args.launcher)
    if world.rank:
        follow(TOOLS, world)
        return
    cfg, work_dir = read_config(args)
    pipeline = Pipeline(
        cfg,
        work_dir,
        TOOLS,
        seed=args.seed,
        workers=args.workers,
        processes=world.size,
    )
    if args.dry_run:
        show_plan(pipeline, args.first, args.last)
    else:
        if 'image_size' in cfg:
            say_how_long(pipeline, cfg, args.workers)
        run_pipeline(pipeline, first=args.first, last=args.last, world=world)


if __name__ == '__main__':
    run_tool(make_parser(), main)
