"""Write the class activation maps of a split, one file an image, on any number of processes."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.dist import broadcast_object_list, is_main_process

from mmwsss.datasets import image_id
from mmwsss.engine.launch import (
    UsageError,
    add_common_options,
    build_runner,
    check_checkpoint,
    load_config,
    prepare_distributed,
    run_tool,
)
from mmwsss.evaluation.cam_files import DTYPES, SUFFIXES, cam_file_name
from mmwsss.utils import remove_stale

MASK_LOADERS = ('LoadAnnotations', 'LoadMaskChecked')


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='make_cams.py',
        description='Write the class activation maps of a split, one file an image. A run that '
        'was stopped goes on where it was: an image whose file is there is left out.',
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='file or address of the weights')
    parser.add_argument(
        '--split',
        help="list of images: a file, a path below the data set's data_root, or the name of a "
        "list beside the config's, such as train (default: that of test_dataloader)",
    )
    parser.add_argument('--out-dir', required=True, help='folder for the files')
    parser.add_argument(
        '--format',
        default='npz',
        choices=list(SUFFIXES),
        help="layout of the files, this project's (npz) or that of IRN or PSA; one layout a "
        'folder (npz)',
    )
    parser.add_argument(
        '--dtype', default='float16', choices=list(DTYPES), help='of maps in npz files (float16)'
    )
    parser.add_argument('--overwrite', action='store_true', help='make existing files again')
    parser.add_argument(
        '--single-scale', action='store_true', help='one view of each image, not those of TTA'
    )
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision')
    parser.add_argument('--work-dir', help='folder of logs (work_dirs/{config})')
    add_common_options(parser)
    return parser


def without_masks(pipeline: list) -> list:
    """Return a pipeline without the transforms that load masks, nested ones included."""
    kept = []
    for step in pipeline:
        if isinstance(step, list):
            # TestTimeAug makes a product of its lists: an empty one would leave no view
            if inner := without_masks(step):
                kept.append(inner)
        elif str(step['type']).rpartition('.')[2] not in MASK_LOADERS:
            step = dict(step)
            if 'transforms' in step:
                step['transforms'] = without_masks(step['transforms'])
            kept.append(step)
    return kept


def find_split(split: str, dataset: dict) -> str:
    """Return the ``ann_file`` that is meant by ``--split``.

    Args:
        split: A file; or the name of one beside the config's, its extension left out; or
            whatever else the data set understands.
        dataset: Config of the data set.
    """
    if os.path.isfile(split):
        return os.path.abspath(split)
    present = Path(dataset.get('ann_file', ''))
    beside = present.with_name(split + present.suffix) if present.suffix else Path(split)
    there = (Path(dataset.get('data_root') or '') / beside).is_file()
    return str(beside) if there else split


def set_views(cfg: Config) -> None:
    """Make the model see the views of ``tta_pipeline`` of each image.

    Raises:
        UsageError: the config has none.
    """
    missing = [key for key in ('tta_pipeline', 'tta_model') if not cfg.get(key)]
    if missing:
        raise UsageError(
            f'The config {cfg.filename} has no {" and no ".join(missing)}; add what is missing or '
            'use --single-scale.'
        )
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.model = dict(cfg.tta_model, module=cfg.model)


def set_writing(cfg: Config, args: argparse.Namespace) -> None:
    """Turn a config that evaluates into one that writes maps.

    Args:
        cfg: Config, changed in place.
        args: The command line.
    """
    cfg.load_from, cfg.resume = None, False
    if (cfg.model.get('test_cfg') or {}).get('output') == 'seg':
        cfg.model.test_cfg.output = 'cam'
    dataset = cfg.test_dataloader.dataset
    if args.split is not None:
        dataset.ann_file = find_split(args.split, dataset)
    if not args.single_scale:
        set_views(cfg)
    dataset.pipeline = without_masks(dataset.pipeline)
    # one image at a time: neither what it is batched with nor a convolution that won a race
    # may change its maps
    cfg.test_dataloader.batch_size = 1
    cfg.setdefault('env_cfg', {})['cudnn_benchmark'] = False
    # no image twice, however many processes there are
    cfg.test_dataloader.sampler = dict(type='DefaultSampler', shuffle=False, round_up=False)
    cfg.test_cfg = dict(type='TestLoop', fp16=args.amp)
    cfg.test_evaluator = dict(
        type='CAMWriter', out_dir=args.out_dir, layout=args.format, dtype=args.dtype
    )


def unfinished(dataset: BaseDataset, out_dir: Path, layout: str) -> list[int]:
    """Return the positions of the images whose file is not there.

    Raises:
        UsageError: two images would have the same file.
    """
    paths = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
    owners: dict[str, str] = {}
    for path in paths:
        owner = owners.setdefault(cam_file_name(image_id(path), layout), path)
        if owner != path:
            raise UsageError(
                f'{owner} and {path} would have the same file in {out_dir}: rename one, or put '
                'them into different splits.'
            )
    there = set(os.listdir(out_dir)) if out_dir.is_dir() else set()
    return [i for i, path in enumerate(paths) if cam_file_name(image_id(path), layout) not in there]


def find_work(dataset: BaseDataset, args: argparse.Namespace) -> list[int]:
    """Let the first process say what there is to do: the others may already see its files."""
    work: list[Any] = [None]
    if is_main_process():
        try:
            remove_stale(args.out_dir)
            todo = unfinished(dataset, Path(args.out_dir), args.format)
            work = [list(range(len(dataset))) if args.overwrite else todo]
        except UsageError as error:
            work = [error]
    broadcast_object_list(work)
    if isinstance(work[0], UsageError):
        raise work[0]
    return work[0]


def make_cams(args: argparse.Namespace) -> None:
    """Write what is missing, and say how many files that were."""
    cfg = load_config(args)
    check_checkpoint(args.checkpoint)
    set_writing(cfg, args)
    prepare_distributed(cfg)
    runner = build_runner(cfg)
    loop = runner.test_loop
    dataset = loop.dataloader.dataset
    if not isinstance(dataset, BaseDataset):
        raise UsageError(
            f'The test data set is a {type(dataset).__name__}; make_cams.py needs a plain one, '
            'run it once for each.'
        )
    total, todo = len(dataset), find_work(dataset, args)
    written = 0
    if todo:
        dataset.get_subset_(todo)
        # again, because a sampler keeps the number of images that it was made for
        loop.dataloader = runner.build_dataloader(dict(cfg.test_dataloader, dataset=dataset))
        # weights that do not fit would give maps, too, of noise
        runner.load_checkpoint(args.checkpoint, strict=True)
        written = runner.test()['files']
    kept = total - len(todo)
    note = f', {kept} were there already (--overwrite makes them again)' if kept else ''
    runner.logger.info(f'{written} files written to {args.out_dir}{note}.')


if __name__ == '__main__':
    run_tool(make_parser(), make_cams)
