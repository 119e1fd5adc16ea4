"""browse_cams.py: the page, its folders, choice and order of images, messages."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from mmwsss.cli.launch import run_tool
from mmwsss.datasets.class_palettes import write_mask_file
from mmwsss.datasets.palette import voc_palette
from mmwsss.evaluation import write_cam_file
from mmwsss.pipeline.results import write_results
from mmwsss.visualization.cam_rows import image_iou
from tests.loading import load_file
from tests.test_visualization.test_report import Page
from tests.toy_pipeline import make_pipeline, make_toys, register, unregister
from tests.weak_data import save_image

CLASSES = ['background', 'dog', 'a <b> "c"']
NAMES = {'a': [0], 'b': [1], 'c': [0, 1], 'd': []}
SIZE = 12, 16
# how many columns of the prediction are right
GOOD = dict(a=8, b=4, c=6, d=0)


@pytest.fixture(scope='module')
def tool():
    return load_file('tools/analysis_tools/browse_cams.py')


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """Images, maps, walks, masks and truth; the left half shows an image's first class."""
    root = tmp_path_factory.mktemp('browse_cams')
    palette = voc_palette(3)
    for name, keys in NAMES.items():
        save_image(root / f'images/more/{name}.png', np.full((*SIZE, 3), 90, np.uint8))
        truth = np.zeros(SIZE, np.uint8)
        cams = np.zeros((len(keys), *SIZE))
        if keys:
            truth[:, :8] = keys[0] + 1
            cams[0, :, :8] = 0.3
        pred = np.where(np.arange(16) < GOOD[name], truth, 0).astype(np.uint8)
        for folder in ('cams', 'walks'):
            write_cam_file(root / f'{folder}/{name}.npz', keys, cams)
        write_mask_file(root / f'masks/{name}.png', np.where(pred, 255, 0).astype('u1'), palette)
        write_mask_file(root / f'predictions/{name}.png', pred, palette)
        if name != 'd':
            write_mask_file(root / f'gt/{name}.png', truth, palette)
    return root


def words(folders, *options, out, columns=('cams', 'walks', 'masks', 'predictions'), gt=True):
    found = [f'--{name}={folders / name}' for name in (*columns, 'images')]
    found += [f'--gt={folders / "gt"}'] if gt else []
    return [*found, '--out', str(out), '--workers', '1', '--classes', *CLASSES[1:], *options]


def browse(tool, folders, tmp_path, *options, **kwargs):
    out = tmp_path / 'page.html'
    run_tool(tool.make_parser(), tool.browse_cams, words(folders, *options, out=out, **kwargs))
    return Page(out)


def shown(page):
    """Return the titles of the pictures by image, in the order of the page."""
    found = {}
    for picture in page.all('img'):
        name, title = picture['alt'].split(', ', 1)
        found.setdefault(name, []).append(title)
    return found


def test_row_shows_everything_of_an_image(tool, folders, tmp_path):
    found = shown(browse(tool, folders, tmp_path))
    both = [f'{folder}, {name}' for folder in ('cams', 'walks') for name in CLASSES[1:]]
    assert found['c'] == ['image', *both, 'masks', 'predictions', 'truth']
    assert found['a'] == ['image', *both[::2], 'masks', 'predictions', 'truth']
    assert found['d'] == ['image', 'masks', 'predictions']


def test_page_needs_nothing_beside_it(tool, folders, tmp_path):
    page = browse(tool, folders, tmp_path)
    assert page.all('script') == [{}]
    assert not page.all('link') + page.all('iframe')
    assert {picture['src'][:23] for picture in page.all('img')} == {'data:image/jpeg;base64,'}
    assert 'http' not in page.source
    style = re.search(r'<style>(.*?)</style>', page.source, re.DOTALL)[1]
    assert '@import' not in style
    assert 'url(' not in style


def test_names_are_shown_as_they_are(tool, folders, tmp_path):
    page = browse(tool, folders, tmp_path)
    assert CLASSES[2] in page.text
    assert not page.all('b')


