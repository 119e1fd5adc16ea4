"""MS COCO in the forms in which users have it."""

import json

import numpy as np
import pytest

from mmwsss.datasets import ImageLevelCOCODataset, LabelFileError
from mmwsss.datasets.label_readers import json_file
from tests.weak_data import COCO_CLASSES, TRAIN_TAGS, make_coco, save_text

TAGS = [sorted(COCO_CLASSES.index(tag) - 1 for tag in tags) for tags in TRAIN_TAGS]


def test_classes():
    assert len(COCO_CLASSES) == len(set(COCO_CLASSES)) == 81
    assert len({tuple(color) for color in ImageLevelCOCODataset.METAINFO['palette']}) == 81
    assert COCO_CLASSES[1] == 'person' and COCO_CLASSES[80] == 'toothbrush'


def test_tags_and_images_from_the_instances_file(coco_dir):
    dataset = ImageLevelCOCODataset(data_root=str(coco_dir))
    assert [item['gt_label'] for item in dataset] == TAGS
    name = 'COCO_train2014_000000000001.jpg'
    assert dataset[0]['img_path'] == str(coco_dir / 'train2014' / name)
    assert dataset[0]['num_classes'] == 81


def test_the_file_is_parsed_once_and_let_go(coco_dir, monkeypatch):
    calls = []
    load = json_file.load_json
    monkeypatch.setattr(
        json_file, 'load_json', lambda path, **kwargs: calls.append(path) or load(path, **kwargs)
    )
    dataset = ImageLevelCOCODataset(data_root=str(coco_dir))
    assert len(calls) == 1
    assert dataset._instances is None


@pytest.mark.parametrize(
    'place', ['images/train2014', 'JPEGImages/train2014', 'JPEGImages/train', 'images/train']
)
def test_image_folders_are_found(coco_dir, place):
    (coco_dir / place).parent.mkdir(exist_ok=True)
    (coco_dir / 'train2014').rename(coco_dir / place)
    dataset = ImageLevelCOCODataset(data_root=str(coco_dir))
    assert dataset[3]['img_path'].startswith(str(coco_dir / place))


def test_images_without_objects_can_be_dropped(tmp_path):
    root = make_coco(tmp_path, train=[('dog',), (), ('cat',)])
    assert len(ImageLevelCOCODataset(data_root=str(root))) == 3
    filtered = ImageLevelCOCODataset(data_root=str(root), filter_cfg={'filter_empty_gt': True})
    assert [item['gt_label'] for item in filtered] == [[16], [15]]


def test_split_file_with_community_labels(coco_dir):
    save_text(coco_dir / 'split.txt', 'COCO_train2014_000000000002\n')
    np.save(coco_dir / 'cls_labels.npy', {2: np.eye(80)[7]})
    dataset = ImageLevelCOCODataset(
        'split.txt', data_root=str(coco_dir), image_labels='cls_labels.npy'
    )
    assert [item['gt_label'] for item in dataset] == [[7]]


def test_split_file_needs_a_label_source(coco_dir):
    with pytest.raises(ValueError, match='received image_labels=None where the source'):
        ImageLevelCOCODataset('split.txt', data_root=str(coco_dir))


def test_another_json_is_refused(coco_dir):
    save_text(coco_dir / 'captions.json', json.dumps({'images': []}))
    with pytest.raises(LabelFileError, match=r'captions\.json: lacks one of the lists'):
        ImageLevelCOCODataset('captions.json', data_root=str(coco_dir))
