"""What is installed with the package, and what it registers."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config
from mmseg.registry import DATASETS, MODELS, TRANSFORMS

import mmwsss

pytestmark = pytest.mark.stack
PIN = r"[\w.-]+==[\w.]+(; python(_full)?_version (>=|<) '3\.\d+(\.\d+)?')?"


def test_version_is_that_of_setup(repo):
    assert re.fullmatch(r'\d+\.\d+\.\d+', mmwsss.__version__)
    assert 'version=read_version()' in (repo / 'setup.py').read_text()


@pytest.mark.parametrize(
    ('registry', 'name'),
    [
        (MODELS, 'SEAM'),
        (MODELS, 'WeakSegmentor'),
        (DATASETS, 'ImageLevelDataset'),
        (TRANSFORMS, 'PackWeakInputs'),
    ],
)
def test_import_registers_without_a_prefix(registry, name):
    assert registry.get(name).__module__.startswith('mmwsss.')


def test_default_runtime_imports_the_package(repo):
    cfg = Config.fromfile(repo / 'configs/_base_/default_runtime.py')
    assert cfg.default_scope == 'mmseg'
    assert cfg.custom_imports == dict(imports=['mmwsss'], allow_failed_imports=False)


def test_model_index_lists_every_config(repo):
    index = yaml.safe_load((repo / 'model-index.yml').read_text())
    collections = {collection['Name'] for collection in index['Collections']}
    listed = {model['Config'] for model in index['Models']}
    found = {str(p.relative_to(repo)) for p in repo.glob('configs/*/*.py')}
    others = ('configs/_base_/', 'configs/pipelines/')
    assert listed == {name for name in found if not name.startswith(others)}
    for model in index['Models']:
        assert model['In Collection'] in collections
        assert model['Name'] == Path(model['Config']).stem


def test_requirements_are_pinned(repo):
    for path in repo.glob('requirements/*.txt'):
        lines = path.read_text().splitlines()
        packages = [line for line in lines if line and not line.startswith('#')]
        assert packages, path
        for line in packages:
            assert re.fullmatch(PIN, line), f'{path}: {line}'


def test_pins_lie_in_the_ranges_that_are_checked(repo):
    from mmwsss.compat import STACKS, _digits

    for stack, parts in STACKS.items():
        text = (repo / f'requirements/{stack}.txt').read_text()
        for name, oldest, limit in parts.values():
            pinned = re.search(rf'^{name}==(.+)$', text, re.MULTILINE)[1]
            assert _digits(oldest) <= _digits(pinned) < _digits(limit), name


def test_build_carries_what_openmim_looks_for(repo, tmp_path):
    """From a clean folder: building leaves nothing in the source tree."""
    source = tmp_path / 'source'
    shutil.copytree(repo, source, ignore=shutil.ignore_patterns('.*', 'tests', 'build', 'docs'))
    before = {path for path in source.rglob('*') if path.suffix != '.pyc'}
    command = [sys.executable, 'setup.py', '-q', 'build', '--build-base', str(tmp_path / 'build')]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    built = tmp_path / 'build/lib/mmwsss'
    carried = ['configs/seam/seam_r38_voc.py', 'tools/train.py', 'tools/dist_train.sh']
    for name in [*carried, 'model-index.yml']:
        assert (built / '.mim' / name).read_bytes() == (repo / name).read_bytes()
    for name in ('report.html', 'report.css'):
        assert (built / 'visualization/templates' / name).is_file()
    assert {path for path in source.rglob('*') if path.suffix != '.pyc'} == before
