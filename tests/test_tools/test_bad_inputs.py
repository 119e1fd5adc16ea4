"""Every path that any tool takes, given what it should not be: one sentence, no traceback."""

import json
import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmwsss.cli.launch import one_sentence, run_tool
from mmwsss.datasets import EmblemsSettings, make_emblems
from mmwsss.evaluation import write_cam_file
from tests.loading import ROOT, load_file
from tests.tiny_models import CAM_MODEL, save_training

EMBLEMS = 'configs/cam/cam_r38-tiny_emblems.py'
WALK = 'configs/affinitynet/affinitynet_r38-tiny_emblems.py'
# Tool, and its words: IN is the argument that is wrong, OUT one that is written. One line for
# each argument; im, masks, maps, l.csv, a.json and w.pth are as they should be.
TABLE = """
tools/infer.py                                IN CONFIG WEIGHTS --out-dir out --device cpu
tools/infer.py                                im --work-dir IN --out-dir out
tools/infer.py                                im IN WEIGHTS --out-dir out
tools/infer.py                                im EMBLEMS IN --out-dir out
tools/train.py                                IN --work-dir out
tools/test.py                                 IN WEIGHTS --work-dir out
tools/test.py                                 EMBLEMS IN --work-dir out
tools/run_pipeline.py                         IN --work-dir out
tools/run_pipeline.py                         --images IN --labels l.csv --work-dir out
tools/run_pipeline.py                         --images im --labels IN --work-dir out
tools/run_pipeline.py                         --images im --labels l.csv --masks IN --work-dir out
tools/make_cams.py                            IN WEIGHTS --out-dir out
tools/make_cams.py                            EMBLEMS IN --out-dir out
tools/make_predictions.py                     IN WEIGHTS --out-dir out
tools/make_predictions.py                     EMBLEMS IN --out-dir out
tools/make_walks.py                           IN WEIGHTS --cams maps --out-dir out
tools/make_walks.py                           WALK IN --cams walks --out-dir out
tools/make_walks.py                           WALK WEIGHTS --cams IN --out-dir out
tools/make_pseudo_masks.py                    IN --images im --out-dir out --workers 1
tools/make_pseudo_masks.py                    maps --images IN --out-dir out --workers 1
tools/make_pseudo_masks.py                    maps --images im --out-dir OUT --workers 1
tools/make_pseudo_masks.py                    maps --images im --out-dir out --data-root IN
tools/make_affinity_labels.py                 IN --images im --out-dir out --style psa
tools/make_affinity_labels.py                 maps --images IN --out-dir out --style psa
tools/make_affinity_labels.py                 maps --images im --out-dir OUT --style psa
tools/refine_maps.py                          IN --images im --out-dir out --workers 1
tools/refine_maps.py                          maps --images IN --out-dir out --workers 1
tools/refine_maps.py                          maps --images im --out-dir OUT --workers 1
tools/download_weights.py                     --for IN
tools/eval_masks.py                           IN masks --classes dog --workers 1
tools/eval_masks.py                           masks IN --classes dog --workers 1
tools/eval_masks.py                           masks masks --classes dog --split IN --workers 1
tools/eval_masks.py                           masks masks --classes dog --out OUT/a.json
tools/eval_cams.py                            IN masks --classes dog --workers 1
tools/eval_cams.py                            maps IN --classes dog --workers 1
tools/eval_cams.py                            maps masks --classes dog --split IN --workers 1
tools/dataset_converters/check_dataset.py     IN --workers 1
tools/dataset_converters/check_dataset.py     --images IN --labels l.csv --classes dog --workers 1
tools/dataset_converters/check_dataset.py     --images im --labels IN --classes dog --workers 1
tools/dataset_converters/check_dataset.py     --images im --masks IN --classes dog --workers 1
tools/dataset_converters/make_image_labels.py IN out.json --classes dog
tools/dataset_converters/make_image_labels.py l.csv OUT/a.json --classes dog
tools/dataset_converters/make_image_labels.py l.csv out.json --classes dog --split IN
tools/dataset_converters/coco2voc_masks.py    IN out --workers 1
tools/dataset_converters/make_emblems.py      OUT --workers 1
tools/model_converters/afa2mmwsss.py          IN out.pth
tools/model_converters/affinitynet2mmwsss.py  IN out.pth
tools/model_converters/irn2mmwsss.py          IN out.pth
tools/model_converters/mit2mmwsss.py          IN out.pth
tools/model_converters/resnet38_mxnet2mmwsss.py IN out.pth
tools/model_converters/seam2mmwsss.py         IN out.pth
tools/model_converters/semformer2mmwsss.py    IN out.pth --part caae
tools/model_converters/mctformer2mmwsss.py    IN out.pth
tools/model_converters/toco2mmwsss.py         IN out.pth
tools/model_converters/vit2mmwsss.py          IN out.pth
tools/analysis_tools/browse_cams.py           --images IN --cams maps --classes dog --out out.html
tools/analysis_tools/browse_cams.py           --images im --cams IN --classes dog --out out.html
tools/analysis_tools/browse_cams.py           --images im --masks IN --classes dog --out out.html
tools/analysis_tools/browse_dataset.py        IN --out out.html
tools/analysis_tools/compare_runs.py          IN
tools/analysis_tools/get_flops.py             IN
tools/analysis_tools/affinity_confusion.py    IN WEIGHTS
tools/analysis_tools/draw_affinity.py         IN WEIGHTS im/a.png --points 1,1 --out o.png
tools/infer.py                                im CONFIG WEIGHTS --tags IN --out-dir out --device cpu
tools/infer.py                                im CONFIG WEIGHTS --out-dir OUT --device cpu
tools/train.py                                EMBLEMS --work-dir OUT
tools/test.py                                 EMBLEMS WEIGHTS --work-dir OUT
tools/run_pipeline.py                         --images im --labels l.csv --work-dir OUT
tools/make_cams.py                            EMBLEMS WEIGHTS --out-dir OUT
tools/make_cams.py                            EMBLEMS WEIGHTS --out-dir out --split IN
tools/make_predictions.py                     EMBLEMS WEIGHTS --out-dir OUT
tools/make_walks.py                           WALK WEIGHTS --cams maps --out-dir OUT
tools/eval_cams.py                            maps masks --classes dog --workers 1 --out OUT/a.json
tools/dataset_converters/coco2voc_masks.py    a.json OUT --classes dog --workers 1
tools/analysis_tools/browse_cams.py           --images im --cams maps --classes dog --out OUT/a.html
tools/analysis_tools/browse_dataset.py        EMBLEMS --out OUT/a.html
benchmarks/emblems_table.py         --only-table --write IN
benchmarks/photographs_table.py     IN own --classes dog
benchmarks/photographs_table.py     own IN --classes dog
benchmarks/benchmark.py             IN --device cpu
benchmarks/benchmark_dense_crf.py   IN --device cpu --labels 2 --size 8 8 --iters 1
"""
# These take no path: numbers, names of devices and switches alone.
NO_PATHS = (
    *('benchmark_afa.py', 'benchmark_afa_labels.py', 'benchmark_par.py'),
    *('benchmark_random_walk.py', 'benchmark_views.py', 'make_model_zoo.py'),
    *('benchmark_mctformer.py', 'benchmark_toco.py'),
)
ROWS = [line.split(maxsplit=1) for line in TABLE.strip().splitlines()]
# a picture is no bad input of these
PICTURES = ('IN CONFIG', 'IN --device cpu --labels')
SECONDS = 60
TRUNCATED = '{"image": ["do'


