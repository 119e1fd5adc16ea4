"""What a packed sample holds."""

import pickle

import numpy as np
import pytest
import torch

from mmwsss.datasets import PackWeakInputs


def results(**kwargs):
    return {
        'img': np.zeros((4, 6, 3), np.uint8),
        'img_path': 'x/2007_000032.jpg',
        'ori_shape': (8, 12),
        'img_shape': (4, 6),
        'gt_label': [0, 2],
        'num_classes': 4,
        **kwargs,
    }


def test_tags_are_plain_tensors():
    packed = PackWeakInputs()(results())
    sample = packed['data_samples']
    assert packed['inputs'].shape == (3, 4, 6) and packed['inputs'].dtype == torch.uint8
    assert sample.gt_label.dtype == torch.int64 and sample.gt_label.tolist() == [0, 2]
    assert sample.gt_score.dtype == torch.float32 and sample.gt_score.tolist() == [1, 0, 1]
    assert 'gt_label' not in sample.metainfo and 'gt_sem_seg' not in sample


def test_no_tags_are_tags_too():
    sample = PackWeakInputs()(results(gt_label=[]))['data_samples']
    assert sample.gt_label.shape == (0,) and sample.gt_score.tolist() == [0, 0, 0]


def test_without_labels_there_are_none():
    foreign = results()
    del foreign['gt_label']
    assert 'gt_score' not in PackWeakInputs()(foreign)['data_samples']


def test_metainfo():
    sample = PackWeakInputs()(results(flip=True))['data_samples']
    assert sample.metainfo == {
        'img_path': 'x/2007_000032.jpg',
        'img_id': '2007_000032',
        'ori_shape': (8, 12),
        'img_shape': (4, 6),
        'flip': True,
        'valid_box': (0, 0, 4, 6),
    }


def test_the_box_of_a_crop_is_kept():
    sample = PackWeakInputs()(results(valid_box=(1, 0, 3, 6)))['data_samples']
    assert sample.valid_box == (1, 0, 3, 6)


def test_an_image_without_a_file_has_no_id():
    assert 'img_id' not in PackWeakInputs()(results(img_path=None))['data_samples']


def test_a_loaded_mask_is_packed():
    mask = np.array([[0, 255]], np.uint8)
    sample = PackWeakInputs()(results(gt_seg_map=mask))['data_samples']
    assert sample.gt_sem_seg.data.tolist() == [[[0, 255]]]


def test_the_data_info_is_not_changed():
    before = results()
    keys = set(before)
    PackWeakInputs()(before)
    assert set(before) == keys


def test_a_sample_survives_workers():
    sample = pickle.loads(pickle.dumps(PackWeakInputs()(results())['data_samples']))
    assert sample.clone().gt_score.tolist() == [1, 0, 1]


@pytest.mark.parametrize('change', [{'gt_label': [3]}, {'gt_label': [-1]}, {'num_classes': 0}])
def test_tags_that_are_no_classes_are_named(change):
    with pytest.raises(ValueError, match='PackWeakInputs: image x/2007_000032.jpg has gt_label='):
        PackWeakInputs()(results(**change))
