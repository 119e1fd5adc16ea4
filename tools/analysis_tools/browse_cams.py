"""Show images with their maps, pseudo masks, predictions and true masks on one HTML page."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

from mmwsss.cli.evaluation_tools import unwritable
from mmwsss.cli.launch import load_config, run_tool
from mmwsss.cli.mask_tools import (
    add_class_options,
    add_worker_option,
    chosen_classes,
    work_through,
)
from mmwsss.datasets.class_palettes import ClassPalette
from mmwsss.errors import UsageError
from mmwsss.pipeline.browse import (
    Sources,
    config_classes,
    find_tasks,
    folder_sources,
    pipeline_sources,
    with_best_scores,
)
from mmwsss.visualization.cam_rows import (
    BEST,
    LISTED,
    WORST,
    Column,
    ImageFiles,
    ImageScores,
    make_row,
    order_names,
    score_image,
    write_cam_page,
)
from mmwsss.visualization.report_data import MAPS, MASKS, PREDICTIONS
from mmwsss.visualization.report_pictures import spread

FOLDERS = dict(cams=MAPS, walks=MAPS, masks=MASKS, predictions=PREDICTIONS)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='browse_cams.py',
        description='Write an HTML page with a row an image: the image, the map of each of its '
        'classes, walks, pseudo mask, prediction and true mask. The page holds its pictures; '
        'images can be filtered by class and ordered by IoU in it.',
    )
    parser.add_argument('work_dir', nargs='?', help='--work-dir of a pipeline, or name folders')
    parser.add_argument('--out', required=True, metavar='HTML', help='the page')
    parser.add_argument('--split', help='of a pipeline (that of its last figure)')
    for name, kind in FOLDERS.items():
        suffix = '.npz' if kind == MAPS else 'PNG'
        parser.add_argument(f'--{name}', metavar='DIR', help=f'folder of {name} ({suffix})')
    parser.add_argument('--images', metavar='DIR', help='folder of the images, subfolders too')
    parser.add_argument('--gt', metavar='DIR', help='folder of true masks of some or all (PNG)')
    parser.add_argument('--config', help='take the classes and colours of its data set')
    add_class_options(parser)
    parser.set_defaults(classes=None, cfg_options=None, launcher='none')
    parser.add_argument('--number', type=int, default=50, help='of images, at most (50)')
    parser.add_argument('--class', dest='tag', metavar='NAME', help='images with this class alone')
    parser.add_argument(
        '--sort',
        choices=[LISTED, WORST, BEST],
        default=LISTED,
        help='listed: by name, evenly spread (default); or those with the lowest or highest IoU',
    )
    parser.add_argument('--by', metavar='COLUMN', help='whose IoU counts (the last one that has)')
    add_worker_option(parser)
    return parser


def read_sources(args: argparse.Namespace) -> tuple[Sources, ClassPalette]:
    """Return the folders and the classes that the command line names.

    Args:
        args: The command line.

    Raises:
        UsageError: the arguments do not fit together, or something is missing.
    """
    folders = {name: (kind, getattr(args, name)) for name, kind in FOLDERS.items()}
    if args.work_dir is None:
        sources = folder_sources(folders, args.images, 'Maps and masks')
    elif any(path for _, path in folders.values()):
        raise UsageError('Give the work dir of a pipeline or folders, not both.')
    else:
        sources = pipeline_sources(args.work_dir, args.split, args.images)
    if args.gt is not None:
        sources = sources._replace(truth=args.gt)
    if args.config is not None:
        args.work_dir = None  # which is the pipeline's
        return sources, config_classes(load_config(args))
    if args.classes or args.data_root:
        return sources, chosen_classes(args)
    if sources.classes is None:
        raise UsageError('Name the classes with --classes, --data-root or --config.')
    return sources, sources.classes


def choose(
    args: argparse.Namespace,
    tasks: Sequence[ImageFiles],
    columns: Sequence[Column],
    classes: Sequence[str],
) -> tuple[list[str], int, str, int | None]:
    """Return the images to show, how many there are, whose IoU counts, and the class.

    Args:
        args: ``number``, ``tag``, ``sort``, ``by`` and ``workers``.
        tasks: All images.
        columns: What their files are.
        classes: Names, background first.

    Raises:
        UsageError: there is no such class or column, or no image to show.
    """
    if args.number < 1:
        raise UsageError(f'--number must be at least 1, got {args.number}.')
    if args.tag is not None and args.tag not in classes[1:]:
        raise UsageError(f'--class {args.tag}: the classes are {", ".join(classes[1:])}.')
    tag = None if args.tag is None else list(classes).index(args.tag) - 1
    scored = [c.title for c in columns if c.kind != MAPS or c.bg_score is not None]
    scored = scored if any(task.truth for task in tasks) else []
    by = args.by or (scored or [''])[-1]
    if (args.sort != LISTED or args.by) and by not in scored:
        raise UsageError(
            f'--sort and --by need the IoU of a column; these have one: {", ".join(scored)}.'
            if scored
            else f'--sort {args.sort} needs true masks: give --gt.'
        )
    if tag is None and args.sort == LISTED:
        names = [task.name for task in tasks]
    else:
        function = partial(score_image, columns=columns, num_classes=len(classes))
        found = work_through(function, tasks, workers=args.workers, description='comparing')
        scores: dict[str, ImageScores] = dict(zip([t.name for t in tasks], found, strict=True))
        names = order_names(scores, args.sort, by, tag)
    if not names:
        raise UsageError(f'No image of {len(tasks)} has the class {args.tag} and an IoU to show.')
    chosen = spread(names, args.number) if args.sort == LISTED else names[: args.number]
    return chosen, len(names), by, tag


def browse_cams(args: argparse.Namespace) -> None:
    """Read, choose, paint and write."""
    sources, (classes, palette) = read_sources(args)
    tasks = find_tasks(sources)
    columns = sources.columns
    if sources.truth is not None:
        columns = with_best_scores(columns, tasks, sources.truth, classes, workers=args.workers)
    names, total, by, tag = choose(args, tasks, columns, classes)
    by_name = {task.name: task for task in tasks}
    function = partial(make_row, columns=columns, palette=palette)
    shown = [by_name[name] for name in names]
    rows = list(work_through(function, shown, workers=args.workers, description='painting'))
    contents = dict(title=sources.title, classes=classes, palette=palette, total=total)
    try:
        write_cam_page(args.out, rows, columns, order=args.sort, by=by, tag=tag, **contents)
    except OSError as error:
        raise unwritable('--out', args.out, error) from error
    print(f'{len(rows)} of {total} images in {args.out}.')


if __name__ == '__main__':
    run_tool(make_parser(), browse_cams)
