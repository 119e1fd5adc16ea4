"""CSV files as spreadsheets and people write them."""

import pytest

from mmwsss.datasets import LabelFileError, read_image_labels
from mmwsss.datasets.image_labels import read_tag_names, source_format

CLASSES = ('background', 'dog', 'person', 'cat')
EXPECTED = {'a': (0, 1), 'b': ()}


def read(tmp_path, content: bytes, classes=CLASSES):
    path = tmp_path / 'labels.csv'
    path.write_bytes(content)
    return read_image_labels(path, classes)


@pytest.mark.parametrize(
    'content',
    [
        b'image,labels\na.jpg,dog;person\nb.jpg,\n',
        b'\xef\xbb\xbfimage,labels\na.jpg,dog;person\nb.jpg,\n',
        b'image,labels\r\na.jpg,person;dog\r\n\r\nb.jpg,\r\n',
        b'"image","labels"\n"a.jpg","dog,person"\n"b.jpg",""\n',
        b'image;labels\na.jpg;dog,person\nb.jpg;\n',
        b'image;labels\na.jpg;"dog;person"\nb.jpg;\n',
        b'Image; Labels\na.jpg; dog | person\nb.jpg;\n',
        b'image\tlabels\na\tdog;person;\nb\t\n',
        b'labels,by,image\ndog;person,me,x/a.jpg\n,you,b.jpg\n',
        b'image,labels\na.jpg,dog;person,,\nb.jpg,,\n',
    ],
    ids=[
        'plain',
        'byte order mark',
        'CRLF and an empty line',
        'quotes',
        'semicolons',
        'quoted semicolons',
        'spaces and bars',
        'tabs',
        'further columns',
        'trailing delimiters',
    ],
)
def test_variants_are_read_alike(tmp_path, content):
    assert read(tmp_path, content) == EXPECTED


def test_a_separator_within_a_class_name_does_not_separate(tmp_path):
    content = b'image,labels\na.jpg,"wall, brick;dog"\n'
    assert read(tmp_path, content, ('background', 'dog', 'wall, brick')) == {'a': (0, 1)}


@pytest.mark.parametrize(
    'content, match',
    [
        (b'a.jpg,dog\n', r'labels\.csv, line 1: received .a\.jpg,dog. where the column names'),
        (b'', r"line 1: received '' where"),
        (b'image,labels\na.jpg,dgo\n', "line 2: unknown class 'dgo'.*did you mean 'dog'"),
        (
            b'image,labels\na.jpg,dog\nb,cat\na,cat\n',
            "image 'a' has two entries, line 2 and line 4",
        ),
        (b'image,labels\na.jpg,dog,cat\n', 'line 2: 3 fields where the header has 2: separate'),
        (b'image,labels\na.jpg\n', 'line 2: 1 fields where the header has 2'),
        (b'image,labels\na.jpg,"dog\n', 'not valid CSV .*: check the quotes'),
        (b'image,labels\n\xe4.jpg,dog\n', 'byte 13 is not UTF-8 text: save the file as UTF-8'),
    ],
    ids=['header', 'empty', 'class', 'twice', 'many', 'few', 'quotes', 'encoding'],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, content, match):
    with pytest.raises(LabelFileError, match=match):
        read(tmp_path, content)


@pytest.mark.parametrize(
    'content',
    [
        b'filename,dog,person,cat\na.jpg,1,1,0\nb.jpg,0,0,0\n',
        b'image;dog;person\nx/a.jpg;1.0;True\nb;;\n',
    ],
)
def test_a_column_for_each_class(tmp_path, content):
    assert read(tmp_path, content) == EXPECTED


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'image,dog,mouse\na,0,1\n', "line 2: unknown class 'mouse'"),
        (b'image,dog,cat\na,0,1\nb,2,0\n', "line 3: column 'dog' holds '2' where 0 or 1"),
        (b'image,target\na,1\n', 'or with "image" and a column for each class'),
    ],
)
def test_wrong_columns_of_classes(tmp_path, content, message):
    with pytest.raises(LabelFileError, match=message):
        read(tmp_path, content)


def test_unicode_forms_of_a_class_are_one_class(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_text('image,labels\na.jpg,caf\u00e9\nb.jpg,cafe\u0301\n', encoding='utf-8')
    assert read_tag_names(path) == ('caf\u00e9',)
    for name in ('caf\u00e9', 'cafe\u0301'):
        assert read_image_labels(path, ('background', name)) == {'a': (0,), 'b': (0,)}


@pytest.mark.parametrize('header', ['image,label', 'split,Filename,Class', 'file_name,category'])
def test_a_row_for_each_class_of_an_image(tmp_path, header):
    columns = header.lower().split(',')
    place = {name: k for k, name in enumerate(columns)}
    image = next(k for name, k in place.items() if name.startswith(('image', 'file')))
    label = next(k for name, k in place.items() if name in ('label', 'class', 'category'))
    rows = [('rex.jpg', 'dog'), ('rex.jpg', 'cat'), ('none.jpg', ''), ('rex.jpg', 'dog')]
    lines = [header]
    for name, tag in rows:
        fields = ['train'] * len(columns)
        fields[image], fields[label] = name, tag
        lines.append(','.join(fields))
    path = tmp_path / 'tags.csv'
    path.write_text('\n'.join(lines))
    assert read_image_labels(path, ('background', 'cat', 'dog')) == {'rex': (0, 1), 'none': ()}
    assert source_format(path) == 'a row for each class of an image'
