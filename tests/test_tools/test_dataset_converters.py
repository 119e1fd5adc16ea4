"""Dataset converters: label files, COCO masks, and the check tool."""

import json

import numpy as np
import pytest
from PIL import Image

from mmwsss.datasets import LabelFileError, read_image_labels, read_mask
from mmwsss.datasets.class_names import class_names
from mmwsss.datasets.coco_masks import (
    Instance,
    decode_counts,
    instances_mask,
    polygon_mask,
    rle_mask,
    segmentation_mask,
)
from mmwsss.datasets.label_writers import write_image_labels
from mmwsss.utils.progress import track
from tests.loading import run_main

CLASSES = ('background', 'dog', 'cat', 'a;b')
LABELS = {'x': (0, 2), 'y': (), 'z.v2': (1,)}
SQUARE = [1, 1, 4, 1, 4, 4, 1, 4]


def run(name, *argv):
    run_main(f'tools/dataset_converters/{name}.py', *argv)


def fails(capsys, message, name, *argv):
    with pytest.raises(SystemExit, match='2'):
        run(name, *argv)
    # a progress bar may stand before it
    assert message in capsys.readouterr().err.splitlines()[-1]


def write_mask(path, values):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.array(values, np.uint8)).save(path)


# class names


@pytest.mark.parametrize(
    ('words', 'expected'),
    [
        (['dog', 'cat'], ('background', 'dog', 'cat')),
        (['background', 'dog'], ('background', 'dog')),
        (['dog'], ('background', 'dog')),
    ],
)
def test_background_is_put_first(words, expected):
    assert class_names(words) == expected


def test_lists_of_known_data_sets():
    assert class_names(['voc'])[1] == 'aeroplane'
    assert class_names(['coco'])[80] == 'toothbrush'


@pytest.mark.parametrize(
    ('name', 'text'), [('a.txt', '\ufeffdog\r\n\r\ncat dog\n'), ('a.json', '["dog", "cat dog"]')]
)
def test_class_names_of_a_file(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding='utf-8', newline='')
    assert class_names([str(tmp_path / name)]) == ('background', 'dog', 'cat dog')


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['background'], 'at least one class beside the background'),
        (['dog', 'dog'], 'and once'),
        (['dog', ' dog'], 'and once'),
        (['caf\u00e9', 'cafe\u0301'], 'and once'),
        ([''], "classes 'background', '': .* each with a name"),
        (['absent.txt'], r'absent\.txt: cannot be read'),
    ],
)
def test_wrong_class_names_are_refused(words, message):
    with pytest.raises(LabelFileError, match=message):
        class_names(words)


def test_json_of_classes_must_be_a_list(tmp_path):
    (tmp_path / 'a.json').write_text('{"dog": 1}')
    with pytest.raises(LabelFileError, match='not a list of class names'):
        class_names([str(tmp_path / 'a.json')])


# label files


@pytest.mark.parametrize('suffix', ['json', 'csv', 'npy'])
def test_written_labels_are_read_again(tmp_path, suffix):
    path = tmp_path / f'labels.{suffix}'
    write_image_labels(path, LABELS, CLASSES)
    assert read_image_labels(path, CLASSES) == LABELS


def test_npy_is_the_dict_that_the_community_reads(tmp_path):
    write_image_labels(tmp_path / 'cls_labels.npy', LABELS, CLASSES)
    table = np.load(tmp_path / 'cls_labels.npy', allow_pickle=True).item()
    assert list(table) == ['x', 'y', 'z.v2']
    assert table['x'].dtype == np.float32
    np.testing.assert_array_equal(table['x'], [1, 0, 1])


def test_names_that_hold_all_separators_cannot_be_csv(tmp_path):
    with pytest.raises(LabelFileError, match='write JSON instead'):
        write_image_labels(tmp_path / 'a.csv', {}, ('background', 'a;b', 'c|d', 'e,f'))
    assert not (tmp_path / 'a.csv').exists()