def test_scores_are_the_iou_of_the_image(tool, folders, tmp_path):
    page = browse(tool, folders, tmp_path)
    rows = [json.loads(x['data-scores']) for x in page.all('div') if 'data-scores' in x]
    # half of the truth is found, and three quarters of the background is
    assert rows[1]['predictions'] == {'': 58.3, '0': 66.7, '2': 50.0}
    # nothing has a class in the mask: what has no class counts as missed
    assert rows[1]['masks'] == {'': 33.3, '0': 66.7, '2': 0.0}
    # maps are compared at their best background score
    assert rows[0]['cams'] == {'': 100.0, '0': 100.0, '1': 100.0}
    assert rows[3] == {}


def test_image_without_known_pixels_has_no_iou():
    assert image_iou(np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8), 3) == {}


@pytest.mark.parametrize(
    ('options', 'names'),
    [
        ([], ['a', 'b', 'c', 'd']),
        (['--number', '2'], ['a', 'd']),
        (['--sort', 'worst'], ['b', 'c', 'a']),
        (['--sort', 'best', '--number', '1'], ['a']),
        (['--class', 'dog'], ['a', 'c']),
        (['--sort', 'worst', '--class', 'dog'], ['c', 'a']),
        (['--sort', 'worst', '--by', 'cams', '--number', '1'], ['a']),
    ],
)
def test_which_images_are_shown(tool, folders, tmp_path, capsys, options, names):
    page = browse(tool, folders, tmp_path, *options)
    assert list(shown(page)) == names
    assert f'{len(names)} of ' in capsys.readouterr().out


def test_two_processes_make_the_same_page(tool, folders, tmp_path):
    pages = [
        browse(tool, folders, tmp_path, '--sort', 'worst', '--workers', str(n)).source
        for n in (1, 2)
    ]
    assert pages[0] == pages[1]


def test_without_truth_there_is_no_order(tool, folders, tmp_path):
    page = browse(tool, folders, tmp_path, gt=False, columns=['masks'])
    assert [x['id'] for x in page.all('select')] == ['class']
    assert shown(page)['b'] == ['image', 'masks']


def test_tags_come_from_the_truth_without_maps(tool, folders, tmp_path):
    page = browse(tool, folders, tmp_path, columns=['predictions'])
    assert [x['data-tags'] for x in page.all('div') if 'data-tags' in x] == ['0', '1', '0', '']


def test_classes_of_a_config(tool, folders, tmp_path):
    config = tmp_path / 'c.py'
    config.write_text(
        'custom_imports = dict(imports=["mmwsss"])\n'
        'test_dataloader = dict(dataset=dict(type="ImageLevelFolderDataset", test_mode=True,'
        f' data_prefix=dict(img_path={str(folders / "images")!r}),'
        ' metainfo=dict(classes=("background", "cow", "hen"))))\n'
    )
    out = tmp_path / 'page.html'
    options = [f'--masks={folders / "predictions"}', f'--images={folders / "images"}']
    argv = [*options, '--out', str(out), '--workers', '1', '--config', str(config)]
    run_tool(tool.make_parser(), tool.browse_cams, argv)
    assert 'hen' in Page(out).texts


@pytest.fixture(scope='module')
def pipeline(tmp_path_factory):
    """The work dir of a pipeline that ended, with stages of a user's own."""
    root = make_toys(tmp_path_factory.mktemp('toys'))
    register()
    toys = make_pipeline(root, root / 'work')
    records = {}
    for name, kind, file in (('maps', 'ToyMaps', 'one.npz'), ('last', 'ToyMasks', 'two.png')):
        (root / f'work/{name}/val').mkdir(parents=True)
        for image in (root / 'images').iterdir():
            target = root / f'work/{name}/val/{image.stem}{Path(file).suffix}'
            shutil.copy(root / 'tools' / file, target)
        figures = dict(val=dict(mIoU=1.0, threshold=0.4)) if name == 'maps' else {}
        records[name] = dict(type=kind, title='', seconds=1.0, files=dict(val=4), figures=figures)
    write_results(toys, records)
    unregister()
    return root


def test_pipeline_says_where_everything_is(tool, pipeline, tmp_path):
    out = tmp_path / 'page.html'
    argv = [str(pipeline / 'work'), '--out', str(out), '--workers', '1', '--sort', 'worst']
    run_tool(tool.make_parser(), tool.browse_cams, argv)
    page = Page(out)
    assert {tuple(titles) for titles in shown(page).values()} == {
        ('image', 'maps, dog', 'last', 'truth')
    }
    assert 'maps at background score 0.40' in page.text
    assert 'Toys, val' in page.text


