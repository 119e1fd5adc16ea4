"""Labels in Label Studio's exports."""

import json

import pytest

from mmwsss.datasets import LabelFileError, read_image_labels
from mmwsss.datasets.image_labels import collect_labels, read_tag_names, source_format

CLASSES = ('background', 'cat', 'dog')


def choices(*names, kind='choices', **rest):
    return dict(result=[dict(type=kind, value={kind: list(names)}, from_name='tags')], **rest)


def task(image, *annotations):
    return dict(id=7, data=dict(image=image), annotations=list(annotations), predictions=[])


@pytest.fixture
def write(tmp_path):
    def write(content):
        (tmp_path / 'tags.json').write_text(json.dumps(content))
        return tmp_path / 'tags.json'

    return write


def test_choices_and_labels_of_boxes(write):
    path = write(
        [
            task('/data/upload/1/0a1b2c3d-rex.jpg', choices('dog', 'cat')),
            task('s3://bucket/walks/tom%20cat.jpg', choices('cat', kind='rectanglelabels')),
            task('/data/local-files/?d=im/none.png', dict(result=[])),
        ]
    )
    assert read_image_labels(path, CLASSES) == {'rex': (0, 1), 'tom cat': (0,), 'none': ()}
    assert read_tag_names(path) == ('cat', 'dog')
    assert source_format(path) == "Label Studio's tasks"


def test_json_min(write):
    about = dict(id=1, annotator=2, created_at='2026-01-01', lead_time=1.5)
    path = write(
        [
            dict(image='/data/upload/1/0a1b2c3d-rex.jpg', tags='dog', **about),
            dict(
                image='/data/upload/1/0a1b2c3d-tom.jpg', tags=dict(choices=['cat', 'dog']), **about
            ),
        ]
    )
    assert read_image_labels(path, CLASSES) == {'rex': (1,), 'tom': (0, 1)}


def test_a_name_that_begins_like_an_upload_is_kept_where_an_image_has_it(write):
    path = write([task('/data/upload/1/0a1b2c3d-rex.jpg', choices('dog'))])
    found = read_image_labels(path, CLASSES, images=['im/0a1b2c3d-rex.jpg', 'im/rex.jpg'])
    assert found == {'0a1b2c3d-rex': (1,)}


def test_cancelled_annotations_do_not_count(write):
    path = write([task('rex.jpg', choices('cat', was_cancelled=True), choices('dog'))])
    assert read_image_labels(path, CLASSES) == {'rex': (1,)}


@pytest.mark.parametrize(
    ('bad', 'message'),
    [
        (task('tom.jpg'), r'tags.json, task 2: the image tom.jpg has no annotation: annotate it'),
        (
            task('tom.jpg', choices('cat'), choices()),
            'task 2: the annotations of tom.jpg disagree: cat and nothing: keep one of them',
        ),
    ],
)
def test_what_cannot_be_used_is_named_and_the_rest_read(write, bad, message):
    path = write([task('rex.jpg', choices('dog')), bad])
    with pytest.raises(LabelFileError, match=message):
        read_image_labels(path, CLASSES)
    labels, (_,) = collect_labels(path, CLASSES)
    assert labels == {'rex': (1,)}


def test_tasks_of_several_images_are_refused(write):
    two = dict(data=dict(left='a.jpg', right='b.jpg'), annotations=[choices('dog')])
    with pytest.raises(LabelFileError, match='2 fields name an image where one is expected'):
        read_image_labels(write([two]), CLASSES)


def test_boxes_of_json_min(write):
    box = dict(x=1, y=2, rectanglelabels=['dog'])
    path = write([dict(image='rex.jpg', boxes=[box, box], id=1)])
    assert read_image_labels(path, CLASSES) == {'rex': (1,)}


def test_fields_of_json_min_that_may_both_hold_classes_are_refused(write):
    path = write([dict(image='rex.jpg', tags='dog', photographer='Ann')])
    match = 'the fields tags and photographer may both hold classes: export as JSON'
    with pytest.raises(LabelFileError, match=match):
        read_image_labels(path, CLASSES)


@pytest.mark.parametrize(
    'odd',
    [
        [dict(type=['x'], value={'choices': 'cat'}), 3, None],
        [dict(value=[1])],
        'dog',
        dict(type='choices'),
    ],
)
def test_results_of_other_kinds_name_no_class(write, odd):
    path = write([task('http://[bad.jpg', dict(result=odd)), task('a.jpg', choices('dog')), 7])
    labels, problems = collect_labels(path, CLASSES)
    assert labels == {'[bad': (), 'a': (1,)}
    assert [str(problem).partition(': ')[2][:8] for problem in problems] == ['0 fields']