@pytest.fixture
def annotations(tmp_path):
    """A folder of VOC annotations."""
    folder = tmp_path / 'Annotations'
    folder.mkdir()
    for name, tags in {'a': ['dog', 'person', 'dog'], 'b': ['cat'], 'c': []}.items():
        objects = ''.join(f'<object><name>{tag}</name></object>' for tag in tags)
        (folder / f'{name}.xml').write_text(f'<annotation>{objects}</annotation>')
    return folder


@pytest.mark.stack
def test_labels_from_voc_annotations(tmp_path, annotations, capsys):
    run('make_image_labels', annotations, tmp_path / 'labels.json')
    expected = {'a': ['dog', 'person'], 'b': ['cat'], 'c': []}
    assert json.loads((tmp_path / 'labels.json').read_text()) == expected
    assert 'labels.json: 3 images, 2 with tags, 3 of 20 classes' in capsys.readouterr().out


def test_labels_of_a_split_without_empty_ones(tmp_path, annotations):
    (tmp_path / 'train.txt').write_text('c\nb\n')
    dst, split = tmp_path / 'labels.csv', tmp_path / 'train.txt'
    run('make_image_labels', annotations, dst, '--split', split, '--drop-empty')
    assert dst.read_text() == 'image,labels\nb,cat\n'


def test_labels_from_masks(tmp_path):
    write_mask(tmp_path / 'masks/a.png', [[0, 2, 255]])
    write_mask(tmp_path / 'masks/b.png', [[0, 0, 255]])
    run('make_image_labels', tmp_path / 'masks', tmp_path / 'a.json', '--classes', 'dog', 'cat')
    assert json.loads((tmp_path / 'a.json').read_text()) == {'a': ['cat'], 'b': []}


def test_wrong_calls_of_the_label_tool(tmp_path, annotations, capsys):
    tool, dst = 'make_image_labels', tmp_path / 'a.json'
    write_mask(tmp_path / 'masks/a.png', [[0, 2, 255]])
    (tmp_path / 'val.txt').write_text('a\nz\n')
    fails(capsys, 'give them with --classes', tool, tmp_path / 'masks', dst)
    fails(capsys, "unknown class 'person'", tool, annotations, dst, '--classes', 'dog', 'cat')
    fails(capsys, 'received a .txt file', tool, annotations, tmp_path / 'a.txt')
    fails(capsys, 'does not exist', tool, tmp_path / 'b.json', dst)
    split = ('--split', tmp_path / 'val.txt')
    fails(capsys, 'no labels for 1 of 2 images', tool, annotations, dst, *split)
    assert not dst.exists()


# masks


def test_polygon_takes_the_pixels_whose_centres_it_holds():
    mask = polygon_mask([1.4, 1.6, 3.6, 1.6, 3.6, 3.4, 1.4, 3.4], 5, 5)
    expected = np.zeros((5, 5), bool)
    expected[2:3, 1:4] = True
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize('turn', [0, 2, 4])
def test_polygon_does_not_depend_on_its_first_point_or_direction(turn):
    points = np.array([0.2, 0.1, 7.7, 2.3, 5.1, 6.9, 1.2, 4.4])
    expected = polygon_mask(points, 8, 8)
    assert 15 < expected.sum() < 30
    np.testing.assert_array_equal(polygon_mask(np.roll(points, turn), 8, 8), expected)
    np.testing.assert_array_equal(polygon_mask(points.reshape(-1, 2)[::-1].ravel(), 8, 8), expected)


def test_polygon_beyond_the_image_is_cut():
    assert polygon_mask([-5, -5, 20, -5, 20, 20, -5, 20], 3, 4).all()


def test_polygons_of_an_annotation_are_united():
    mask = segmentation_mask([SQUARE, [3, 3, 5, 3, 5, 5, 3, 5]], 6, 6)
    assert mask.sum() == 9 + 4 - 1


