"""A folder of one's own images."""

import pytest

from mmwsss.datasets import ImageLevelFolderDataset, LabelFileError
from tests.weak_data import make_folder, save_text

META = {'classes': ('background', 'dog', 'person')}


def build(root, **kwargs):
    arguments = {'image_labels': 'labels.csv', 'metainfo': META, **kwargs}
    return ImageLevelFolderDataset(data_root=str(root), **arguments)


@pytest.fixture
def folder(tmp_path):
    """Images of several kinds, one in a sub-folder, and things that are no images."""
    root = make_folder(tmp_path, {'b.PNG': 'dog', 'sub/a.jpeg': 'dog;person', 'c 1.bmp': ''})
    for name in ('.hidden.jpg', 'Thumbs.db', '.cache/x.jpg'):
        save_text(root / 'images' / name, 'x')
    return root


def test_all_images_of_the_folder_with_their_tags(folder):
    dataset = build(folder)
    files = [item['img_path'].split('images/')[1] for item in dataset]
    assert files == ['b.PNG', 'c 1.bmp', 'sub/a.jpeg']
    assert [item['gt_label'] for item in dataset] == [[0], [], [0, 1]]


def test_json_of_tags(folder):
    save_text(folder / 'labels.json', '{"a": ["dog"], "b.png": [], "c 1": ["person"]}')
    dataset = build(folder, image_labels='labels.json')
    assert [item['gt_label'] for item in dataset] == [[], [1], [0]]


def test_masks_keep_the_sub_folder(folder):
    dataset = build(folder, data_prefix={'seg_map_path': 'masks'})
    assert dataset[2]['seg_map_path'] == str(folder / 'masks' / 'sub' / 'a.png')


@pytest.mark.parametrize('lines', ['a\nc 1\n', 'sub/a.jpeg\nc 1.bmp\n'])
def test_a_split_takes_some(folder, lines):
    save_text(folder / 'train.txt', lines)
    dataset = build(folder, ann_file='train.txt')
    assert [item['gt_label'] for item in dataset] == [[0, 1], []]


def test_an_image_without_entry_is_named(folder):
    save_text(folder / 'labels.csv', 'image,labels\nb,dog\na,\n')
    with pytest.raises(LabelFileError, match=r'no entry for 1 of 3 images \(c 1\)'):
        build(folder)


def test_an_entry_without_image_is_named(folder):
    save_text(folder / 'labels.csv', 'image,labels\nb,dog\na,\nc 1,\nzz.jpg,dog\n')
    with pytest.raises(LabelFileError, match=r'1 of 4 entries have no image in .*images \(zz\)'):
        build(folder)


def test_entries_outside_the_split_are_none_of_the_errors(folder):
    save_text(folder / 'train.txt', 'b\n')
    assert len(build(folder, ann_file='train.txt')) == 1


def test_two_images_of_one_name_are_refused(tmp_path):
    root = make_folder(tmp_path, {'a.jpg': 'dog', 'sub/a.png': 'dog'})
    save_text(root / 'labels.csv', 'image,labels\na,dog\n')
    with pytest.raises(ValueError, match=r"names 'a' twice, .*images/a\.jpg and .*sub/a\.png"):
        build(root)


def test_missing_folder_is_named(folder):
    with pytest.raises(FileNotFoundError, match='the folder .*photos does not exist'):
        build(folder, data_prefix={'img_path': 'photos'})


def test_labels_are_needed(folder):
    with pytest.raises(ValueError, match='ImageLevelFolderDataset: received image_labels=None'):
        build(folder, image_labels=None)


def test_pictures_to_predict_need_no_labels(folder):
    (folder / 'labels.csv').unlink()
    dataset = build(folder, image_labels=None, test_mode=True)
    assert [item['img_path'].split('images/')[1] for item in dataset] == [
        'b.PNG',
        'c 1.bmp',
        'sub/a.jpeg',
    ]
    assert not any('gt_label' in item for item in dataset)


def test_tags_of_pictures_without_tags_cannot_be_filtered(folder):
    with pytest.raises(ValueError, match='none of the 3 images of .* has a tag'):
        build(folder, image_labels=None, test_mode=True, filter_cfg=dict(filter_empty_gt=True))


def test_colours_are_those_of_pseudo_masks(folder):
    assert build(folder).metainfo['palette'] == [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
    own = dict(META, palette=[[0, 0, 0], [1, 2, 3], [4, 5, 6]])
    assert build(folder, metainfo=own).metainfo['palette'] == own['palette']
