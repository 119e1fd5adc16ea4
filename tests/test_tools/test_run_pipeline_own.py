"""run_pipeline.py on photographs of one's own, from tags to the masks of new pictures."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmwsss.engine import launch
from tests.loading import load_file
from tests.weak_data import make_image, save_image, save_mask, save_text

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
SEAM = str(ROOT / 'configs/pipelines/seam_r38_voc.py')
TEMPLATE = ROOT / 'configs/pipelines/seam_r38-tiny_emblems.py'
SIZES = [(40, 60), (200, 150), (50, 40), (130, 140)]
TAGS = ['cat', 'dog', 'cat;dog', '']


tool = load_file('tools/run_pipeline.py')


def run(*words):
    launch.run_tool(tool.make_parser(), tool.main, [str(word) for word in words])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Write photographs of several sizes with tags, and masks of two; go there."""
    names = ['cat', 'dog']
    lines = ['image,labels']
    for number, (size, tags) in enumerate(zip(SIZES, TAGS, strict=True)):
        indices = [names.index(tag) + 1 for tag in tags.split(';') if tag]
        image, mask, _ = make_image(indices, size, number)
        save_image(tmp_path / f'animals/photos/p{number}.png', image)
        if number < 2:
            save_mask(tmp_path / f'animals/masks/p{number}.png', mask)
        lines.append(f'p{number}.png,{tags}')
    save_text(tmp_path / 'animals/tags.csv', '\n'.join(lines))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')
    return tmp_path


def short_template(path):
    """Write the tiny pipeline with masks made of the maps of the baseline."""
    cfg = Config.fromfile(TEMPLATE)
    kept = ('data', 'cam', 'seam_maps', 'masks', 'segmentation', 'test')
    stages = {stage.name: stage for stage in cfg.stages if stage.name in kept}
    stages['seam_maps'].model = 'cam'
    stages['masks'].cams = 'seam_maps'
    cfg.stages = list(stages.values())
    save_text(path, cfg.dump())
    return path


def short(*trainings):
    """Return the options by which trainings take one iteration of two images."""
    single = {'train_cfg.max_iters': 1, 'train_dataloader.batch_size': 2}
    return [f'stages.{name}.options.{key}={n}' for name in trainings for key, n in single.items()]


def test_from_tags_to_the_masks_of_new_pictures(folder, capfd):
    run(
        short_template(folder / 'tiny.py'),
        *('--images', 'animals/photos', '--labels', 'animals/tags.csv'),
        *('--masks', 'animals/masks', '--workers', 1),
        *('--cfg-options', 'stages.masks.bg_alpha=None', 'stages.masks.bg_score=otsu'),
        *short('cam', 'segmentation'),
    )
    said = capfd.readouterr().out
    work = folder / 'work_dirs/tiny-animals'
    assert '4 photographs, tagged cat 2, dog 2; 2 have a mask and are evaluated.' in said
    found = json.loads((work / 'results.json').read_text())['stages']
    assert found['test']['files'] == {'train': 4}
    assert found['test']['figures']['train']['pairs'] == 2
    report = (work / 'report.html').read_text(encoding='utf-8')
    assert re.search(r'masks of train: background score 0\.\d+, chosen without true masks', report)
    command = next(line for line in said.splitlines() if line.startswith('apply:'))
    save_image(folder / 'new/deep/x.jpg', make_image([1], (300, 200), 7)[0])
    words = shlex.split(command.replace('NEW_FOLDER', 'new'))[2:]
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    with Image.open(folder / 'out/masks/deep/x.png') as mask:
        assert mask.size == (200, 300) and set(np.unique(mask)) <= {0, 1, 2}
    assert (folder / 'out/overlays/deep/x.jpg').is_file()


@pytest.mark.parametrize(
    'words, match',
    [
        ([], 'Give the config of a pipeline, or --images and --labels'),
        (['--images', 'animals/photos'], 'need both --images and --labels'),
        ([TEMPLATE, '--classes', 'dog'], 'need both --images and --labels'),
        (
            [SEAM, '--images', 'animals/photos', '--labels', 'animals/tags.csv'],
            'run_pipeline.py: The pretrained weights mmwsss://resnet38d are not here: get it',
        ),
        (
            [TEMPLATE, '--images', 'animals/photos', '--labels', 'tags.csv'],
            'run_pipeline.py: --labels tags.csv: there is no such file',
        ),
    ],
)
def test_a_wrong_call_is_one_sentence(folder, capsys, words, match):
    with pytest.raises(SystemExit) as info:
        run(*words, '--dry-run')
    assert info.value.code == 2
    assert re.search(match, capsys.readouterr().err)