def missing(path):
    pass


def folder(path):
    path.mkdir()


def empty(path):
    path.touch()


def noise(path):
    path.write_bytes(np.random.default_rng(0).bytes(500))


def truncated(path):
    path.write_text(TRUNCATED)


def picture(path):
    Image.new('L', (50, 40)).save(path, 'PNG')


def unreadable(path):
    if os.geteuid() == 0:
        pytest.skip('root may read everything')
    path.write_text('image,labels\n')
    path.chmod(0)


def pipe(path):
    os.mkfifo(path)


INPUTS = (missing, folder, empty, noise, truncated, picture, unreadable, pipe)
OUTPUTS = (empty, pipe)
NAMES = ('bad', 'bad.csv', 'bad.json', 'bad.npy', os.fsdecode(b'bad\xff.pth'))


@pytest.fixture(scope='module')
def good(tmp_path_factory):
    """Return a folder of what is as it should be."""
    root = tmp_path_factory.mktemp('good')
    rng = np.random.default_rng(0)
    for name in ('im', 'masks', 'maps'):
        (root / name).mkdir()
    for name in 'ab':
        pixels = rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f'im/{name}.jpg')
        Image.fromarray(pixels[..., 0] % 2).save(root / f'masks/{name}.png')
        maps = rng.random((1, 40, 50), dtype=np.float32)
        write_cam_file(root / f'maps/{name}.npz', np.array([0]), maps)
    for name in ('val_00000', 'val_00001'):
        maps = rng.random((1, 32, 32), dtype=np.float32)
        write_cam_file(root / f'walks/{name}.npz', np.array([0]), maps)
    make_emblems(root / 'data/emblems', EmblemsSettings(2, 2, 32), workers=1)
    save_training(root, CAM_MODEL)
    (root / 'l.csv').write_text('image,labels\na.jpg,dog\nb.jpg,\n')
    coco = dict(
        images=[dict(id=1, file_name='a.jpg', height=9, width=9)],
        annotations=[],
        categories=[dict(id=1, name='dog')],
    )
    (root / 'a.json').write_text(json.dumps(coco))
    (root / 'own').mkdir()
    for name, part in (('images', 'im'), ('masks', 'masks'), ('labels.csv', 'l.csv')):
        (root / 'own' / name).symlink_to(root / part)
    return root


