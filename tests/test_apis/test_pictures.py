"""Inputs of the inferencer: names, order, videos, messages."""

import numpy as np
import pytest

from mmwsss.apis.pictures import find_pictures, is_one_picture
from mmwsss.apis.size_batches import size_batches
from mmwsss.errors import UsageError
from tests.tiny_models import break_off, save_photos, save_video

ARRAY = np.zeros((4, 5, 3), np.uint8)


@pytest.fixture
def photos(tmp_path):
    return save_photos(tmp_path / 'photos', ['b.png', 'a.jpg', 'sub/a.jpg', '.hidden.png'])


def names(pictures):
    return [picture.name for picture in pictures]


def test_file(photos):
    (picture,) = find_pictures(photos / 'b.png')
    assert (picture.name, picture.path) == ('b', str(photos / 'b.png'))


def test_folder_and_its_subfolders(photos):
    assert names(find_pictures(str(photos))) == ['a', 'b', 'sub/a']


@pytest.mark.parametrize(
    ('pattern', 'expected'),
    [
        ('*.jpg', ['a']),
        ('**/*.jpg', ['a', 'sub/a']),
        ('[ab].*', ['a', 'b']),
        ('s*/a.jpg', ['sub/a']),
    ],
)
def test_patterns(photos, pattern, expected):
    assert names(find_pictures(f'{photos}/{pattern}')) == expected


def test_a_file_whose_name_looks_like_a_pattern(tmp_path):
    save_photos(tmp_path, ['a[1].png'])
    assert names(find_pictures(tmp_path / 'a[1].png')) == ['a[1]']


def test_list_of_everything(photos, tmp_path):
    video = save_video(tmp_path / 'walk.avi', 2)
    pictures = find_pictures([ARRAY, photos / 'b.png', video, ARRAY], first=7)
    assert names(pictures) == ['00000007', 'b', 'walk_000000', 'walk_000001', '00000008']
    assert len(pictures) == 5


def test_frames_of_a_video(tmp_path):
    pictures = find_pictures(str(save_video(tmp_path / 'walk.avi', 5)), stride=2)
    assert names(pictures) == ['walk_000000', 'walk_000002', 'walk_000004']
    assert len(pictures) == 3
    assert [round(float(frame.image.mean()), -1) for frame in pictures] == [0, 40, 80]


def test_what_is_one_picture(photos, tmp_path):
    video = save_video(tmp_path / 'walk.avi', 1)
    one = [ARRAY, photos / 'b.png', 'https://example.org/a.jpg']
    assert all(map(is_one_picture, one))
    assert not any(map(is_one_picture, [[ARRAY], photos, str(photos / '*.png'), video]))


@pytest.mark.parametrize(
    ('inputs', 'message'),
    [
        ('nowhere', 'There is no picture, folder or video nowhere; check'),
        ([], 'The list of pictures is empty'),
        (3, 'A int is no picture'),
        (ARRAY[..., 0], r'must be \(H, W, 3\) uint8, BGR as OpenCV reads it, got \(4, 5\)'),
        (ARRAY.astype(np.float32), r'got \(4, 5, 3\) float32'),
        ('nowhere/*.png', r'The pattern nowhere/\*.png gives no picture'),
    ],
)
def test_inputs_that_are_none(inputs, message):
    with pytest.raises(UsageError, match=message):
        find_pictures(inputs)


def test_empty_folder(tmp_path):
    with pytest.raises(UsageError, match='The folder .* gives no picture'):
        find_pictures(tmp_path)


def test_stride_of_zero():
    with pytest.raises(UsageError, match='stride must be at least 1, got 0'):
        find_pictures(ARRAY, stride=0)


def test_video_that_is_none(tmp_path):
    (tmp_path / 'walk.avi').write_bytes(b'no video')
    pictures = find_pictures(tmp_path / 'walk.avi')
    assert len(pictures) == 1
    assert [picture.problem.split(':')[0] for picture in pictures] == [
        f'video {tmp_path / "walk.avi"} cannot be read'
    ]


def test_video_that_breaks_off(tmp_path):
    path = break_off(save_video(tmp_path / 'walk.avi', 12))
    *frames, last = find_pictures(path)
    assert 0 < len(frames) < 11
    assert f'{path} breaks off after {len(frames)} of 12 frames' in last.problem


def test_links_that_form_loops_are_entered_once(photos):
    for name in ('one', 'two'):
        (photos / name).symlink_to('.')
    assert names(find_pictures(f'{photos}/**/*.jpg')) == ['a', 'sub/a']


def test_what_fits_a_pattern_and_is_no_picture_is_named(photos):
    (photos / 'c.heic').touch()
    (photos / 'd.heic').touch()
    pictures = find_pictures(f'{photos}/[bc]*')
    assert names(pictures) == ['b']
    assert pictures.notes == [f'1 files of {photos} are not used as pictures: 1 .heic (c.heic).']


def test_two_files_of_one_name(tmp_path):
    photos = save_photos(tmp_path, ['a.png', 'a.jpg'])
    with pytest.raises(UsageError, match=r'a\.jpg and .*a\.png would have the same files \(a\)'):
        find_pictures(photos).check_names()


def test_batches_do_not_wait_for_ever():
    seen = []

    def items():
        for number in range(40):
            seen.append(number)
            yield number

    batches = size_batches(items(), lambda number: number, 2)
    assert next(batches) == [0]
    assert len(seen) == 16
    assert sorted(sum(batches, [])) == list(range(1, 40))


def test_a_folder_with_brackets_is_taken_literally(tmp_path):
    save_photos(tmp_path / 'trip [2021]', ['a.png', 'sub [x]/b.png'])
    assert names(find_pictures(f'{tmp_path}/trip [2021]/*.png')) == ['a']
    assert names(find_pictures(f'{tmp_path}/trip [2021]/**/*.png')) == ['a', 'sub [x]/b']


def test_results_of_an_earlier_run_are_no_pictures(photos):
    save_photos(photos, ['out/masks/a.png', 'out/overlays/a.jpg'])
    out = [str(photos / 'out/masks'), str(photos / 'out/overlays')]
    assert names(find_pictures(photos, without=out)) == ['a', 'b', 'sub/a']
    assert names(find_pictures(f'{photos}/**/*.png', without=out)) == ['b']


def test_files_of_other_kinds_are_noted(photos):
    (photos / 'c.HEIC').touch()
    (note,) = find_pictures(photos).notes
    assert 'not used as pictures: 1 .heic (c.HEIC).' in note
