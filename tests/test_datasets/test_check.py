"""The data set checker: every kind of problem is found, all of it, and nothing else."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from mmwsss.datasets import ImageEntry
from mmwsss.datasets.check import (
    ERRORS,
    NOTES,
    Finding,
    ImageReport,
    check_dataset,
    check_entries,
    check_image,
    check_tags,
    compare_masks,
    error_finding,
    format_report,
)
from mmwsss.datasets.image_labels import collect_labels

CLASSES = ('background', 'dog', 'cat', 'horse')


def kinds(findings):
    return sorted(finding.kind for finding in findings)


@pytest.fixture
def entry(tmp_path):
    """An image of 6 x 4 pixels and its mask, both right."""
    Image.new('RGB', (6, 4), 'red').save(tmp_path / 'a.jpg')
    write_mask(tmp_path / 'a.png', [[0, 1, 2, 255, 3, 0]] * 4)
    return ImageEntry(str(tmp_path / 'a.jpg'), str(tmp_path / 'a.png'), 'line 1')


def write_mask(path, values):
    Image.fromarray(np.array(values, np.uint8)).save(path)


# images and masks


def test_right_image_has_no_finding(entry):
    report = check_image(entry, 4)
    assert report.findings == []
    assert report.mask_indices == (0, 1, 2)


def test_image_without_mask_is_right(entry):
    assert check_image(ImageEntry(entry.img_path), 4) == ImageReport([], None)


def spoil_image(change):
    def spoil(entry):
        with open(entry.img_path, 'rb') as file:
            content = change(file.read())
        with open(entry.img_path, 'wb') as file:
            file.write(content)

    return spoil


def spoil_mask(values):
    return lambda entry: write_mask(entry.seg_map_path, values)


def remove(name):
    def spoil(entry):
        os.remove(getattr(entry, name))

    return spoil


@pytest.mark.parametrize(
    ('spoil', 'kind', 'text'),
    [
        (remove('img_path'), 'missing image', r'a.jpg (line 1)'),
        (spoil_image(lambda content: content[:-40]), 'unreadable image', 'truncated or no image'),
        (spoil_image(lambda content: b'<html>'), 'unreadable image', 'truncated or no image'),
        (remove('seg_map_path'), 'missing mask', 'a.png'),
        (spoil_mask([[[0, 0, 0]] * 6] * 4), 'unreadable mask', 'pixels of mode RGB'),
        (spoil_mask([[0] * 5] * 4), 'mask of another size', 'a.png is 5 x 4, its image 6 x 4'),
        (
            spoil_mask([[0, 1, 4, 77, 255, 0]] * 4),
            'mask with values outside the classes',
            'holds [4, 77] beside 0 to 3 and 255',
        ),
    ],
)
def test_each_wrong_file_is_found(entry, spoil, kind, text):
    spoil(entry)
    (finding,) = check_image(entry, 4).findings
    assert finding.kind == kind
    assert text in finding.text


def test_wrong_image_does_not_hide_a_wrong_mask(entry):
    spoil_image(lambda content: b'')(entry)
    spoil_mask([[9] * 6] * 4)(entry)
    expected = ['mask with values outside the classes', 'unreadable image']
    assert kinds(check_image(entry, 4).findings) == expected


# entries, tags


def test_each_further_image_of_a_name_is_found():
    entries = [ImageEntry('x/a.jpg', None, 'line 1'), ImageEntry('y/a.png', None, 'line 2')]
    (finding,) = check_entries([*entries, ImageEntry('b.jpg')])
    assert finding == Finding('duplicate entry', 'a: x/a.jpg and y/a.png (line 1 and line 2)')


def test_missing_surplus_and_empty_entries_are_found():
    labels = {'a': (0,), 'b': (), 'ghost': (1,), 'other': (1,)}
    entries = [ImageEntry(f'{name}.jpg') for name in 'abc']
    assert check_tags(entries, labels, ['other']) == [
        Finding('image without entry', 'c'),
        Finding('image without tags', 'b'),
        Finding('entry without image', 'ghost'),
    ]


def test_entries_are_not_looked_up_where_images_are_unknown():
    assert check_tags([], {'ghost': (1,)}) == []


def test_tags_unlike_the_mask_are_found(entry):
    reports = [check_image(entry, 4)]
    assert compare_masks([entry], reports, {'a': (0, 1, 2)}, CLASSES) == []
    write_mask(entry.seg_map_path, [[0, 2, 3, 0, 0, 0]] * 4)
    (finding,) = compare_masks([entry], [check_image(entry, 4)], {'a': (0, 2)}, CLASSES)
    assert finding.text == 'a: dog tagged only; cat in the mask only'


def test_report_counts_classes_and_errors(entry):
    entries = [entry, ImageEntry(str(entry.img_path).replace('a.jpg', 'gone.jpg'))]
    report = check_dataset(entries, CLASSES, labels={'a': (0, 1), 'gone': (0,)})
    assert report.num_images == 2
    assert (report.tagged[0], report.tagged[1], report.tagged[2]) == (2, 1, 0)
    assert report.masked == {0: 1, 1: 1, 2: 1}
    assert kinds(report.findings) == [
        'class on nearly every image',
        'class without images',
        'missing image',
        'tags unlike the mask',
    ]
    assert report.num_errors == 1


def test_report_names_the_first_of_a_kind_and_counts_all(entry):
    report = check_dataset([entry], CLASSES, labels={'a': (0,)})
    report.findings = [Finding('missing image', f'{i}.jpg') for i in range(7)]
    report.findings += [Finding('image without tags', 'z')]
    text = format_report(report, limit=2)
    assert 'ERROR: missing image (7)\n  0.jpg\n  1.jpg\n  ... and 5 more\n' in text
    assert 'note: image without tags (1)\n  z\n' in text
    assert '| dog   |      1 |           1 |' in text
    assert text.endswith('images: 1, errors: 7, notes: 1')


def test_every_kind_of_finding_is_printed():
    report = check_dataset([], CLASSES)
    report.findings = [Finding(kind, 'here') for kind in (*ERRORS, *NOTES)]
    assert format_report(report).count('  here') == len(ERRORS) + len(NOTES)


# label sources


def test_right_labels_come_as_they_are(tmp_path):
    path = tmp_path / 'labels.json'
    path.write_text('{"a.jpg": ["dog"], "b": []}')
    assert collect_labels(path, CLASSES) == ({'a': (0,), 'b': ()}, [])


def test_all_problems_of_a_csv_file_are_found(tmp_path):
    path = tmp_path / 'labels.csv'
    rows = ['image,labels', 'a,dgo;cat', 'b,dog', 'c,dog,cat', '', 'd,unicorn;fox', 'b,cat', 'e,']
    path.write_text('\n'.join(rows))
    labels, problems = collect_labels(path, CLASSES)
    assert labels == {'a': (1,), 'b': (0,), 'd': (), 'e': ()}
    assert [(error.kind, error.problem.partition(': ')[0]) for error in problems] == [
        ('unknown class', f'{path}, line 2'),
        ('wrong entry', f'{path}, line 4'),
        ('unknown class', f'{path}, line 6'),
        ('unknown class', f'{path}, line 6'),
        ('duplicate entry', f'{path}'),
    ]
    first = error_finding(problems[0])
    assert str(first) == f"{path}, line 2: unknown class 'dgo' (did you mean 'dog'?)"
    assert str(error_finding(problems[-1])).endswith('line 3 and line 7: keep one.')


def test_all_problems_of_a_json_file_are_found(tmp_path):
    path = tmp_path / 'labels.json'
    path.write_text('{"a": ["dgo"], "b": "dog", "c": ["cat"], "c": ["dog"], "d": ["owl", "dog"]}')
    labels, findings = collect_labels(path, CLASSES)
    assert labels == {'a': (), 'c': (1,), 'd': (0,)}
    assert kinds(findings) == ['duplicate entry', 'unknown class', 'unknown class', 'wrong entry']


def test_all_problems_of_a_coco_file_are_found(tmp_path):
    names = {1: 'dog', 2: 'unicorn', 3: 'cat'}
    pairs = [(10, 1), (10, 2), (11, 2), (11, 3), (99, 1)]
    content = {
        'images': [{'id': 10, 'file_name': 'a.jpg'}, {'id': 11, 'file_name': 'b.jpg'}],
        'categories': [{'id': key, 'name': name} for key, name in names.items()],
        'annotations': [{'image_id': image, 'category_id': category} for image, category in pairs],
    }
    path = tmp_path / 'instances.json'
    path.write_text(json.dumps(content))
    labels, findings = collect_labels(path, CLASSES)
    assert labels == {'a': (0,), 'b': (1,)}
    assert [error.problem.removeprefix(f'{path}, ') for error in findings] == [
        'annotation 5: it belongs to the image 99, which is not in the file',
        "category 2 with 2 annotations: unknown class 'unicorn'",
    ]


def test_each_wrong_file_of_a_folder_is_found(tmp_path):
    tag = '<annotation><object><name>{}</name></object></annotation>'
    for name, tags in {'a': 'dog', 'b': 'owl', 'c': 'cat', 'd': 'fox', 'e': 'cat'}.items():
        (tmp_path / f'{name}.xml').write_text(tag.format(tags))
    (tmp_path / 'f.xml').write_text('<annotation>')
    two = ''.join(f'<object><name>{name}</name></object>' for name in ('elk', 'dog', 'yak'))
    (tmp_path / 'g.xml').write_text(f'<annotation>{two}</annotation>')
    labels, findings = collect_labels(tmp_path, CLASSES)
    assert labels == {'a': (0,), 'b': (), 'c': (1,), 'd': (), 'e': (1,), 'f': (), 'g': (0,)}
    assert kinds(findings) == ['unknown class'] * 4 + ['wrong entry']
    assert findings[-1].problem == f"{tmp_path / 'g.xml'}, object 3: unknown class 'yak'"
    assert collect_labels(tmp_path, CLASSES, ['a.jpg', 'c.jpg']) == ({'a': (0,), 'c': (1,)}, [])


@pytest.mark.parametrize(
    ('name', 'content'),
    [
        ('a.csv', b'name,tags\n'),
        ('a.json', b'{"a":'),
        ('a.json', b'[1]'),
        ('a.npy', b'x'),
        ('a', b''),
    ],
)
def test_unusable_source_is_one_finding(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    labels, (finding,) = collect_labels(path, CLASSES)
    assert labels == {}
    assert finding.kind == 'unusable label source'
    assert str(path) in finding.problem


# results without meaning


@pytest.mark.parametrize(
    ('masks', 'found'),
    [
        ([[0, 255], [0, 255]], ['masks without class']),
        ([[0, 255], [0, 1]], []),
        ([[0, 0], [0, 0]], []),
        ([[255, 255], [0, 1]], ['mask without a pixel that counts']),
    ],
)
def test_masks_whose_values_mean_nothing(tmp_path, masks, found):
    entries = []
    for i, row in enumerate(masks):
        Image.new('RGB', (2, 1)).save(tmp_path / f'{i}.jpg')
        write_mask(tmp_path / f'{i}.png', [row])
        entries.append(ImageEntry(str(tmp_path / f'{i}.jpg'), str(tmp_path / f'{i}.png')))
    assert kinds(check_dataset(entries, CLASSES).findings) == found


def test_all_problems_of_an_npy_file_are_found(tmp_path):
    path = tmp_path / 'labels.npy'
    np.save(path, {'a': [1, 0, 0], 'b': [1, 0], 'c': [0.5, 0, 0], 1.5: [0, 0, 0]})
    labels, problems = collect_labels(path, CLASSES)
    assert labels == {'a': (0,)}
    assert kinds(problems) == ['wrong entry'] * 3


def test_files_of_one_name_in_two_folders_keep_their_folders(tmp_path):
    (tmp_path / 'cat').mkdir()
    for name, tag in {'1': 'dog', 'cat/1': 'cat'}.items():
        text = f'<annotation><object><name>{tag}</name></object></annotation>'
        (tmp_path / f'{name}.xml').write_text(text)
    assert collect_labels(tmp_path, CLASSES) == ({'1': (0,), 'cat/1': (1,)}, [])
