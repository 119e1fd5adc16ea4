"""The report of a pipeline."""

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from mmwsss.datasets import MaskError
from mmwsss.datasets.class_palettes import write_mask_file
from mmwsss.datasets.palette import voc_palette
from mmwsss.evaluation import CAMFileError, write_cam_file
from mmwsss.evaluation.curve_files import COLUMNS
from mmwsss.evaluation.mask_scores import mask_figures
from mmwsss.visualization.report import ReportData, StageReport, write_report
from mmwsss.visualization.report_curves import _plot_losses, read_losses, smooth

CLASSES = ['background', '<b>dog</b>', 'cat $x_$ & "co"', 'horse']
PALETTE = voc_palette(4)
NAMES = [f'im{i}' for i in range(7)]
SIZE = 6, 8
GREEN = 90, 160, 50  # RGB of the images
VOID = {'img', 'link', 'meta'}


class Page(HTMLParser):
    """The elements and texts of a page; fails where an element is closed that is not open."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.texts, self.open = [], [], []
        self.source = path.read_text(encoding='utf-8')
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if 'style' not in self.open and data.strip():
            self.texts.append(data.strip())

    def all(self, tag, **wanted):
        return [
            attrs
            for name, attrs in self.elements
            if name == tag and all(attrs.get(k) == v for k, v in wanted.items())
        ]

    @property
    def text(self):
        return '\n'.join(self.texts)

    def pictures(self):
        """Return the pictures (RGB) by their descriptions."""
        prefix = 'data:image/jpeg;base64,'
        contents = {x['alt']: x['src'].removeprefix(prefix) for x in self.all('img')}
        return {
            alt: cv2.imdecode(np.frombuffer(base64.b64decode(x), np.uint8), 1)[..., ::-1]
            for alt, x in contents.items()
        }


def write_log(path, entries):
    path.write_text(''.join(json.dumps(entry) + '\n' for entry in entries))
    return path


def figures(pixels, threshold=None):
    """Return figures with so many correct pixels of a dog, and no cat."""
    counts = np.array([[50, pixels, 0, 10], [60, 100, 0, 20], [60, 100, 0, 20]])
    found = mask_figures(counts, CLASSES)
    return found if threshold is None else dict(found, threshold=threshold)


def stage(name, makes, **fields):
    empty = dict(title='', seconds=1.0, files={}, figures={}, curves={}, folders={})
    return StageReport(name=name, makes=makes, **{**empty, 'logs': [], 'commands': [], **fields})


def make_files(root):
    """Write images, masks, maps and predictions; the last has no prediction."""
    truth = np.zeros(SIZE, np.uint8)
    truth[:, :4] = 1
    for name in NAMES:
        for folder in ('images', 'maps'):
            (root / folder).mkdir(exist_ok=True)
        cv2.imwrite(str(root / f'images/{name}.png'), np.full((*SIZE, 3), GREEN[::-1], np.uint8))
        cams = (truth == 1)[None].astype(np.float32)
        write_cam_file(root / f'maps/{name}.npz', np.array([0]), cams)
        write_mask_file(root / f'truth/{name}.png', truth, PALETTE)
        write_mask_file(root / f'masks/{name}.png', np.where(truth, 255, 2).astype('u1'), PALETTE)
        if name != NAMES[-1]:
            write_mask_file(root / f'test/{name}.png', truth * 3, PALETTE)
    rows = [','.join(COLUMNS), '0.1,40,1,1,2', '0.2,52.5,1,1,2', '0.3,30,1,1,2']
    (root / 'curve.csv').write_text('\n'.join(rows) + '\n')
    write_log(root / 'first.json', [dict(step=s, loss=9.0, loss_a=5.0) for s in (10, 20, 30)])
    write_log(root / 'second.json', [dict(step=s, loss=1.0, loss_b=0.5) for s in (20, 40)])


def make_stages(root):
    maps = dict(val=figures(10, 0.2), train=figures(15, 0.3))
    return [
        stage(
            'cam',
            'checkpoint',
            title='a <classifier>',
            seconds=4210.0,
            logs=[root / 'first.json', root / 'second.json'],
            commands=['tools/train.py "a" && b', 'second <command>'],
        ),
        stage(
            'maps',
            'maps',
            title='class activation maps',
            files=dict(train=2000, val=7),
            figures=maps,
            curves=dict(val=root / 'curve.csv'),
            folders=dict(val=root / 'maps'),
        ),
        stage('labels', 'labels', files=dict(train=2000)),
        stage(
            'masks',
            'masks',
            figures=dict(val=dict(figures(30), undecided=12.5)),
            folders=dict(val=root / 'masks'),
        ),
        stage(
            'test', 'predictions', figures=dict(val=figures(80)), folders=dict(val=root / 'test')
        ),
    ]


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('pipeline')
    make_files(root)
    return ReportData(
        title='<script>alert(1)</script>',
        config='configs/pipelines/x.py',
        classes=CLASSES,
        palette=PALETTE,
        images=dict(train=root / 'images', val=root / 'images'),
        masks=dict(train=root / 'truth', val=root / 'truth'),
        stages=make_stages(root),
        versions={'torch': '2.13.0+<cpu>'},
        notes=['masks ran again: 1 < 2'],
    )


@pytest.fixture(scope='module')
def page(data, tmp_path_factory):
    path = tmp_path_factory.mktemp('report') / 'report.html'
    write_report(path, data, split='val')
    return Page(path)


def write(data, tmp_path, **options):
    write_report(tmp_path / 'report.html', data, **{'split': 'val', **options})
    return Page(tmp_path / 'report.html')


def change(data, name, **fields):
    """Return the data with one stage changed."""
    stages = [replace(s, **fields) if s.name == name else s for s in data.stages]
    return replace(data, stages=stages)


def row(page, name):
    """Return the cells of a row of the first table."""
    table = page.source[page.source.index('<tbody>') : page.source.index('</tbody>')]
    found = re.search(rf'<th class="stick">{name}</th>(.*?)</tr>', table, re.DOTALL)[1]
    return re.findall(r'<td[^>]*>(.*?)</td>', found, re.DOTALL)


def test_page_needs_nothing_beside_it(page):
    assert not page.open
    assert not page.all('script') + page.all('link') + page.all('iframe')
    links = [v for _, attrs in page.elements for k, v in attrs.items() if k in ('src', 'href')]
    links += [attrs['xlink:href'] for _, attrs in page.elements if 'xlink:href' in attrs]
    assert links
    assert all(link.startswith(('#', 'data:image/')) for link in links)
    style = re.search(r'<style>(.*?)</style>', page.source, re.DOTALL)[1]
    assert '@import' not in style
    assert 'url(' not in style


def test_ids_are_there_once_and_links_lead_to_them(page):
    ids = [attrs['id'] for _, attrs in page.elements if 'id' in attrs]
    assert len(set(ids)) == len(ids)
    links = [attrs[k] for _, attrs in page.elements for k in ('href', 'xlink:href') if k in attrs]
    assert {link[1:] for link in links} <= set(ids)
    assert set(re.findall(r'url\(#(.*?)\)', page.source)) <= set(ids)


@pytest.mark.parametrize(
    'text',
    ['<script>alert(1)</script>', *CLASSES, 'a <classifier>', '2.13.0+<cpu>', '1 < 2', '"a" && b'],
)
def test_text_is_shown_as_it_is(page, text):
    assert text in page.text
    assert not page.all('script')
    assert len(page.all('b')) == 1  # the final figure


def test_final_figure_is_that_of_the_test(page):
    assert f'{figures(80)["mIoU"]:.2f} %\nmIoU of the final model on val' in page.text


def test_without_a_test_the_last_stage_counts(data, tmp_path):
    page = write(replace(data, stages=data.stages[:-1]), tmp_path)
    assert f'{figures(30)["mIoU"]:.2f} %\nmIoU of masks on val; a final model has not' in page.text


def test_what_follows_a_test_is_not_final(data, tmp_path):
    page = write(replace(data, stages=data.stages[::-1]), tmp_path)
    assert 'mIoU of the final model on val' in page.text


def test_table_has_a_row_a_stage_with_its_figures(page):
    expected = figures(10)['mIoU'], figures(15)['mIoU']
    what, train, val, m_fp, m_fn, score, train_files, val_files, seconds = row(page, 'maps')
    assert (what, seconds) == ('class activation maps', '1.0 s')
    assert (val, train) == tuple(f'{miou:.2f}' for miou in expected)
    assert (m_fp, m_fn) == tuple(f'{figures(10)[key]:.3f}' for key in ('m_FP', 'm_FN'))
    assert (score, train_files, val_files) == ('0.2', '2,000', '7')
    assert row(page, 'cam') == ['a &lt;classifier&gt;', *[''] * 7, '1 h 10 min']
    assert row(page, 'masks')[1:3] == ['', f'{figures(30)["mIoU"]:.2f}']
    assert row(page, 'labels')[6] == '2,000'


def test_stages_that_use_tags_are_named(page):
    assert 'maps and masks use the tags of the images' in page.text
    assert 'test sees the images alone' in page.text
    assert '12.50 % of the pixels of masks have no class' in page.text
    assert 'A class that occurs neither' in page.text


def test_curve_is_drawn_with_its_best_score(page):
    assert 'maps\n52.50 at 0.2' in page.text
    assert len(page.all('svg')) == 2  # and the losses of one training


def test_later_log_counts_from_its_first_step(data):
    losses = read_losses(data.stages[0].logs)
    assert {name: [x.tolist() for x in pair] for name, pair in losses.items()} == {
        'loss': [[10, 20, 40], [9, 1, 1]],
        'loss_a': [[10], [5]],
        'loss_b': [[20, 40], [0.5, 0.5]],
    }


def test_log_with_half_a_line_other_lines_and_what_is_not_finite(tmp_path):
    entries = [dict(step=5, loss=2.0, loss_a=2.0), dict(step=7, mIoU=40.0)]
    entries += [dict(step=s, loss=float('nan'), loss_a=2.0) for s in (10, 15)]
    log = write_log(tmp_path / 'scalars.json', entries)
    log.write_text(log.read_text() + '{"step": 20, "lo')
    losses = read_losses([log, tmp_path / 'missing.json'])
    assert {name: pair[0].tolist() for name, pair in losses.items()} == {'loss': [5]}


def test_smoothed_curve_keeps_level_and_length():
    noise = np.tile([0.0, 2.0], 100)
    smoothed = smooth(noise)
    assert smoothed.shape == noise.shape
    assert np.abs(smoothed - 1).max() < 0.3
    np.testing.assert_allclose(smooth(np.full(200, 3.0)), 3)


def test_small_losses_beside_large_ones_get_a_logarithmic_axis():
    steps = np.arange(4.0)
    scales = [
        _plot_losses({'loss': (steps, np.ones(4)), 'loss_a': (steps, np.full(4, low))})
        for low in (0.5, 0.01, 0.0)
    ]
    assert [figure.axes[0].get_yscale() for figure in scales] == ['linear', 'log', 'linear']


def test_every_class_has_a_bar_a_stage(page):
    widths = [
        [float(x) for x in re.findall(r'class="bar" style="width: ([\d.]+)%', part)]
        for part in page.source.split('<div class="class">')[1:]
    ]
    assert [len(part) for part in widths] == [3] * 4
    rates = [figures(n)['classes'] for n in (10, 30, 80)]
    dog = [f'{classes[CLASSES[1]]["IoU"]:.2f}' for classes in rates]
    assert [f'{width:.2f}' for width in widths[1]] == dog
    assert widths[2] == [0, 0, 0]  # the class that occurs nowhere


@pytest.mark.parametrize('number', [6, 20, 80])
def test_any_number_of_classes(data, tmp_path, number):
    names = ['background', *(f'class {i}' for i in range(number))]
    found = mask_figures(np.ones((3, number + 1), dtype=int), names)
    data = change(data, 'test', figures=dict(val=found))
    page = write(replace(data, classes=names, palette=voc_palette(number + 1)), tmp_path)
    assert len(page.all('div', **{'class': 'class'})) == number + 1


@pytest.mark.parametrize('number', [0, 2, 6, 12])
def test_number_of_pictures(data, tmp_path, number):
    pictures = write(data, tmp_path, num_pictures=number).pictures()
    shown = list(dict.fromkeys(alt.split(', ')[0] for alt in pictures))
    # the last has no prediction
    assert shown == {0: [], 2: ['im0', 'im5'], 6: NAMES[:6], 12: NAMES[:6]}[number]
    assert len(pictures) == 5 * len(shown)


def test_pictures_show_every_stage(page):
    pictures = {k.split(', ')[1]: v for k, v in page.pictures().items() if k.startswith('im2')}
    assert list(pictures) == ['image', 'maps', 'masks', 'test', 'truth']
    left = {title: picture[2, 1].astype(int) for title, picture in pictures.items()}
    right = {title: picture[2, 6].astype(int) for title, picture in pictures.items()}
    green, painted = np.array(GREEN), [*PALETTE, (224, 224, 192)]
    masks = {k: 0.4 * green + 0.6 * np.array(x) for k, x in enumerate(painted)}
    expected = dict(image=green, test=masks[3], truth=masks[1], masks=masks[4])
    expected['maps'] = (green + [128, 0, 0]) / 2
    for title, color in expected.items():
        np.testing.assert_allclose(left[title], color, atol=15, err_msg=title)
    np.testing.assert_allclose(right['test'], green, atol=15)
    np.testing.assert_allclose(right['masks'], masks[2], atol=15)


def test_rows_are_named_by_image_and_tags(page):
    assert 'im2\n<b>dog</b>\n' in page.text
    assert 'no class (255)' in page.text


def test_legend_names_all_classes_but_the_background(page):
    start = page.texts.index('Pictures of val')
    assert page.texts[start + 1 :][:3] == CLASSES[1:]


def test_images_without_truth_are_not_shown_where_some_have_it(data, tmp_path):
    write_mask_file(tmp_path / 'truth/im1.png', np.zeros(SIZE, np.uint8), PALETTE)
    page = write(replace(data, masks=dict(val=tmp_path / 'truth')), tmp_path)
    assert {alt.split(', ')[0] for alt in page.pictures()} == {'im1'}


def test_stage_without_files_has_no_column(data, tmp_path):
    page = write(change(data, 'test', folders=dict(val=tmp_path / 'none')), tmp_path)
    assert {alt.split(', ')[1] for alt in page.pictures()} == {'image', 'maps', 'masks', 'truth'}


def test_wide_pictures_are_shrunk(data, tmp_path):
    image, mask = np.zeros((100, 500, 3), np.uint8), np.zeros((100, 500), np.uint8)
    (tmp_path / 'images').mkdir()
    cv2.imwrite(str(tmp_path / 'images/a.jpg'), image)
    write_mask_file(tmp_path / 'masks/a.png', mask, PALETTE)
    write_cam_file(tmp_path / 'maps/a.npz', np.array([1]), np.zeros((1, 100, 500)))
    folders = {name: dict(val=tmp_path / name) for name in ('maps', 'masks')}
    stages = [replace(s, folders=folders.get(s.name, {})) for s in data.stages]
    data = replace(data, images=dict(val=tmp_path / 'images'), masks={}, stages=stages)
    pictures = write(data, tmp_path).pictures()
    assert {alt: picture.shape for alt, picture in pictures.items()} == {
        f'a, {title}': (44, 220, 3) for title in ('image', 'maps', 'masks')
    }


def test_commands_and_versions(page):
    assert 'second <command>' in page.text
    assert len(page.all('pre')) == 2
    assert 'torch\n2.13.0' in page.text


@pytest.mark.parametrize('masks', [{}, {'val': None}, {'val': 'no/such/folder'}])
def test_without_true_masks(data, tmp_path, masks):
    stages = [replace(s, figures={}, curves={}) for s in data.stages]
    page = write(replace(data, masks=masks, stages=stages), tmp_path)
    assert 'There is no mIoU on val: it has no true masks.' in page.text
    assert 'mIoU (%)' not in page.text
    assert not page.all('h2', id='classes') + page.all('h2', id='thresholds')
    assert {alt.split(', ')[1] for alt in page.pictures()} == {'image', 'maps', 'masks', 'test'}


def test_without_logs_and_curves(data, tmp_path):
    data = change(change(data, 'cam', logs=[]), 'maps', curves=dict(val=tmp_path / 'none.csv'))
    page = write(data, tmp_path)
    assert not page.all('svg') + page.all('h2', id='losses') + page.all('h2', id='thresholds')


def test_without_anything(data, tmp_path):
    page = write(replace(data, stages=[], images={}, masks={}, versions={}, notes=[]), tmp_path)
    assert 'There is no image of val that all stages have files of.' in page.text


def test_tags_come_from_the_truth_without_maps(data, tmp_path):
    data = change(data, 'maps', folders={})
    assert 'im2\n<b>dog</b>\n' in write(data, tmp_path).text


def test_mask_of_another_size(data, tmp_path):
    write_mask_file(tmp_path / 'masks/im0.png', np.zeros((3, 3), np.uint8), PALETTE)
    data = change(data, 'masks', folders=dict(val=tmp_path / 'masks'))
    with pytest.raises(MaskError, match=r'masks/im0\.png is 3 x 3 where .*im0\.png is 8 x 6'):
        write(data, tmp_path)


def test_maps_of_another_size(data, tmp_path):
    write_cam_file(tmp_path / 'maps/im0.npz', np.array([0]), np.zeros((1, 3, 3)))
    data = change(data, 'maps', folders=dict(val=tmp_path / 'maps'))
    with pytest.raises(CAMFileError, match=r'maps are 3 x 3 where'):
        write(data, tmp_path)
    assert not (tmp_path / 'report.html').exists()


def test_input_that_does_not_fit(data, tmp_path):
    with pytest.raises(ValueError, match='num_pictures must be at least 0, got -1'):
        write(data, tmp_path, num_pictures=-1)
    with pytest.raises(ValueError, match='4 colours for 1 classes'):
        replace(data, classes=['background'])
