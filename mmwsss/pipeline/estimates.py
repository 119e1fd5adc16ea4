"""How long a pipeline will take, by trying a little of each stage on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmwsss.cli.mask_settings import CRF
from mmwsss.evaluation.pseudo_masks import pseudo_mask
from mmwsss.models.refiners import PAR, DenseCRF

from .manifests import MANIFEST
from .pipeline import Pipeline
from .tool_configs import find_dicts

# seconds until a tool has loaded its packages and its model
START = 9.0
# seconds to read and write the files of an image
FILES = 0.03
# a photograph shows one class or two
CLASSES = 2


def _seconds(function: Callable[[], Any], times: int = 2) -> float:
    """Return the shortest of some runs after one that is not measured."""
    function()
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - begin)
    return min(taken)


def _model(cfg: Config) -> Any:
    init_default_scope('mmseg')
    model = cfg.model.to_dict()
    # it reads the file of the image, which there is none of
    if (model.get('test_cfg') or {}).get('crf'):
        model['test_cfg']['crf'] = None
    for _, entry, key in _weights(model):
        entry[key] = None
    built = MODELS.build(model)
    return built.cuda() if torch.cuda.is_available() else built


def _weights(part: Any) -> Iterator[tuple[str, dict, str]]:
    """Iterate over all initial weights: none are needed to measure time."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key == 'init_cfg':
                yield key, part, key
            else:
                yield from _weights(value)
    elif isinstance(part, (list, tuple)):
        for value in part:
            yield from _weights(value)


def _sample(size: tuple[int, int], num_classes: int) -> SegDataSample:
    sample = SegDataSample()
    score = torch.zeros(num_classes - 1)
    score[:CLASSES] = 1
    sample.set_data(
        dict(
            gt_score=score,
            gt_label=score.nonzero()[:, 0],
            gt_sem_seg=PixelData(data=torch.zeros(1, *size, dtype=torch.int64)),
        )
    )
    sample.set_metainfo(
        dict(img_shape=size, ori_shape=size, pad_shape=size, valid_box=(0, 0, *size))
    )
    return sample


def training_seconds(cfg: Config, num_classes: int) -> float:
    """Return how long an iteration of a training takes.

    Args:
        cfg: Config of the training.
        num_classes: With the background.
    """
    model = _model(cfg).train()
    size = tuple(cfg.model.data_preprocessor.size)
    batch = cfg.train_dataloader.batch_size
    data = dict(
        inputs=[torch.zeros(3, *size, dtype=torch.uint8)] * batch,
        data_samples=[_sample(size, num_classes) for _ in range(batch)],
    )

    def step() -> None:
        found = model.data_preprocessor(data, training=True)
        losses = model(found['inputs'], found['data_samples'], mode='loss')
        model.parse_losses(losses)[0].backward()

    return _seconds(step)


def prediction_seconds(cfg: Config, size: tuple[int, int], num_classes: int, *, tta: bool) -> float:
    """Return how long the prediction of an image takes.

    Args:
        cfg: Config of the model.
        size: Height and width of the image.
        num_classes: With the background.
        tta: Whether all views of ``tta_pipeline`` are seen.
    """
    model = _model(cfg).eval()
    data = dict(
        inputs=[torch.zeros(3, *size, dtype=torch.uint8)],
        data_samples=[_sample(size, num_classes)],
    )

    def predict() -> None:
        with torch.no_grad():
            model.test_step(data)

    views = 1.0
    if tta:
        factors = [e['scale_factor'] for _, e in find_dicts(cfg.tta_pipeline, 'scale_factor')]
        flips = [e for _, e in find_dicts(cfg.tta_pipeline, 'prob') if e['type'] == 'RandomFlip']
        views = sum(factor**2 for factor in factors or [1.0]) * max(len(flips), 1)
    crf = cfg.model.get('test_cfg', {}).get('crf')
    return _seconds(predict) * views + (_crf_seconds(crf, size, num_classes) if crf else 0)


def _crf_seconds(crf: Any, size: tuple[int, int], num_classes: int) -> float:
    """Return how long a dense CRF takes for an image."""
    refiner = MODELS.build(crf.to_dict())
    images = torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8)
    probs = torch.rand(1, num_classes, *size).softmax(dim=1)
    return _seconds(lambda: refiner(images, probs), 1)


def _file_seconds(stage: Any, size: tuple[int, int]) -> float:
    """Return how long the files of an image take on one core."""
    image = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
    maps = torch.rand(CLASSES, *size)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        if stage.type == 'RefineMaps':
            par = PAR(**stage.par)
            return _seconds(lambda: par(image[None].float() / 255, maps[None]), 1)
        if not stage.crf:
            return 0.0
        settings = {k: v for k, v in CRF[stage.crf].items() if k != 'gt_prob'}
        keys = torch.arange(CLASSES).numpy()
        crf = DenseCRF(**settings)
        return _seconds(lambda: pseudo_mask(image, keys, maps, bg_scores=[0.4], crf=crf), 1)
    finally:
        torch.set_num_threads(before)


def stage_seconds(stage: Any, images: int, size: tuple[int, int], workers: int) -> float | None:
    """Return how long a stage will take, None where that is not known.

    Args:
        stage: Of a pipeline.
        images: Number of images.
        size: Height and width of a usual image.
        workers: Number of processes that work through files.
    """
    pipeline = stage.pipeline
    num_classes = pipeline.num_classes or len(pipeline.classes.classes)
    if stage.type == 'Train':
        cfg = stage.training()
        iters = stage.progress()[1]
        if iters is None or not {'decode_head', 'cam_head'} & set(cfg.model):
            return None
        return START + iters * training_seconds(cfg, num_classes)
    if stage.type in ('MakeCAMs', 'Test'):
        cfg = stage.model_config(stage.splits[0])
        tta = stage.entry.get('tta', not stage.entry.get('single_scale', False))
        each = prediction_seconds(cfg, size, num_classes, tta=tta)
        return START + images * (each + FILES)
    if stage.type in ('RefineMaps', 'MakePseudoMasks'):
        return START + images * (_file_seconds(stage, size) + FILES) / max(workers, 1)
    return None


def estimate(
    pipeline: Pipeline, images: int, size: tuple[int, int], workers: int
) -> tuple[float, list[str]]:
    """Return how long the unfinished stages of a pipeline will take, one after the other.

    A step of each training and the prediction of an image are run with random weights, which
    takes some seconds.

    Args:
        pipeline: The pipeline.
        images: Number of images.
        size: Height and width of a usual image in pixels.
        workers: Number of processes that work through files.

    Returns:
        Seconds, and the names of the stages that are not part of them.

    Raises:
        UsageError: the pipeline cannot work.
    """
    total, unknown = 0.0, []
    for stage in pipeline.stages.values():
        if (stage.folder / MANIFEST).is_file():
            continue
        seconds = stage_seconds(stage, images, size, workers)
        if seconds is None:
            unknown.append(stage.name)
        else:
            total += seconds
    return total, unknown