# made with pycocotools' encode from masks of known runs
@pytest.mark.parametrize(
    ('text', 'counts'),
    [
        ('7330005', [7, 3, 3, 3, 3, 3, 8]),
        (b'213004OM0OO11O', [2, 1, 3, 1, 3, 5, 2, 2, 2, 1, 1, 2, 2, 1]),
        (r'\e>^8n000000ThZ1', [15020, 270, 30, 270, 30, 270, 30, 270, 43810]),
        ('04', [0, 4]),
        ('', []),
    ],
)
def test_compressed_run_lengths(text, counts):
    assert decode_counts(text) == counts


def test_run_lengths_go_down_the_columns():
    expected = np.array([[0, 1, 0], [1, 1, 0]], bool)
    np.testing.assert_array_equal(rle_mask({'counts': [1, 3, 2], 'size': [2, 3]}, 2, 3), expected)


@pytest.mark.parametrize(
    ('segmentation', 'message'),
    [
        ({'counts': [1, 3, 3], 'size': [2, 3]}, 'do not add up to 2 x 3'),
        ({'counts': [7, -1], 'size': [2, 3]}, 'do not add up'),
        ({'counts': '5!', 'size': [2, 3]}, "hold the character '!'"),
        ({'counts': '5P', 'size': [2, 3]}, 'end within a number'),
        ({'counts': [6], 'size': [3, 2]}, r'its size is \(3, 2\)'),
        ([[1, 2, 3, 4]], 'a polygon of it has 4 numbers'),
        ([[1, 2, 3, 4, 5, float('nan')]], 'not 6, 8, 10'),
        (None, 'neither a list of polygons nor run lengths'),
        ('5', 'neither a list of polygons nor run lengths'),
    ],
)
def test_wrong_segmentation_is_refused(segmentation, message):
    with pytest.raises(ValueError, match=f'annotation 7: .*{message}'):
        instances_mask([Instance(1, segmentation, name=7)], 2, 3)


def test_smaller_instances_lie_on_top_and_crowds_below():
    whole = [[0, 0, 6, 0, 6, 6, 0, 6]]
    instances = [Instance(1, [[2, 2, 3, 2, 3, 3, 2, 3]]), Instance(2, [SQUARE])]
    instances.append(Instance(3, whole, is_crowd=True))
    instances.append(Instance(4, [[1, 1, 2, 1, 2, 2, 1, 2]], is_crowd=True))
    mask = instances_mask(instances, 6, 6)
    assert mask[2, 2] == 1
    assert mask[1, 1] == 2
    assert mask[0, 0] == 255
    assert instances_mask(instances, 6, 6, crowd='class')[0, 0] == 3


@pytest.fixture
def coco(tmp_path):
    """An instances file of three images, and how to change it."""
    content = {
        'images': [
            {'id': i, 'file_name': f'train/{name}.jpg', 'height': 6, 'width': 5}
            for i, name in enumerate('abc')
        ],
        'categories': [{'id': 7, 'name': 'dog'}, {'id': 3, 'name': 'tv'}],
        'annotations': [
            {'id': 1, 'image_id': 0, 'category_id': 7, 'segmentation': [SQUARE]},
            {'id': 2, 'image_id': 0, 'category_id': 3, 'segmentation': [[0, 0, 2, 0, 2, 2, 0, 2]]},
            {
                'id': 3,
                'image_id': 2,
                'category_id': 3,
                'iscrowd': 1,
                'segmentation': {'counts': [6, 6, 18], 'size': [6, 5]},
            },
        ],
    }

    def write(**changes):
        path = tmp_path / 'instances.json'
        path.write_text(json.dumps({**content, **changes}))
        return path

    write.content = content
    return write


