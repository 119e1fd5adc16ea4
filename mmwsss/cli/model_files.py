"""Runs of a model that write one file an image, on any number of processes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.dist import broadcast_object_list, is_main_process

from mmwsss.cli.fitting import check_classes, load_fitting
from mmwsss.cli.launch import build_runner, prepare_distributed
from mmwsss.datasets import image_id
from mmwsss.errors import UsageError
from mmwsss.utils import remove_stale

MASK_LOADERS = ('LoadAnnotations', 'LoadMaskChecked')


def add_writing_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that such tools share.

    Args:
        parser: Parser of the tool.
    """
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='file or address of the weights')
    parser.add_argument(
        '--split',
        help="list of images: a file, a path below the data set's data_root, or the name of a "
        "list beside the config's, such as train (default: that of test_dataloader)",
    )
    parser.add_argument('--out-dir', required=True, help='folder for the files')
    parser.add_argument('--overwrite', action='store_true', help='make existing files again')
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision')
    parser.add_argument('--work-dir', help='folder of logs (work_dirs/{config})')


def without_masks(pipeline: list) -> list:
    """Return a pipeline without the transforms that load masks, nested ones included.

    Args:
        pipeline: Configs of transforms; they are not changed.

    Example:
        >>> without_masks([dict(type='LoadMaskChecked'), dict(type='PackWeakInputs')])
        [{'type': 'PackWeakInputs'}]
    """
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


def set_views(cfg: Config, option: str) -> None:
    """Make the model see the views of ``tta_pipeline`` of each image.

    Args:
        cfg: Config, changed in place.
        option: How to do without, for errors.

    Raises:
        UsageError: the config has none.
    """
    missing = [key for key in ('tta_pipeline', 'tta_model') if not cfg.get(key)]
    if missing:
        raise UsageError(
            f'The config {cfg.filename} has no {" and no ".join(missing)}; add what is missing or '
            f'{option}.'
        )
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.model = dict(cfg.tta_model, module=cfg.model)


def set_writer(cfg: Config, args: argparse.Namespace, writer: dict) -> None:
    """Turn a config that evaluates into one that writes files.

    Args:
        cfg: Config, changed in place.
        args: ``split`` and ``amp``.
        writer: Config of the metric that writes.
    """
    cfg.load_from, cfg.resume = None, False
    dataset = cfg.test_dataloader.dataset
    if args.split is not None:
        dataset.ann_file = find_split(args.split, dataset)
    dataset.pipeline = without_masks(dataset.pipeline)
    # one image at a time: neither what it is batched with nor a convolution that won a race
    # may change its file
    cfg.test_dataloader.batch_size = 1
    cfg.setdefault('env_cfg', {})['cudnn_benchmark'] = False
    # no image twice, however many processes there are
    cfg.test_dataloader.sampler = dict(type='DefaultSampler', shuffle=False, round_up=False)
    cfg.test_cfg = dict(type='TestLoop', fp16=args.amp)
    cfg.test_evaluator = writer


def unfinished(dataset: BaseDataset, out_dir: Path, suffix: str = '.npz') -> list[int]:
    """Return the positions of the images whose file is not there.

    Args:
        dataset: The images.
        out_dir: Folder of the files, which need not exist.
        suffix: Of the files.

    Raises:
        UsageError: two images would have the same file.
    """
    paths = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
    owners: dict[str, str] = {}
    for path in paths:
        owner = owners.setdefault(image_id(path) + suffix, path)
        if owner != path:
            raise UsageError(
                f'{owner} and {path} would have the same file in {out_dir}: rename one, or put '
                'them into different splits.'
            )
    there = set(os.listdir(out_dir)) if out_dir.is_dir() else set()
    return [i for i, path in enumerate(paths) if image_id(path) + suffix not in there]


def find_work(
    dataset: BaseDataset, out_dir: str, *, suffix: str = '.npz', overwrite: bool = False
) -> list[int]:
    """Let the first process say what there is to do: the others may already see its files.

    Args:
        dataset: The images.
        out_dir: Folder of the files.
        suffix: Of the files.
        overwrite: Whether files that are there are made again.

    Raises:
        UsageError: see :func:`unfinished`.
    """
    work: list[Any] = [None]
    if is_main_process():
        try:
            remove_stale(out_dir)
            todo = unfinished(dataset, Path(out_dir), suffix)
            work = [list(range(len(dataset))) if overwrite else todo]
        except UsageError as error:
            work = [error]
    broadcast_object_list(work)
    if isinstance(work[0], UsageError):
        raise work[0]
    return work[0]


def write_files(
    cfg: Config,
    args: argparse.Namespace,
    *,
    suffix: str = '.npz',
    check: Callable[[Sequence[str]], None] | None = None,
) -> None:
    """Write the files that are missing, and say how many that were.

    Args:
        cfg: Config that :func:`set_writer` has completed.
        args: ``checkpoint``, ``out_dir`` and ``overwrite``.
        suffix: Of the files.
        check: Gets the paths of the images whose file is missing, before the model runs.

    Raises:
        UsageError: the data set is none of single images, or two have one name.
    """
    prepare_distributed(cfg)
    runner = build_runner(cfg)
    loop = runner.test_loop
    dataset = loop.dataloader.dataset
    if not isinstance(dataset, BaseDataset):
        raise UsageError(
            f'The test data set is a {type(dataset).__name__} where a plain one is needed: run '
            'the tool once for each.'
        )
    check_classes(runner, loop, 'test_dataloader')
    total = len(dataset)
    todo = find_work(dataset, args.out_dir, suffix=suffix, overwrite=args.overwrite)
    if check is not None:
        check([dataset.get_data_info(i)['img_path'] for i in todo])
    written = 0
    if todo:
        dataset.get_subset_(todo)
        # again, because a sampler keeps the number of images that it was made for
        loop.dataloader = runner.build_dataloader(dict(cfg.test_dataloader, dataset=dataset))
        load_fitting(runner, args.checkpoint)
        written = runner.test().get('files', len(todo))
    kept = total - len(todo)
    note = f', {kept} were there already (--overwrite makes them again)' if kept else ''
    runner.logger.info(f'{written} files written to {args.out_dir}{note}.')
