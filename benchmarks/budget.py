"""How many images the trainings of a pipeline see, and other lengths for another number."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmwsss.pipeline.photographs.pipeline import read_template
from mmwsss.pipeline.photographs.schedule import set_schedule
from mmwsss.pipeline.schedules import ITERATIONS, schedule_options
from mmwsss.pipeline.settings import read_pipeline


def images_seen(cfg: Mapping[str, Any]) -> int:
    """Return how many images a training sees, one as often as it is in a batch.

    Args:
        cfg: Config of a training that counts iterations.

    Example:
        >>> cfg = dict(train_cfg=dict(max_iters=500), train_dataloader=dict(batch_size=16))
        >>> images_seen(cfg)
        8000
    """
    return cfg['train_cfg']['max_iters'] * cfg['train_dataloader']['batch_size']


def budget_options(
    path: str, tools: Path, total: int, num_photographs: int | None = None
) -> dict[str, int]:
    """Return the overrides of a pipeline with which its trainings see so many images together.

    All trainings become longer or shorter by one factor, and see at most half a batch more or less
    than their share.

    Args:
        path: Config of the pipeline.
        tools: Folder of the tools.
        total: Images that all trainings are to see.
        num_photographs: How many photographs the pipeline gets as those of one's own, None where
            it takes its own data set.

    Returns:
        Iterations of each training, by dotted key.

    Raises:
        UsageError: a config is missing or wrong.
    """
    trainings = {}
    for name, stage in read_pipeline(path).stages.items():
        if stage.type != 'Train':
            continue
        cfg, iters = read_template(stage, tools)
        if num_photographs is not None:
            set_schedule(cfg, num_photographs, iters)
        elif iters is not None:
            cfg.merge_from_dict(schedule_options(cfg, iters))
        trainings[name] = cfg
    factor = total / sum(images_seen(cfg) for cfg in trainings.values())
    return {
        f'stages.{name}.options.{ITERATIONS}': max(1, round(cfg.train_cfg.max_iters * factor))
        for name, cfg in trainings.items()
    }