@pytest.mark.stack
@pytest.mark.parametrize('workers', [1, 2])
def test_coco_masks_are_palette_images_of_the_classes(tmp_path, coco, capsys, workers):
    out = tmp_path / 'masks'
    run('coco2voc_masks', coco(), out, '--classes', 'tv', 'dog', '--workers', workers)
    assert sorted(path.name for path in out.iterdir()) == ['a.png', 'b.png', 'c.png']
    with Image.open(out / 'a.png') as image:
        assert image.mode == 'P'
        assert image.getpalette()[3:9] == [128, 0, 0, 0, 128, 0]
        mask = np.array(image)
    assert mask.shape == (6, 5)
    assert (mask[0, 0], mask[1, 1], mask[3, 3], mask[5, 4]) == (1, 1, 2, 0)
    assert not np.array(Image.open(out / 'b.png')).any()
    assert (np.array(Image.open(out / 'c.png'))[:, 1] == 255).all()
    assert '3 masks written' in capsys.readouterr().out


def test_coco_masks_go_on_where_they_were(tmp_path, coco, capsys):
    out, arguments = tmp_path / 'masks', ('--classes', 'tv', 'dog', '--workers', 1)
    write_mask(out / 'b.png', [[9]])
    run('coco2voc_masks', coco(), out, *arguments)
    assert '2 masks written' in capsys.readouterr().out
    assert np.array(Image.open(out / 'b.png')) == [[9]]
    run('coco2voc_masks', coco(), out, *arguments, '--overwrite')
    assert np.array(Image.open(out / 'b.png')).shape == (6, 5)


def test_coco_categories_can_be_renamed_and_skipped(tmp_path, coco):
    options = ('--classes', 'tvmonitor', '--rename', 'tv=tvmonitor', '--skip-unknown')
    run('coco2voc_masks', coco(), tmp_path / 'm', *options, '--workers', 1)
    mask = np.array(Image.open(tmp_path / 'm/a.png'))
    assert (mask[0, 0], mask[3, 3]) == (1, 0)


def test_wrong_calls_of_the_mask_tool(tmp_path, coco, capsys):
    tool, out, words = 'coco2voc_masks', tmp_path / 'm', ('--classes', 'tv', 'dog')
    fails(capsys, 'no classes (dog)', tool, coco(), out, '--classes', 'tv')
    fails(capsys, '--rename cat=dog does not fit', tool, coco(), out, *words, '--rename', 'cat=dog')
    fails(capsys, '--workers must be at least 1', tool, coco(), out, '--workers', 0)
    images = [*coco.content['images'], {'id': 9, 'file_name': 'a.png', 'height': 1, 'width': 1}]
    fails(capsys, 'two images have the same', tool, coco(images=images), out, *words)
    fails(capsys, 'belongs to the image 2, which', tool, coco(images=images[:2]), out, *words)
    fails(
        capsys,
        "image 1: received {'id': 0, 'file_name': 'a', 'height': 1} where an object with id",
        tool,
        coco(images=[{'id': 0, 'file_name': 'a', 'height': 1}]),
        out,
        *words,
    )
    fails(capsys, 'lacks one of the lists', tool, coco(annotations=None), out, *words)
    for size in (0, -5, '6', 6.5, None):
        image = {**images[0], 'width': size}
        fails(capsys, 'image 1: received', tool, coco(images=[image]), out, *words)
    first = coco.content['annotations'][0]
    for entry in (3, [], {**first, 'image_id': []}, {**first, 'category_id': None}):
        fails(capsys, 'annotation 1: received', tool, coco(annotations=[entry]), out, *words)
    for outline in ([[1e300] * 6], {'counts': [10**30, 1]}, {'counts': 'x\n'}, 5, [['a'] * 6]):
        bad = [{**first, 'segmentation': outline}]
        fails(capsys, 'image a, annotation 1: ', tool, coco(annotations=bad), out, *words)
    bad = [{**first, 'segmentation': [[1, 2]]}]
    fails(
        capsys,
        'image a, annotation 1: a polygon of it has 2',
        tool,
        coco(annotations=bad),
        out,
        *words,
    )
    assert not (out / 'a.png').exists()
    assert not list(out.glob('.*'))


# the check tool


