"""Images of any data set with the masks of a folder."""

import shutil

import numpy as np
import pytest
from mmseg.registry import DATASETS

from mmwsss.datasets import PseudoMaskDataset
from tests.weak_data import save_mask

pytestmark = pytest.mark.stack
STEPS = [dict(type='LoadImageChecked'), dict(type='LoadMaskChecked'), dict(type='PackSegInputs')]


def write_masks(folder, names, value=3):
    for name in names:
        save_mask(folder / f'{name}.png', np.full((32, 48), value, np.uint8))
    return str(folder)


@pytest.fixture
def masks(voc_dir):
    """Pseudo masks of the four images; the true ones are gone."""
    shutil.rmtree(voc_dir / 'SegmentationClass')
    return write_masks(voc_dir.parent / 'pseudo', [f'2007_{i:06d}' for i in range(4)])


def build(voc_dir, masks, dataset=None, **kwargs):
    images = dict(type='ImageLevelVOCDataset', data_root=str(voc_dir), ann_file='train_aug')
    data_prefix = dict(seg_map_path=masks)
    return PseudoMaskDataset(dataset or images, data_prefix=data_prefix, **kwargs)


def mmseg_voc(voc_dir):
    return dict(
        type='PascalVOCDataset',
        data_root=str(voc_dir),
        ann_file='ImageSets/Segmentation/train_aug.txt',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
    )


@pytest.mark.parametrize('theirs', [False, True])
def test_sample_has_the_image_and_its_pseudo_mask(voc_dir, masks, theirs):
    dataset = build(voc_dir, masks, mmseg_voc(voc_dir) if theirs else None, pipeline=STEPS)
    assert len(dataset) == 4
    assert len(dataset.metainfo['classes']) == len(dataset.metainfo['palette']) == 21
    for packed in (dataset[i] for i in range(4)):
        meta = packed['data_samples'].metainfo
        assert meta['seg_map_path'].startswith(masks)
        assert meta['seg_map_path'].rpartition('/')[2][:-4] in meta['img_path']
        assert packed['data_samples'].gt_sem_seg.data.unique().tolist() == [3]
        assert packed['inputs'].shape == (3, 32, 48)


def test_masks_of_some_classes_are_not_mapped_again(voc_dir, masks):
    classes = ('background', 'person', 'cat', 'dog')
    images = dict(
        type='ImageLevelVOCDataset',
        data_root=str(voc_dir),
        ann_file='train',
        metainfo=dict(classes=classes),
    )
    dataset = build(voc_dir, masks, images, pipeline=STEPS)
    assert dataset.metainfo['classes'] == classes
    assert dataset[0]['data_samples'].gt_sem_seg.data.unique().tolist() == [3]


def test_value_that_is_no_class_is_refused(voc_dir, masks):
    write_masks(voc_dir.parent / 'pseudo', ['2007_000000'], value=21)
    dataset = build(voc_dir, masks, pipeline=STEPS)
    with pytest.raises(ValueError, match=r'2007_000000.png holds the values \[21\]'):
        dataset[0]


def test_missing_folder_is_named_at_once(voc_dir):
    with pytest.raises(
        FileNotFoundError, match='the folder of pseudo masks nowhere does not exist'
    ):
        build(voc_dir, 'nowhere')


def test_missing_masks_are_named_at_once(voc_dir, masks):
    (voc_dir.parent / 'pseudo/2007_000002.png').unlink()
    message = rf'1 of 4 images have no pseudo mask in {masks} \(2007_000002.png\)'
    with pytest.raises(FileNotFoundError, match=message):
        build(voc_dir, masks)


def test_folder_has_to_be_named(voc_dir):
    with pytest.raises(ValueError, match="set data_prefix\\['seg_map_path'\\]"):
        build(voc_dir, None)


def test_images_without_tags_need_no_mask(coco_dir):
    names = [f'COCO_train2014_{i:012d}' for i in range(1, 5)]
    images = dict(
        type='ImageLevelCOCODataset',
        data_root=str(coco_dir),
        ann_file='annotations/instances_train2014.json',
        data_prefix=dict(img_path='train2014'),
        filter_cfg=dict(filter_empty_gt=True),
    )
    masks = write_masks(coco_dir / 'pseudo', names)
    dataset = build(coco_dir, masks, images, pipeline=STEPS, indices=2)
    assert len(dataset) == 2
    assert dataset[1]['data_samples'].gt_sem_seg.data.shape == (1, 32, 48)


def test_is_registered(voc_dir, masks):
    images = mmseg_voc(voc_dir)
    cfg = dict(type='PseudoMaskDataset', dataset=images, data_prefix=dict(seg_map_path=masks))
    assert len(DATASETS.build(cfg)) == 4
    assert images == mmseg_voc(voc_dir)