def run(tool, words, capsys):
    """Run a tool in this process and return its status and what it printed."""
    names = re.search(r'run_tool\((\w+)\(\), (\w+)\)', (ROOT / tool).read_text())
    module = load_file(tool)
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail('it hangs'))
    signal.alarm(SECONDS)
    try:
        if names is None:
            with one_sentence(tool):
                module.main(words)
        else:
            parser, main = (getattr(module, name) for name in names.groups())
            run_tool(parser(), main, words)
        status = 0
    except SystemExit as end:
        status = end.code or 0
    finally:
        signal.alarm(0)
    return status, capsys.readouterr()


def cases():
    """Return each row with each input."""
    found = []
    for number, (tool, words) in enumerate(ROWS):
        for make in OUTPUTS if 'OUT' in words else INPUTS:
            if make is not picture or not words.startswith(PICTURES):
                name = f'{Path(tool).stem}-{number}-{make.__name__}'
                found.append(pytest.param(tool, words, make, id=name))
    return found


@pytest.mark.parametrize(('tool', 'words', 'make'), cases())
def test_bad_input_is_one_sentence(tool, words, make, good, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT / tool).rpartition('/')[0])
    for path in good.iterdir():
        (tmp_path / path.name).symlink_to(path)
    # the name decides the reader: each kind of content meets another one
    name = NAMES[(INPUTS.index(make) + len(words)) % len(NAMES)]
    make(tmp_path / name)
    config, weights = (str(next(good.glob(f'*.{kind}'))) for kind in ('py', 'pth'))
    places = dict(EMBLEMS=ROOT / EMBLEMS, WALK=ROOT / WALK, CONFIG=config, WEIGHTS=weights)
    argv = [str(places.get(word, word)) for word in words.split()]
    argv = [word.replace('IN', name).replace('OUT', name) for word in argv]
    status, printed = run(tool, argv, capsys)
    text = printed.err + printed.out
    assert status in (1, 2), text
    assert 'bad' in text or TRUNCATED in text
    assert 'Traceback' not in text
    if status == 2:
        assert len(printed.err.strip().splitlines()) == 1, printed.err


def test_every_tool_is_in_the_table():
    scripts = [*ROOT.glob('tools/**/*.py'), *ROOT.glob('benchmarks/*.py')]
    tools = {str(path.relative_to(ROOT)) for path in scripts if '__main__' in path.read_text()}
    assert {tool for tool in tools if Path(tool).name not in NO_PATHS} == {tool for tool, _ in ROWS}