def test_results_without_folders(tool, pipeline, tmp_path, capsys):
    results = json.loads((pipeline / 'work/results.json').read_text())
    work = shutil.copytree(pipeline / 'work', tmp_path / 'work')
    (work / 'results.json').write_text(json.dumps({**results, 'splits': {}, 'classes': None}))
    with pytest.raises(SystemExit):
        run_tool(tool.make_parser(), tool.browse_cams, [str(work), '--out', 'x.html'])
    assert 'does not say where the images are: give --images' in capsys.readouterr().err
    options = ['--images', str(pipeline / 'images'), '--classes', 'dog', '--workers', '1']
    argv = [str(work), *options, '--out', str(tmp_path / 'page.html')]
    run_tool(tool.make_parser(), tool.browse_cams, argv)
    assert len(shown(Page(tmp_path / 'page.html'))) == 4


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (['--class', 'cow'], '--class cow: the classes are dog, a <b>'),
        (['--number', '0'], '--number must be at least 1, got 0'),
        (['--by', 'images'], '--sort and --by need .* cams, walks, masks, predictions'),
        (['--images', 'absent'], 'There is no folder of images absent'),
        (['--masks', 'absent'], r'absent holds no masks \(\.png\)'),
        (['--gt', 'absent'], r'absent holds no masks \(\.png\); check --gt'),
        (['work'], 'the work dir of a pipeline or folders, not both'),
        (['--out', 'x.html/y.html'], r'--out x\.html/y\.html cannot be written'),
    ],
)
def test_wrong_calls_end_with_a_sentence(
    tool, folders, tmp_path, monkeypatch, capsys, change, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'x.html').touch()
    positional = [word for word in change if not word.startswith('--') and len(change) == 1]
    argv = [*positional, *words(folders, out='page.html'), *change[len(positional) :]]
    with pytest.raises(SystemExit, match='2'):
        run_tool(tool.make_parser(), tool.browse_cams, argv)
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / 'page.html').exists()


@pytest.mark.parametrize(
    ('argv', 'message'),
    [
        ([], 'Give the work dir of a pipeline, or folders'),
        (['absent'], r'absent has no results\.json'),
        (['--cams', 'cams'], 'Folders need --images'),
        (['--cams', 'cams', '--images', 'images'], 'Name the classes with --classes'),
        (
            ['--cams', 'cams', '--images', 'images', '--classes', 'dog', 'cat', '--sort', 'worst'],
            '--sort worst needs true masks: give --gt',
        ),
        (
            ['--cams', 'cams', '--masks', 'other', '--images', 'images', '--classes', 'dog'],
            'No image has a file in all of cams, other',
        ),
        (['--cams', 'cams', '--images', 'cams', '--classes', 'dog'], 'cams lacks the images of 4'),
        (['--cams', 'cams', '--images', 'images', '--classes', 'dog'], 'keys .* must lie in 0 to'),
    ],
)
def test_folders_that_do_not_fit(tool, folders, monkeypatch, capsys, argv, message):
    monkeypatch.chdir(folders)
    write_mask_file('other/z.png', np.zeros(SIZE, np.uint8), voc_palette(2))
    with pytest.raises(SystemExit, match='2'):
        run_tool(tool.make_parser(), tool.browse_cams, [*argv, '--workers', '1', '--out', 'x'])
    assert re.search(message, capsys.readouterr().err)


def test_damaged_results(tool, tmp_path, capsys):
    (tmp_path / 'results.json').write_text('{')
    with pytest.raises(SystemExit, match='2'):
        run_tool(tool.make_parser(), tool.browse_cams, [str(tmp_path), '--out', 'x.html'])
    assert 'results.json is damaged' in capsys.readouterr().err


def test_split_that_is_not_there(tool, pipeline, capsys):
    argv = [str(pipeline / 'work'), '--split', 'train', '--out', 'x.html']
    with pytest.raises(SystemExit, match='2'):
        run_tool(tool.make_parser(), tool.browse_cams, argv)
    assert 'has no files of --split train; it has val' in capsys.readouterr().err
