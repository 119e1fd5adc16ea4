"""Configs of trainings, changed for other photographs and classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config

from mmwsss.cli.model_files import without_masks
from mmwsss.errors import UsageError

from .schedule import set_schedule

# variables of the originals that the entries of the config were made of
LEFT_OVER = (
    'work_dir',
    'launcher',
    'data_root',
    'dataset_type',
    'data_prefix',
    'filter_cfg',
    'crop_size',
    'scales',
    'test_size',
    'epoch',
    'freeze_iters',
    'train_pipeline',
    'eval_pipeline',
    'affinity_label_dir',
    'pseudo_mask_dir',
    'data_preprocessor',
    'norm_cfg',
    'vis_backends',
    'classes',
    'photographs',
    'schedule_images',
    'max_size',
)
CRF = 'DenseCRF'
SIZE_OF_CROP = 9 / 8
# what gives all photographs one size, as crops do
FITTING = ('ZoomIntoPart',)


@dataclass(frozen=True)
class OwnData:
    """Photographs that a config is to be changed for.

    Args:
        classes: Names, background first.
        images: Folder of the photographs.
        photographs: File with their names.
        num_images: How many there are.
        labels: Source of the tags.
        max_size: Largest length of the longer side in pixels.
        masks: Folder of true masks.
        masked: File with the names of the photographs that have one.
    """

    classes: Sequence[str]
    images: str
    photographs: str
    num_images: int
    labels: str
    max_size: int
    masks: str | None = None
    masked: str | None = None

    def dataset(self, **extra: Any) -> dict[str, Any]:
        """Return the config of the photographs.

        Args:
            **extra: Further arguments of the data set, or others in place of these.
        """
        return dict(
            type='ImageLevelFolderDataset',
            metainfo=dict(classes=tuple(self.classes)),
            ann_file=self.photographs,
            image_labels=self.labels,
            data_prefix=dict(img_path=self.images),
        ) | dict(extra)


def input_size(cfg: Config) -> int:
    """Return the side of the crops that a network is trained on.

    Args:
        cfg: Config of the training.

    Raises:
        UsageError: the config does not say it.
    """
    size = cfg.model.get('data_preprocessor', {}).get('size')
    if not size:
        raise UsageError(
            f'{cfg.filename}: model.data_preprocessor has no size, so it is not known how large '
            'photographs may be: add the size of the crops.'
        )
    return max(size)


def largest_size(cfg: Config) -> int:
    """Return how long the longer side of photographs may be.

    Args:
        cfg: Config of the training; its ``max_size`` where it has one, else 9/8 of its crops, as
            the photographs of VOC are 500 pixels long and the crops of most networks 448.

    Raises:
        UsageError: the config says neither.
    """
    return cfg.get('max_size') or int(input_size(cfg) * SIZE_OF_CROP)


def set_classes(model: Any, num_classes: int) -> None:
    """Give all heads of a model another number of classes.

    Args:
        model: Config of the model, changed in place.
        num_classes: With the background.

    Example:
        >>> model = dict(cam_head=dict(num_classes=21), auxiliary_head=[dict(num_classes=21)])
        >>> set_classes(model, 3)
        >>> model
        {'cam_head': {'num_classes': 3}, 'auxiliary_head': [{'num_classes': 3}]}
    """
    if isinstance(model, (list, tuple)):
        for part in model:
            set_classes(part, num_classes)
    elif isinstance(model, dict):
        for key, part in model.items():
            heads = part if isinstance(part, (list, tuple)) else [part]
            for head in heads if key.endswith('head') else ():
                if isinstance(head, dict) and 'num_classes' in head:
                    head['num_classes'] = num_classes
            set_classes(part, num_classes)


def with_crop(pipeline: Sequence[Mapping[str, Any]], crop: dict[str, Any]) -> list:
    """Return a pipeline that crops: photographs of different sizes make no batch.

    Args:
        pipeline: Configs of transforms.
        crop: Config of the transform, which goes before what makes labels of crops or packs.

    Example:
        >>> with_crop([dict(type='RandomFlip'), dict(type='PackWeakInputs')], dict(type='Crop'))
        [{'type': 'RandomFlip'}, {'type': 'Crop'}, {'type': 'PackWeakInputs'}]
    """
    steps = list(pipeline)
    kinds = [str(step['type']) for step in steps]
    if not any('Crop' in kind or kind in FITTING for kind in kinds):
        ends = [i for i, kind in enumerate(kinds) if kind.startswith(('Fuse', 'Pack'))]
        steps.insert(ends[0] if ends else len(steps), crop)
    return steps


def with_limit(pipeline: Sequence[Mapping[str, Any]], max_size: int) -> list:
    """Return a pipeline that makes larger photographs smaller once they are loaded.

    Args:
        pipeline: Configs of transforms.
        max_size: Largest length of the longer side in pixels.

    Example:
        >>> with_limit([dict(type='LoadImageChecked'), dict(type='PackSegInputs')], 500)[1]
        {'type': 'LimitLongSide', 'max_size': 500}
    """
    limit = dict(type='LimitLongSide', max_size=max_size)
    first = 1 if str(pipeline[0]['type']).startswith('LoadImage') else 0
    return [*pipeline[:first], limit, *pipeline[first:]]


def _own_dataset(dataset: Mapping[str, Any], data: OwnData, crop: dict[str, Any]) -> dict[str, Any]:
    """Return the data set of a training, wrappers such as ``PseudoMaskDataset`` kept."""
    extra = {}
    if 'pipeline' in dataset:
        extra['pipeline'] = with_crop(dataset['pipeline'], crop)
    if 'dataset' in dataset:
        return dict(dataset, dataset=_own_dataset(dataset['dataset'], data, crop), **extra)
    return data.dataset(**extra)


def set_training_data(cfg: Config, data: OwnData) -> None:
    """Let a config train on other photographs.

    Args:
        cfg: Config, changed in place.
        data: The photographs.
    """
    weak = cfg.model.data_preprocessor.type == 'WeakDataPreProcessor'
    side = input_size(cfg)
    crop = dict(type='CropWithValidBox' if weak else 'RandomCrop', crop_size=(side, side))
    cfg.train_dataloader.dataset = _own_dataset(cfg.train_dataloader.dataset, data, crop)
    for key in ('val_dataloader', 'val_evaluator', 'val_cfg'):
        cfg.pop(key, None)
    cfg.train_cfg.pop('val_interval', None)


def set_test_data(cfg: Config, data: OwnData, *, untagged: bool) -> None:
    """Let a config predict other photographs, and evaluate them where they have masks.

    Args:
        cfg: Config, changed in place.
        data: The photographs.
        untagged: Whether it is for pictures without tags and masks.
    """
    masks = None if untagged else data.masks

    def changed(pipeline: Sequence[Mapping[str, Any]]) -> list:
        limited = with_limit(pipeline, data.max_size)
        return without_masks(limited) if masks is None else limited

    for key in ('test_pipeline', 'tta_pipeline'):
        if cfg.get(key):
            cfg[key] = changed(cfg[key])
    extra: dict[str, Any] = {}
    if untagged:
        extra.update(ann_file='', image_labels=None)
        if 'cam_head' in cfg.model:
            cfg.model.setdefault('test_cfg', {})['use_image_labels'] = False
    if masks is not None:
        folders = dict(img_path=data.images, seg_map_path=masks)
        extra.update(ann_file=data.masked, data_prefix=folders)
    pipeline = changed(cfg.test_dataloader.dataset.pipeline)
    cfg.test_dataloader.dataset = data.dataset(pipeline=pipeline, test_mode=True, **extra)
    evaluator = cfg.get('test_evaluator')
    # none, or none that counts, stays so
    if masks is None and evaluator and evaluator.get('metrics', True):
        cfg.test_evaluator = dict(type='MaskMetric', format_only=True)
    crf = cfg.model.get('test_cfg', {}).get('crf')
    if crf and crf.type == CRF:
        crf.update(type=f'Limited{CRF}', max_size=data.max_size)


def own_config(cfg: Config, data: OwnData, *, untagged: bool, iters: int | None = None) -> Config:
    """Return the config of a training for other photographs.

    Args:
        cfg: Config of a training; it is not changed.
        data: The photographs.
        untagged: Whether its model is for pictures without tags, see :func:`set_test_data`.
        iters: Iterations, see :func:`set_schedule`.

    Raises:
        UsageError: the config cannot be changed.
    """
    cfg = deepcopy(cfg)
    set_schedule(cfg, data.num_images, iters)
    set_training_data(cfg, data)
    set_test_data(cfg, data, untagged=untagged)
    set_classes(cfg.model, len(data.classes))
    for key in LEFT_OVER:
        cfg.pop(key, None)
    return cfg
