"""Emblems: drawing, the files of a data set, the data set class and the command-line tool."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmseg.registry import DATASETS
from PIL import Image

from mmwsss.cli.launch import run_tool
from mmwsss.datasets import emblems
from mmwsss.datasets.emblems import EmblemsSettings, list_images, make_emblems
from mmwsss.datasets.emblems_backgrounds import BACKGROUNDS
from mmwsss.datasets.emblems_scene import draw_scene
from mmwsss.datasets.emblems_shapes import EMBLEMS, draw_emblem, emblem_palette, emblem_scale
from tests.loading import load_file

TINY = EmblemsSettings(num_train=4, num_val=2, size=32, num_emblems=3)


def scene(seed, size=128, num_emblems=6, **kwargs):
    return draw_scene(np.random.default_rng(seed), size, num_emblems, **kwargs)


def contents(root):
    return {p.relative_to(root): p.read_bytes() for p in Path(root).rglob('*') if p.is_file()}


@pytest.fixture(scope='module')
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'emblems'
    make_emblems(root, TINY)
    return root


@pytest.fixture
def copy(drawn, tmp_path):
    return Path(shutil.copytree(drawn, tmp_path / 'emblems'))


# emblems and scenes


@pytest.mark.parametrize('name', EMBLEMS)
def test_emblem_covers_the_area_asked_for(name):
    radius = emblem_scale(name, 300)
    ink = draw_emblem(name, (80, 80), (40, 38), radius, 0.7)
    assert ink.sum() == pytest.approx(300, rel=0.02)
    rows, columns = np.nonzero(ink)
    assert np.hypot(rows - 40, columns - 38).max() < radius + 1


def test_emblems_differ_clearly():
    inks = [draw_emblem(name, (64, 64), (32, 32), emblem_scale(name, 300), 0) for name in EMBLEMS]
    assert len(inks) == 20
    overlaps = [
        np.minimum(a, b).sum() / np.maximum(a, b).sum()
        for i, a in enumerate(inks)
        for b in inks[:i]
    ]
    assert max(overlaps) < 0.85


def test_emblem_beyond_the_border_is_cut():
    assert draw_emblem('ring', (20, 20), (-50, 4), 10, 0).sum() == 0
    half = draw_emblem('target', (40, 40), (-0.5, 20), 10, 0).sum()
    assert half == pytest.approx(
        draw_emblem('target', (40, 40), (20, 20), 10, 0).sum() / 2, rel=0.1
    )


@pytest.mark.parametrize('seed', range(8))
def test_scene_keeps_its_promises(seed):
    drawing = scene(seed, num_emblems=20)
    bodies = [drawing.bodies == i for i in range(1, drawing.bodies.max() + 1)]
    tags = [np.unique(drawing.mask[body]).tolist() for body in bodies]
    assert all(len(tag) == 1 for tag in tags)  # one class a body
    objects = [(body, tag[0]) for body, tag in zip(bodies, tags, strict=True) if tag[0]]
    assert 1 <= len(objects) <= 3
    assert drawing.labels == tuple(sorted({tag - 1 for _, tag in objects}))
    for body, _ in objects:
        assert 0.05 <= drawing.emblems[body].mean() <= 0.15
    assert not drawing.emblems[drawing.mask == 0].any()  # nor on bodies without a class


def test_some_bodies_are_background():
    drawings = [scene(seed) for seed in range(8)]
    assert any(((d.bodies > 0) & (d.mask == 0)).any() for d in drawings)


def test_bodies_differ_from_the_background_and_are_homogeneous():
    inside, across = [], []
    for seed in range(8):
        drawing = scene(seed)
        image = drawing.image / 255
        for i in range(1, drawing.bodies.max() + 1):
            body = (drawing.bodies == i) & ~drawing.emblems
            colours = image[body]
            inside.append(colours.std(axis=0).mean())
            across.append(np.linalg.norm(colours.mean(0) - image[drawing.bodies == 0].mean(0)))
    assert np.median(inside) < 0.08
    assert min(across) > 0.3


def test_context_ties_the_background_to_a_class():
    tied = [scene(seed, 32, context=1.0) for seed in range(12)]
    kinds = [{BACKGROUNDS[label % len(BACKGROUNDS)] for label in d.labels} for d in tied]
    assert all(d.background in kind for d, kind in zip(tied, kinds, strict=True))
    free = [scene(seed, 32) for seed in range(12)]
    assert len({d.background for d in free}) > 4


def test_context_reaches_the_files(drawn, tmp_path):
    make_emblems(tmp_path / 'b', EmblemsSettings(4, 2, 32, 3, context=1.0))
    names = [Path(f'JPEGImages/train_0000{i}.jpg') for i in range(4)]
    assert any((drawn / n).read_bytes() != (tmp_path / 'b' / n).read_bytes() for n in names)


# the files


def test_layout(drawn):
    description = json.loads((drawn / 'emblems.json').read_text())
    assert description['complete'] is True
    assert description['classes'] == ['background', *list(EMBLEMS)[:3]]
    names = ['train_00000', 'train_00001', 'train_00002', 'train_00003']
    assert (drawn / 'ImageSets/Segmentation/train.txt').read_text().split() == names
    assert len(list((drawn / 'JPEGImages').iterdir())) == 6
    labels = json.loads((drawn / 'image_labels.json').read_text())
    for path in (drawn / 'SegmentationClass').iterdir():
        mask = Image.open(path)
        assert mask.mode == 'P'
        assert mask.getpalette()[:12] == [c for colour in emblem_palette(3) for c in colour]
        values = np.unique(mask)
        assert labels[path.stem] == [description['classes'][v] for v in values if v]


def test_same_bytes_with_any_number_of_processes(drawn, tmp_path):
    make_emblems(tmp_path / 'b', TINY, workers=2)
    assert contents(tmp_path / 'b') == contents(drawn)


def test_images_do_not_depend_on_their_number(drawn, tmp_path):
    more = EmblemsSettings(num_train=1, num_val=3, size=32, num_emblems=3)
    make_emblems(tmp_path / 'b', more)
    ours, theirs = contents(drawn), contents(tmp_path / 'b')
    shared = [p for p in ours if p in theirs and p.suffix in ('.jpg', '.png')]
    assert len(shared) == 6
    assert all(ours[path] == theirs[path] for path in shared)


def test_another_seed_gives_other_images(drawn, tmp_path):
    make_emblems(tmp_path / 'b', EmblemsSettings(1, 1, 32, 3, seed=1))
    name = Path('JPEGImages/train_00000.jpg')
    assert (drawn / name).read_bytes() != (tmp_path / 'b' / name).read_bytes()


def test_images_of_a_split_differ(drawn):
    assert len({path.read_bytes() for path in (drawn / 'JPEGImages').iterdir()}) == 6


def test_splits_differ(drawn):
    train, val = (drawn / f'JPEGImages/{s}_00000.jpg' for s in ('train', 'val'))
    assert train.read_bytes() != val.read_bytes()


def test_finished_data_set_is_left_alone(copy):
    times = {path: path.stat().st_mtime_ns for path in copy.rglob('*')}
    assert make_emblems(copy, TINY) == 0
    assert {path: path.stat().st_mtime_ns for path in copy.rglob('*')} == times


def test_missing_and_truncated_files_are_drawn_again(drawn, copy):
    (copy / 'JPEGImages/train_00001.jpg').unlink()
    (copy / 'SegmentationClass/train_00002.png').write_bytes(b'PNG')
    assert make_emblems(copy, TINY) == 2
    assert contents(copy) == contents(drawn)


@pytest.mark.parametrize('name', ['image_labels.json', 'ImageSets/Segmentation/val.txt'])
def test_missing_lists_are_written_again(drawn, copy, name):
    (copy / name).unlink()
    assert make_emblems(copy, TINY) == 0
    assert contents(copy) == contents(drawn)


def test_stopped_run_is_completed(drawn, tmp_path, monkeypatch):
    root, draw = tmp_path / 'b', emblems.draw_image

    def stop(image, **kwargs):
        if image.number == 2:
            raise KeyboardInterrupt
        return draw(image, **kwargs)

    monkeypatch.setattr(emblems, 'draw_image', stop)
    with pytest.raises(KeyboardInterrupt):
        make_emblems(root, TINY)
    with pytest.raises(ValueError, match='is incomplete: run .*make_emblems.py again'):
        DATASETS.build(dict(type='EmblemsDataset', data_root=str(root)))
    monkeypatch.undo()
    assert make_emblems(root, TINY) == 4
    assert contents(root) == contents(drawn)


def test_other_settings_are_refused(copy):
    other = EmblemsSettings(num_train=4, num_val=2, size=48, num_emblems=3, seed=5)
    with pytest.raises(ValueError, match=r'size 32 \(asked: 48\), seed 0 \(asked: 5\): use'):
        make_emblems(copy, other)


def test_foreign_folder_is_refused(tmp_path):
    (tmp_path / 'holiday.jpg').touch()
    with pytest.raises(ValueError, match='is not empty and has no emblems.json'):
        make_emblems(tmp_path, TINY)


@pytest.mark.parametrize(
    ('text', 'message'),
    [('{', 'does not describe'), ('[]', 'does not describe'), ('{"drawing": 1}', 'it lacks clas')],
)
def test_broken_description_is_refused(copy, text, message):
    (copy / 'emblems.json').write_text(text)
    with pytest.raises(ValueError, match=message):
        make_emblems(copy, TINY)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(num_train=0), 'num_train must lie in 1 to 99999, got 0'),
        (dict(size=16), 'size must lie in 32 to 4096, got 16'),
        (dict(num_emblems=1), 'num_emblems must lie in 2 to 20, got 1'),
        (dict(num_emblems=21), 'num_emblems must lie in 2 to 20, got 21'),
        (dict(seed=-1), 'seed must lie in 0'),
        (dict(context=1.5), 'context must lie in 0 to 1, got 1.5'),
    ],
)
def test_settings_out_of_range(kwargs, message):
    with pytest.raises(ValueError, match=message):
        EmblemsSettings(**kwargs)


def test_default_number_of_images():
    assert len(list_images(EmblemsSettings())) == 2200


# the data set


def build(root, **kwargs):
    return DATASETS.build(dict(type='EmblemsDataset', data_root=str(root), **kwargs))


def test_data_set_takes_classes_from_the_folder(drawn):
    data = build(drawn)
    assert tuple(data.metainfo['classes']) == ('background', *list(EMBLEMS)[:3])
    assert data.metainfo['palette'] == emblem_palette(3)
    assert len(data) == 4


def test_sample_fields(drawn):
    info = build(drawn, ann_file='val', data_prefix=dict(seg_map_path='SegmentationClass'))[1]
    assert info['img_path'].endswith('JPEGImages/val_00001.jpg')
    values = np.unique(Image.open(info['seg_map_path']))
    assert info['gt_label'] == [v - 1 for v in values if v]
    assert info['num_classes'] == 4


def test_training_split_needs_no_masks(copy):
    shutil.rmtree(copy / 'SegmentationClass')
    assert 'seg_map_path' not in build(copy)[0]


def test_some_of_the_classes(drawn):
    data = build(drawn, metainfo=dict(classes=('background', list(EMBLEMS)[1])))
    labels = json.loads((drawn / 'image_labels.json').read_text())
    for info in data:
        name = Path(info['img_path']).stem
        assert info['gt_label'] == ([0] if list(EMBLEMS)[1] in labels[name] else [])


def test_data_set_that_was_not_drawn(tmp_path):
    with pytest.raises(FileNotFoundError, match='emblems.json cannot be read .*: draw the data'):
        build(tmp_path)


# the tool


def run(*argv):
    tool = load_file('tools/dataset_converters/make_emblems.py')
    run_tool(tool.make_parser(), tool.main, [str(arg) for arg in argv])


def test_tool(tmp_path, capsys):
    options = '--num-train 1 --num-val 1 --size 32 --num-classes 2 --seed 7 --context 0.5'
    run(tmp_path / 'e', *options.split(), '--workers', 1)
    assert 'holds 2 images of Emblems, 2 of them drawn now' in capsys.readouterr().out
    settings = json.loads((tmp_path / 'e/emblems.json').read_text())['settings']
    assert EmblemsSettings(**settings) == EmblemsSettings(1, 1, 32, 2, 7, 0.5)


@pytest.mark.parametrize(
    ('option', 'message'),
    [('--num-classes=30', 'num_emblems must lie in 2 to 20'), ('--workers=0', '--workers must be')],
)
def test_tool_refuses(tmp_path, capsys, option, message):
    with pytest.raises(SystemExit, match='2'):
        run(tmp_path / 'e', option)
    assert message in capsys.readouterr().err