@pytest.fixture
def tagged(tmp_path):
    """A folder of three images with tags and masks, all right."""
    (tmp_path / 'images').mkdir()
    for name in 'abc':
        Image.new('RGB', (4, 3)).save(tmp_path / f'images/{name}.jpg')
        write_mask(tmp_path / f'masks/{name}.png', [[0, 1, 2, 255]] * 3)
    (tmp_path / 'labels.csv').write_text('image,labels\na,dog;cat\nb,dog;cat\nc,dog;cat\n')
    return tmp_path


def check(capsys, status, *argv):
    with pytest.raises(SystemExit, match=str(status)) as stop:
        run('check_dataset', *argv, '--workers', 1)
    assert stop.value.code == status
    return capsys.readouterr().out


def folder_options(root):
    classes = ('--classes', 'dog', 'cat')
    paths = (('images', 'images'), ('labels', 'labels.csv'), ('masks', 'masks'))
    return [word for key, name in paths for word in (f'--{key}', root / name)] + [*classes]


@pytest.mark.stack
def test_folder_without_errors_ends_with_0(tagged, capsys):
    out = check(capsys, 0, *folder_options(tagged))
    assert out.endswith('images: 3, errors: 0, notes: 2\n')
    assert '| dog   |      3 |           3 |' in out


def test_wrong_folder_ends_with_1_and_all_problems(tagged, capsys):
    (tagged / 'labels.csv').write_text('image,labels\na,dgo\nb,cta\nghost,cat\n')
    (tagged / 'images/a.jpg').write_bytes(b'')
    (tagged / 'masks/b.png').unlink()
    out = check(capsys, 1, *folder_options(tagged))
    for line in (
        'ERROR: unknown class (2)',
        'ERROR: image without entry (1)\n  c\n',
        'ERROR: entry without image (1)\n  ghost\n',
        'ERROR: unreadable image (1)',
        'ERROR: missing mask (1)',
    ):
        assert line in out


def test_split_restricts_the_check(tagged, capsys):
    (tagged / 'images/a.jpg').write_bytes(b'')
    (tagged / 'val.txt').write_text('b\nc\n')
    out = check(capsys, 0, *folder_options(tagged), '--split', tagged / 'val.txt')
    assert 'images: 2, errors: 0' in out


def test_annotations_without_image_are_found_where_no_split_restricts(tagged, annotations, capsys):
    (annotations / 'b.xml').rename(annotations / 'ghost.xml')
    (tagged / 'val.txt').write_text('a\nc\n')
    options = ('--images', tagged / 'images', '--labels', annotations, '--classes', 'voc')
    out = check(capsys, 1, *options)
    assert 'ERROR: entry without image (1)\n  ghost\n' in out
    assert 'errors: 0' in check(capsys, 0, *options, '--split', tagged / 'val.txt')


def test_masks_alone_can_be_checked(tagged, capsys):
    (tagged / 'masks/b.png').unlink()
    options = (
        '--images',
        tagged / 'images',
        '--masks',
        tagged / 'masks',
        '--classes',
        'dog',
        'cat',
    )
    out = check(capsys, 1, *options)
    assert 'images: 3, errors: 1, notes: 0' in out


def test_missing_folder_is_a_finding(tagged, capsys):
    out = check(capsys, 1, '--images', tagged / 'imgs', '--labels', 'a.csv', '--classes', 'dog')
    assert 'ERROR: unusable data set (1)' in out
    assert 'imgs does not exist' in out


WEAK = """
default_scope = 'mmseg'
train_dataloader = dict(dataset=dict(
    type='RepeatDataset', times=2, dataset=dict(
        type='ImageLevelFolderDataset', data_root='{root}', image_labels='labels.csv',
        metainfo=dict(classes=('background', 'dog', 'cat')), pipeline=[dict(type='Absent')])))
val_dataloader = dict(dataset=dict(
    type='BaseSegDataset', data_root='{root}', ann_file='val.txt', pipeline=[],
    data_prefix=dict(img_path='images', seg_map_path='masks'),
    metainfo=dict(classes=('background', 'dog', 'cat'), palette=[[0] * 3] * 3)))
test_dataloader = dict(dataset=dict(type='ConcatDataset', datasets=[]))
"""


