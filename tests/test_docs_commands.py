"""The commands of the README and of the pages: tools take them, and what they name is there.

Nothing of them is run: a shell reads each block, and what it would call is written down.
"""

import contextlib
import functools
import io
import os
import re
import subprocess
from inspect import signature
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from tests.loading import ROOT, load_file

PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]
TOOL = re.compile(r'(?:^|/)((?:tools|benchmarks)/(?:\w+/)?\w+\.py)$')
# of a block that shows what a tool takes, not a command
SCRIPT = re.compile(r'((?:tools|benchmarks)/\S+\.py)(.*?)(?=\bpython\b|\Z)', re.DOTALL)
SYNOPSIS = re.compile(r'(?<!=)\[[-A-Za-z]|(?<!\$)\bCONFIG\b(?!=)|CAM_DIR')
# tools whose checkpoint was trained with their config, whatever its folder is called
TRAINED = {'test.py', 'make_cams.py', 'make_walks.py', 'make_predictions.py'}
# settings that the configs leave at their defaults
NEW = {
    'model.affinity_head.head_channels',
    'model.loss_pce.repel_weight',
    'model.plus',
    'test_evaluator.metrics.1.erosion',
    'test_evaluator.metrics.1.output_dir',
}
RECORD = '#!/bin/bash\nprintf "%s\\n" "$(basename "$0")" "$@" "" >> "$RECORD"\n'


def shell_blocks(page):
    return re.findall(r'```bash\n(.*?)```', page.read_text(encoding='utf-8'), re.DOTALL)


@pytest.fixture(scope='module')
def shell(tmp_path_factory):
    """A function that returns the commands of a block as lists of words."""
    folder = tmp_path_factory.mktemp('shell')
    for name in ('tools', 'benchmarks', 'configs', 'docs'):
        (folder / name).symlink_to(ROOT / name)
    (folder / 'bin').mkdir()
    for name in ('python', 'pip', 'make', 'mim', 'srun'):
        (folder / 'bin' / name).write_text(RECORD)
        (folder / 'bin' / name).chmod(0o755)
    (folder / '.venv').mkdir()
    (folder / '.venv/bin').symlink_to(folder / 'bin')
    path = f'{folder / "bin"}:{os.environ["PATH"]}'

    def read(block):
        record = folder / 'record'
        record.write_text('')
        environment = dict(PATH=path, RECORD=str(record), HOME=str(folder))
        subprocess.run(
            ['bash', '-eu'], input=block, text=True, cwd=folder, env=environment, check=True
        )
        return [words.split('\n') for words in record.read_text().split('\n\n') if words]

    return read


@functools.cache
def load_tool(name):
    return load_file(name)


def parse(name, words):
    """Return what a tool makes of its words; fail with its message."""
    tool = load_tool(name)
    read = tool.make_parser().parse_args if hasattr(tool, 'make_parser') else tool.parse_args
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            return read(words)
        except SystemExit as end:
            assert '--help' in words, f'{name} {" ".join(words)}: {end} {said.getvalue()}'
    return said.getvalue()


def split_words(words):
    """Return the tool of a command and its own words, None where it is no tool's."""
    for i, word in enumerate(words):
        if found := TOOL.search(word):
            return found[1], words[i + 1 :]
    return None


@functools.cache
def read_config(path):
    return Config.fromfile(path)


def missing_key(cfg, key):
    """Return the first part of a dotted key that a config lacks."""
    if key in NEW:
        return None
    if key.split('.')[0] in signature(Runner).parameters:
        cfg = cfg if key.split('.')[0] in cfg else None
    for part in key.split('.'):
        if cfg is None:  # what is off by default, a CRF say, is switched on by its keys
            return None
        try:
            cfg = cfg[int(part) if isinstance(cfg, list) else part]
        except (KeyError, IndexError):
            # test_cfg has no key of what is off
            return None if part == 'crf' else part
    return None


def wrong_parts(name, words):
    """Return what is wrong with a command that its tool takes."""
    args = parse(name, words)
    config = getattr(args, 'config', None)
    named = [word for word in words if word.startswith('configs/')]
    if lost := [word for word in named if not (ROOT / word).exists()]:
        # an example of one's own config is described, not there
        return [word for word in lost if 'animals' not in word]
    if not isinstance(config, str) or config not in named or 'pipelines/' in config:
        return []
    cfg = read_config(str(ROOT / config))
    wrong = [key for key in (args.cfg_options or {}) if missing_key(cfg, key)]
    iters = re.search(r'work_dirs/.*/iter_(\d+)\.pth', getattr(args, 'checkpoint', None) or '')
    if iters and Path(name).name in TRAINED and int(iters[1]) != cfg.train_cfg.max_iters:
        wrong.append(f'{args.checkpoint}, which ends at iteration {cfg.train_cfg.max_iters}')
    return wrong


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_commands_of_a_page(page, shell, monkeypatch):
    monkeypatch.chdir(ROOT)
    # a block may use what an earlier one has set
    script = '\n'.join(block for block in shell_blocks(page) if not SYNOPSIS.search(block))
    commands = [found for words in shell(script) if (found := split_words(words))]
    assert bool(commands) == bool(re.search('tools/|benchmarks/', script))
    wrong = [f'{command}: {part}' for command in commands for part in wrong_parts(*command)]
    assert not wrong


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_options_that_a_page_shows(page):
    for block in shell_blocks(page):
        if not SYNOPSIS.search(block):
            continue
        for name, words in re.findall(
            r'((?:tools|benchmarks)/\S+\.py)(.*?)(?=\bpython\b|\Z)', block, re.DOTALL
        ):
            known = parse(name, ['--help'])
            options = set(re.findall(r'--[a-z][a-z-]*', words))
            assert not {option for option in options if not re.search(rf'{option}\b', known)}, name


@pytest.mark.parametrize(
    ('key', 'lacking'),
    [
        ('model.test_cfg.crf.bilateral.sxy', None),
        ('model.hed.x', 'hed'),
        ('model.new', 'new'),
        ('model.test_cfg.modee', 'modee'),
        ('model.affinity_head.head_channels', None),
        ('randomness.seed', None),
    ],
)
def test_missing_key(key, lacking):
    cfg = read_config(str(ROOT / 'configs/afa/afa_mit-tiny_emblems.py'))
    assert missing_key(cfg, key) == lacking
