"""The base of all image-level data sets: fields of an item, and bad input."""

import shutil

import pytest
import torch
from mmengine.dataset import ClassBalancedDataset
from mmseg.registry import DATASETS
from torch.utils.data import DataLoader

from mmwsss.datasets import ImageLevelDataset, LabelFileError
from tests.weak_data import make_folder, save_text

CLASSES = ('background', 'dog', 'person', 'cat')
META = {'classes': CLASSES}


def build(folder, **kwargs):
    arguments = {
        'data_root': str(folder),
        'data_prefix': {'img_path': 'images'},
        'image_labels': 'labels.csv',
        'metainfo': META,
        **kwargs,
    }
    return ImageLevelDataset(**arguments)


@pytest.fixture
def folder(tmp_path):
    """Three images: a dog and a person, nothing, a cat."""
    root = make_folder(tmp_path, {'a.jpg': 'person;dog', 'b.jpg': '', 'c.jpg': 'cat'})
    save_text(root / 'split.txt', '\ufeffc\r\n\r\na.jpg\r\n')
    return root


def test_every_field_of_an_item(folder):
    item = build(folder)[0]
    assert item == {
        'img_path': str(folder / 'images' / 'a.jpg'),
        'gt_label': [0, 1],
        'num_classes': 4,
        'label_map': None,
        'reduce_zero_label': False,
        'seg_fields': [],
        'sample_idx': 0,
    }


def test_masks_are_named_where_they_are_configured_and_need_not_exist(folder):
    dataset = build(folder, data_prefix={'img_path': 'images', 'seg_map_path': 'masks'})
    assert dataset[0]['seg_map_path'] == str(folder / 'masks' / 'a.png')


def test_none_switches_masks_off(folder):
    dataset = build(folder, data_prefix={'img_path': 'images', 'seg_map_path': None})
    assert 'seg_map_path' not in dataset[0]


def test_the_split_gives_the_order(folder):
    dataset = build(folder, ann_file='split.txt')
    assert [item['gt_label'] for item in dataset] == [[2], [0, 1]]


def test_label_source_may_lie_anywhere(folder, tmp_path):
    moved = shutil.move(folder / 'labels.csv', tmp_path / 'elsewhere.csv')
    assert len(build(folder, image_labels=str(moved))) == 3


def test_lazy_data_set_reads_nothing(folder):
    dataset = build(folder, ann_file='nothing.txt', lazy_init=True)
    assert dataset.metainfo['classes'] == CLASSES


def test_images_without_tags_can_be_dropped(folder):
    dataset = build(folder, filter_cfg={'filter_empty_gt': True})
    assert [item['gt_label'] for item in dataset] == [[0, 1], [2]]


def test_indices_take_a_part(folder):
    assert [item['gt_label'] for item in build(folder, indices=[2])] == [[2]]


def test_class_counts_and_categories(folder):
    dataset = build(folder)
    assert dataset.class_counts() == {'dog': 1, 'person': 1, 'cat': 1}
    assert [dataset.get_cat_ids(i) for i in range(3)] == [[0, 1], [], [2]]


def test_class_balanced_sampling_works(folder):
    dataset = ClassBalancedDataset(
        build(folder, filter_cfg={'filter_empty_gt': True}), oversample_thr=0.9
    )
    assert len(dataset) > 2


def test_is_registered_in_mmseg():
    assert DATASETS.get('ImageLevelDataset') is ImageLevelDataset


@pytest.mark.parametrize('image_labels', [None, ''])
def test_labels_are_needed_and_never_made_from_masks(folder, image_labels):
    prefix = {'img_path': 'images', 'seg_map_path': 'masks'}
    with pytest.raises(ValueError, match='ImageLevelDataset: received image_labels=.*converters'):
        build(folder, image_labels=image_labels, data_prefix=prefix)


@pytest.mark.parametrize('classes', [None, (), ('background',), ('dog', 'person', 'cat')], ids=str)
def test_the_background_comes_first(folder, classes):
    with pytest.raises(ValueError, match=r'received classes=\(.*set metainfo=dict\(classes='):
        build(folder, metainfo=None if classes is None else {'classes': classes})


def test_a_class_named_twice_is_refused(folder):
    with pytest.raises(ValueError, match='classes names dog more than once'):
        build(folder, metainfo={'classes': ('background', 'dog', 'dog')})


def test_reduce_zero_label_is_refused(folder):
    with pytest.raises(ValueError, match='received reduce_zero_label=True but class 0'):
        build(folder, reduce_zero_label=True)


@pytest.mark.parametrize(
    'lines, error, match',
    [
        ('', ValueError, r'split\.txt names no image: check ann_file'),
        ('a\nb\na.jpg\n', ValueError, r"split\.txt names 'a' twice \(line 1 and line 3\)"),
        ('a\nx\ny\n', FileNotFoundError, r'2 of 3 images of .*split\.txt do not exist \(.*x\.jpg'),
    ],
    ids=['empty', 'twice', 'missing'],
)
def test_bad_splits_are_named(folder, lines, error, match):
    save_text(folder / 'split.txt', lines)
    with pytest.raises(error, match=match):
        build(folder, ann_file='split.txt')


def test_missing_split_is_named(folder):
    with pytest.raises(
        FileNotFoundError, match=r'split file .*none\.txt cannot be read .*ann_file'
    ):
        build(folder, ann_file='none.txt')


def test_empty_folder_is_named(folder):
    with pytest.raises(ValueError, match="images names no image: .*img_suffix='.bmp'"):
        build(folder, img_suffix='.bmp')


def test_images_without_entry_are_counted_and_named(folder):
    save_text(folder / 'labels.csv', 'image,labels\nb,dog\n')
    with pytest.raises(
        LabelFileError, match=r'labels\.csv: no entry for 2 of 3 images \(a, c\): add them'
    ):
        build(folder)


def test_nothing_left_after_the_filter_is_named(folder):
    save_text(folder / 'labels.csv', 'image,labels\na,\nb,\nc,\n')
    with pytest.raises(ValueError, match='none of the 3 images .* has a tag'):
        build(folder, filter_cfg={'filter_empty_gt': True})


def test_missing_label_source_is_named(folder):
    with pytest.raises(LabelFileError, match=r'animals/tags\.csv: does not exist'):
        build(folder, image_labels='tags.csv')


def test_a_subclass_may_use_some_of_its_classes(folder):
    class Animals(ImageLevelDataset):
        METAINFO = {'classes': CLASSES, 'palette': [[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0]]}

    dataset = Animals(
        data_root=str(folder),
        data_prefix={'img_path': 'images'},
        image_labels='labels.csv',
        metainfo={'classes': ('background', 'cat', 'person')},
    )
    assert [item['gt_label'] for item in dataset] == [[1], [], [0]]
    assert dataset[0]['num_classes'] == 3
    assert dataset[0]['label_map'] == {0: 0, 1: 255, 2: 2, 3: 1}


def test_workers_get_the_items(folder):
    pipeline = [{'type': 'LoadImageChecked'}, {'type': 'PackWeakInputs'}]
    loader = DataLoader(build(folder, pipeline=pipeline), num_workers=1, collate_fn=list)
    scores = torch.stack([batch[0]['data_samples'].gt_score for batch in loader])
    assert scores.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
