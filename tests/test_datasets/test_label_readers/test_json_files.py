"""JSON files: mappings of names, and COCO instances."""

import json

import pytest

from mmwsss.datasets import LabelFileError, read_image_labels
from mmwsss.datasets.label_readers.json_file import load_json
from tests.weak_data import COCO_CLASSES, coco_category_id, coco_instances

CLASSES = ('background', 'dog', 'person')


def read(tmp_path, content, classes=CLASSES):
    path = tmp_path / 'labels.json'
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding='utf-8')
    return read_image_labels(path, classes)


def test_mapping_of_names(tmp_path):
    content = {'x/a.jpg': ['person', 'dog'], 'b': [], 'segmentation': ['dog']}
    assert read(tmp_path, content) == {'a': (0, 1), 'b': (), 'segmentation': (0,)}


@pytest.mark.parametrize(
    'content, match',
    [
        ('{"a": ["dog"], ', r'labels\.json, line 1, column \d+: not valid JSON .*make the file'),
        ({'a': ['dgo']}, r"labels\.json, entry 1 \('a'\): unknown class 'dgo'"),
        ({'a': 'dog'}, r"entry 1 \('a'\): received dog where a list of class names is expected"),
        ({'a': [1]}, r"entry 1 \('a'\): received \[1\] where a list"),
        (
            '{"a": ["dog"], "b": [], "a": []}',
            r"image 'a' has two entries, entry 1 \('a'\) and entry 3 \('a'\): keep one",
        ),
        ({'a': ['dog'], 'a.jpg': []}, "image 'a' has two entries, entry 1 .* and entry 2"),
        ([], 'holds a list where an object is expected'),
    ],
)
def test_what_is_wrong_with_a_mapping_is_named(tmp_path, content, match):
    with pytest.raises(LabelFileError, match=match):
        read(tmp_path, content)


def instances(*tags):
    names = [f'COCO_train2014_{number:012d}' for number in range(1, len(tags) + 1)]
    boxes = [[(1, 1, 5, 5)] * len(image_tags) for image_tags in tags]
    return coco_instances(names, boxes, tags, (16, 16))


def test_coco_instances_become_tags_by_category_name(tmp_path):
    content = instances(['toothbrush', 'person', 'person'], [], ['bottle'])
    assert coco_category_id('toothbrush') == 90 and coco_category_id('bottle') == 44
    assert read(tmp_path, content, COCO_CLASSES) == {
        'COCO_train2014_000000000001': (0, 79),
        'COCO_train2014_000000000002': (),
        'COCO_train2014_000000000003': (39,),
    }


def test_crowds_count_as_objects(tmp_path):
    content = instances(['person'])
    content['annotations'][0]['iscrowd'] = 1
    assert read(tmp_path, content, COCO_CLASSES) == {'COCO_train2014_000000000001': (0,)}


def test_polygons_are_not_kept(tmp_path):
    path = tmp_path / 'instances.json'
    path.write_text(json.dumps(instances(['person'])))
    assert 'segmentation' not in load_json(path)['annotations'][0]


def test_categories_without_objects_need_not_be_classes(tmp_path):
    assert read(tmp_path, instances(['dog'])) == {'COCO_train2014_000000000001': (0,)}


@pytest.mark.parametrize(
    'change, match',
    [
        (
            lambda c: c['annotations'][0].update(category_id=1),
            "category 1 with 1 annotations: unknown class 'chair'",
        ),
        (
            lambda c: c['annotations'][0].update(image_id=9),
            'annotation 1: it belongs to the image 9, which is not in the file: make',
        ),
        (
            lambda c: c['annotations'][0].update(category_id=999),
            'annotation 1: it belongs to the category 999, which is not in the file',
        ),
        (lambda c: c['images'].append(c['images'][0]), 'image 2: the id 1 is that of another one'),
        (
            lambda c: c['annotations'][0].pop('image_id'),
            'annotation 1: .* image_id and category_id',
        ),
        (lambda c: c['images'][0].pop('file_name'), 'image 1: .* id and file_name is expected'),
    ],
)
def test_what_is_wrong_with_instances_is_named(tmp_path, change, match):
    content = instances(['dog'])
    content['categories'][0]['name'] = 'chair'
    change(content)
    with pytest.raises(LabelFileError, match=match):
        read(tmp_path, content)


def mmpretrain(tmp_path, entries):
    content = dict(metainfo=dict(classes=['dog', 'person']), data_list=entries)
    return read(tmp_path, content, ('background', 'person', 'dog'))


def test_annotations_of_mmpretrain(tmp_path):
    entries = [dict(img_path='x/a.jpg', gt_label=[0, 1]), dict(img_path='b.jpg', gt_label=1)]
    assert mmpretrain(tmp_path, entries) == {'a': (0, 1), 'b': (0,)}


@pytest.mark.parametrize('entry', [dict(img_path='a', gt_label=7), dict(gt_label=0), 'a', {}])
def test_wrong_annotations_of_mmpretrain(tmp_path, entry):
    with pytest.raises(LabelFileError, match=r'entry 1: .* where img_path and gt_label'):
        mmpretrain(tmp_path, [entry])
