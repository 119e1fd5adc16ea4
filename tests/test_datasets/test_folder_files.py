"""Which files of a folder are used, and that the others are named."""

import os

import pytest

from mmwsss.datasets.folder_files import list_folder
from mmwsss.datasets.transforms import LoadImageChecked
from mmwsss.utils import FileProblemError


@pytest.fixture
def folder(tmp_path):
    for name in ('a.jpg', 'B.PNG', 'c.jfif', 'd.HEIC', 'sub/e.jpeg', '.hidden.jpg', 'notes.txt'):
        path = tmp_path / 'im' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / 'im'


def test_pictures_of_any_case_and_folder_are_used(folder):
    assert list_folder(folder).names == ['B.PNG', 'a.jpg', 'c.jfif', 'sub/e.jpeg']


def test_others_are_counted_by_kind(folder):
    note = list_folder(folder).note('photographs')
    assert note == f'1 files of {folder} are not used as photographs: 1 .heic (d.HEIC).'


def test_with_many_the_first_are_named(tmp_path):
    for number in range(7):
        (tmp_path / f'{number}.avif').touch()
    note = list_folder(tmp_path).note('photographs')
    assert '7 .avif (0.avif, 1.avif, 2.avif, 3.avif, 4.avif ...)' in note


def test_links_are_followed_once(folder, tmp_path):
    (tmp_path / 'else').mkdir()
    (tmp_path / 'else/x.jpg').touch()
    (folder / 'more').symlink_to(tmp_path / 'else')
    (folder / 'loop').symlink_to(folder)
    (folder / 'sub/again').symlink_to(tmp_path / 'else')
    names = list_folder(folder).names
    assert sum(name.endswith('x.jpg') for name in names) == 1
    assert len(names) == 5


def test_what_is_no_regular_file_is_named(folder):
    os.mkfifo(folder / 'pipe.jpg')
    (folder / 'gone.jpg').symlink_to('nowhere')
    others = list_folder(folder).others
    assert others['no regular files'] == ['pipe.jpg']
    assert others['links to nothing'] == ['gone.jpg']


def test_folders_that_do_not_count(folder):
    assert 'sub/e.jpeg' not in list_folder(folder, without=[str(folder / 'sub')]).names


def test_a_missing_folder_is_no_traceback(tmp_path):
    with pytest.raises((FileProblemError, FileNotFoundError)):
        list_folder(tmp_path / 'absent')


def test_a_fifo_is_not_opened(folder):
    os.mkfifo(folder / 'pipe.jpg')
    with pytest.raises(FileNotFoundError, match=r'pipe\.jpg cannot be read \(not a regular file\)'):
        LoadImageChecked()({'img_path': str(folder / 'pipe.jpg')})