@pytest.mark.stack
def test_data_sets_of_a_config_are_checked(tagged, capsys):
    config = tagged / 'config.py'
    config.write_text(WEAK.format(root=tagged))
    (tagged / 'val.txt').write_text('a\n')
    assert 'images: 3, errors: 0' in check(capsys, 0, config)
    assert 'images: 1, errors: 0' in check(capsys, 0, config, '--split', 'val')
    write_mask(tagged / 'masks/a.png', [[3]])
    assert 'images: 1, errors: 2' in check(capsys, 1, config, '--split', 'val')
    fails(capsys, 'is a ConcatDataset of several', 'check_dataset', config, '--split', 'test')
    fails(capsys, 'has no trial_dataloader', 'check_dataset', config, '--split', 'trial')


def test_coco_data_set_of_a_config_is_checked(tagged, coco, capsys):
    images = [{'id': i, 'file_name': f'{name}.jpg'} for i, name in enumerate('abz')]
    categories = [{'id': 7, 'name': 'dog'}, {'id': 3, 'name': 'television'}]
    coco(images=images, categories=categories)
    config = tagged / 'config.py'
    config.write_text(
        f"train_dataloader = dict(dataset=dict(type='ImageLevelCOCODataset', "
        f"data_root='{tagged}', ann_file='instances.json', data_prefix=dict(img_path='images')))"
    )
    out = check(capsys, 1, config)
    assert "category 3 with 2 annotations: unknown class 'television'" in out
    assert 'ERROR: missing image (1)\n' in out
    assert 'images: 3, errors: 2' in out


def test_wrong_calls_of_the_check_tool(tagged, capsys):
    tool, images = 'check_dataset', ('--images', tagged / 'images')
    fails(capsys, 'either a config or --images', tool)
    fails(capsys, 'either a config or --images', tool, 'config.py', *images)
    fails(capsys, '--images needs --classes', tool, *images)
    fails(capsys, 'go with --images', tool, 'config.py', '--masks', 'masks')
    fails(capsys, 'There is no config absent.py', tool, 'absent.py')


# the progress bar


@pytest.mark.parametrize('workers', [1, 2])
def test_track_keeps_the_order_and_hands_errors_on(workers):
    assert list(track(abs, range(-5, 0), workers=workers)) == [5, 4, 3, 2, 1]
    assert list(track(abs, [], workers=workers)) == []
    with pytest.raises(TypeError, match='bad operand type'):
        list(track(abs, [1, 'a'], workers=workers))


def test_track_refuses_no_workers():
    with pytest.raises(ValueError, match='workers must be at least 1, got 0'):
        list(track(abs, [1], workers=0))


def test_broken_annotations_are_left_out_on_request(tmp_path, capsys):
    square = [[1, 1, 9, 1, 9, 9, 1, 9]]
    annotations = [
        dict(id=i, image_id=image, category_id=1, iscrowd=0, segmentation=outline)
        for i, (image, outline) in enumerate([(1, square), (1, [[5.0, 5.0]]), (9, square)])
    ]
    images = [dict(id=i, file_name=f'{i}.jpg', width=12, height=12) for i in (1, 2)]
    content = dict(images=images, annotations=annotations, categories=[dict(id=1, name='dog')])
    (tmp_path / 'a.json').write_text(json.dumps(content))
    words = [tmp_path / 'a.json', tmp_path / 'out', '--classes', 'dog', '--workers', 1]
    with pytest.raises(SystemExit, match='1'):
        run('coco2voc_masks', *words, '--skip-broken')
    said = capsys.readouterr().out
    assert 'image 1, annotation 1' in said and 'annotation 3: it belongs to the image 9' in said
    assert read_mask(tmp_path / 'out/1.png', 2)[1] == [0, 1]
    assert read_mask(tmp_path / 'out/2.png', 2)[1] == [0]
