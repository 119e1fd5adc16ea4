"""Segment pictures, a folder of them or a video with a trained model."""

from __future__ import annotations

import argparse
import os
from typing import Any

from mmwsss.apis import ImageNetInferencer, WSSSInferencer
from mmwsss.apis.map_refiner import SETTINGS
from mmwsss.apis.picture_tags import EveryPicture
from mmwsss.apis.wsss_inferencer import DTYPES
from mmwsss.datasets.class_names import class_names
from mmwsss.datasets.image_labels import read_tag_names
from mmwsss.engine.broken_entries import add_skip_option, end_with
from mmwsss.engine.launch import UsageError, run_tool
from mmwsss.utils import number, short_list

from mmengine.config import DictAction

TAG_FILES = ('.csv', '.json', '.npy', '.txt', '.xml')


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the model and how it runs.

    Args:
        parser: Parser of the tool.
    """
    group = parser.add_argument_group('model')
    group.add_argument(
        'config', nargs='?', help='config file, or the name of a config of this project'
    )
    group.add_argument('checkpoint', nargs='?', help='file or address of the weights')
    group.add_argument(
        '--work-dir',
        metavar='DIR',
        help='of a pipeline, whose final model is taken, or of a training; in place of config and '
        'checkpoint',
    )
    group.add_argument(
        '--classes',
        nargs='+',
        metavar='CLASS',
        help='names of the classes, where neither the checkpoint nor the config has them: voc, '
        'coco, a file with one name a line, or the names',
    )
    group.add_argument('--tta', action='store_true', help='test-time augmentation')
    group.add_argument('--device', help='such as cuda:1 or cpu (the GPU if there is one)')
    group.add_argument(
        '--batch-size', type=number(int, 1), default=1, help='pictures at once, of one size (1)'
    )
    group.add_argument(
        '--amp',
        nargs='?',
        const='fp16',
        choices=list(DTYPES),
        help='automatic mixed precision (fp16 if no type is named; bf16 for CPUs)',
    )
    group.add_argument(
        '--channels-last', action='store_true', help='layout in which GPUs convolve faster'
    )
    group.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='set entries of the config, such as model.test_cfg.bg_score=0.3',
    )


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='infer.py',
        description='Segment pictures: a mask and an overlay of each, and maps where they are '
        'wanted. A run that was stopped goes on where it was: a picture whose files are there is '
        'left out.',
    )
    parser.add_argument(
        'input', help='picture, folder with its subfolders, pattern in quotes, video or address'
    )
    add_model_options(parser)
    group = parser.add_argument_group('results')
    group.add_argument('--out-dir', required=True, help='folder for masks, overlays and maps')
    group.add_argument(
        '--tags',
        nargs='+',
        metavar='TAG',
        help='for class activation maps: the classes that the pictures show, or one file of '
        'image-level labels, CSV or JSON, or any source of tags; without a model, classes of '
        "ImageNet, for which its classifier's maps are taken",
    )
    group.add_argument(
        '--refine', choices=list(SETTINGS), help='make maps follow the colours of the picture'
    )
    group.add_argument(
        '--stride', type=number(int, 1), default=1, help='of the frames of a video (1)'
    )
    group.add_argument('--cams', action='store_true', help='write class activation maps, too')
    group.add_argument(
        '--heat-maps', action='store_true', help='write pictures of the maps, and the maps'
    )
    group.add_argument(
        '--opacity', type=number(float, 0, 1), default=0.6, help='of the colours, 0 to 1 (0.6)'
    )
    group.add_argument('--no-names', action='store_true', help='overlays without names of classes')
    group.add_argument('--overwrite', action='store_true', help='make existing files again')
    add_skip_option(group, 'pictures')
    return parser


def read_tags(words: list[str] | None) -> EveryPicture | str | None:
    """Return the tags that the command line names: those of every picture, or their source.

    Args:
        words: Of ``--tags``.
    """
    if words is None:
        return None
    source = words[0]
    known = os.path.exists(source) or os.sep in source or source.lower().endswith(TAG_FILES)
    return source if len(words) == 1 and known else EveryPicture(words)


def make_inferencer(args: argparse.Namespace, tags: EveryPicture | str | None) -> WSSSInferencer:
    """Return the model that the command line names, or ImageNet's classifier for the tags.

    Args:
        args: Of the command line.
        tags: What its tags are.

    Raises:
        UsageError: it names neither a model nor tags; and others, see :class:`WSSSInferencer`.
    """
    options: dict[str, Any] = dict(
        device=args.device,
        tta=args.tta,
        amp=args.amp,
        channels_last=args.channels_last,
        refine=args.refine,
        cfg_options=args.cfg_options,
    )
    if args.config or args.checkpoint or args.work_dir:
        options['classes'] = class_names(args.classes) if args.classes else None
        return WSSSInferencer(args.config, args.checkpoint, work_dir=args.work_dir, **options)
    if tags is None:
        raise UsageError(
            'Give a config and a checkpoint, or the work dir of a pipeline, or --tags alone: '
            'for classes of ImageNet no model is needed.'
        )
    classes = tags if isinstance(tags, EveryPicture) else read_tag_names(tags)
    inferencer = ImageNetInferencer(classes, **options)
    numbers = (f'{i} {name}' for i, name in enumerate(inferencer.classes.classes))
    print(f'Classifier of ImageNet; in the masks {short_list(numbers, 256)}.')
    return inferencer


def infer(args: argparse.Namespace) -> None:
    """Segment what is missing, and say how many pictures that were."""
    tags = read_tags(args.tags)
    inferencer = make_inferencer(args, tags)
    made = kept = 0
    broken = []
    for result in inferencer.stream(
        args.input,
        batch_size=args.batch_size,
        tags=tags,
        stride=args.stride,
        out_dir=args.out_dir,
        overwrite=args.overwrite,
        cams=args.cams,
        heat_maps=args.heat_maps,
        skip_broken=args.skip_broken,
        opacity=args.opacity,
        with_labels=not args.no_names,
    ):
        if result.problem is not None:
            broken.append(result.problem)
        elif result.mask is None:
            kept += 1
        else:
            made += 1
    note = f', {kept} were there already (--overwrite makes them again)' if kept else ''
    print(f'{made} pictures segmented into {args.out_dir}{note}.')
    end_with(broken, 'pictures')


if __name__ == '__main__':
    run_tool(make_parser(), infer)
