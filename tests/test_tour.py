"""The notebook demo/mmwsss_tour.ipynb: its code runs, and what is stored in it is whole."""

import ast
import json
import re

import pytest

pytestmark = pytest.mark.stack

# what follows the cell of parameters here; a batch has 16 images
TINY = dict(NUM_TRAIN=16, NUM_VAL=8, CAM_ITERS=6, SEG_ITERS=6)
MAX_BYTES = 900_000
ABSOLUTE = re.compile(r'(?<![\w.:/<}])/[\w.~-]+/|\b[A-Za-z]:\\')


@pytest.fixture
def path(repo):
    return repo / 'demo/mmwsss_tour.ipynb'


@pytest.fixture
def notebook(path):
    return json.loads(path.read_text(encoding='utf-8'))


def text_of(value):
    """Return a text, which a notebook may store as a list of lines."""
    return value if isinstance(value, str) else ''.join(value)


def code_cells(notebook):
    return [cell for cell in notebook['cells'] if cell['cell_type'] == 'code']


def is_parameters(cell):
    return 'parameters' in cell['metadata'].get('tags', [])


def run_cell(cell, scope):
    """Run the code of a cell and return the value of its last line, as Jupyter does."""
    module = ast.parse(text_of(cell['source']))
    last = module.body.pop() if isinstance(module.body[-1], ast.Expr) else None
    exec(compile(module, cell['id'], 'exec'), scope)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), cell['id'], 'eval'), scope)


def shows_picture(cell):
    return any('image/jpeg' in output.get('data', {}) for output in cell['outputs'])


def test_code_runs_and_shows_the_stored_pictures(repo, notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(repo)
    monkeypatch.setenv('MPLBACKEND', 'Agg')
    scope, cells = {}, code_cells(notebook)
    for cell in cells:
        value = run_cell(cell, scope)
        if is_parameters(cell):
            assert scope.keys() >= {'FOLDER', *TINY}
            scope.update(TINY, FOLDER=str(tmp_path / 'tour'))
        picture = getattr(value, '_repr_jpeg_', None)
        assert (picture is not None) == shows_picture(cell), cell['id']
        assert picture is None or picture().startswith(b'\xff\xd8')
    assert sum(map(shows_picture, cells)) >= 5
    written = {entry.name for entry in (tmp_path / 'tour').iterdir()}
    assert written == {'emblems', 'cam', 'figures', 'masks', 'segmentation'}


def test_every_cell_is_stored_with_its_output(notebook):
    cells = code_cells(notebook)
    assert [cell['execution_count'] for cell in cells] == list(range(1, len(cells) + 1))
    silent = [cell['id'] for cell in cells if not cell['outputs'] and not is_parameters(cell)]
    assert not silent


def test_neither_errors_nor_warnings_are_stored(notebook):
    outputs = [output for cell in code_cells(notebook) for output in cell['outputs']]
    assert all(output['output_type'] != 'error' for output in outputs)
    assert all(output.get('name') != 'stderr' for output in outputs)


def stored_texts(notebook):
    """Return all that is stored and no picture."""
    texts = [text_of(cell['source']) for cell in notebook['cells']]
    for output in (output for cell in code_cells(notebook) for output in cell['outputs']):
        texts.append(text_of(output.get('text', '')))
        texts += [text_of(v) for k, v in output.get('data', {}).items() if k.startswith('text/')]
    return texts


def test_no_absolute_path_is_stored(notebook):
    found = [hit[0] for text in stored_texts(notebook) for hit in ABSOLUTE.finditer(text)]
    assert not found


def test_absolute_paths_would_be_found():
    bad = ['from path: /home/me/x.pth', "'/tmp/x/y'", 'File "/usr/lib/x.py"', 'C:\\me']
    good = ['a / b', 'https://host.org/a/b', '../docs/a.md', 'work_dirs/x/', '{A}/b/', '</p>']
    assert all(ABSOLUTE.search(text) for text in bad)
    assert not any(ABSOLUTE.search(text) for text in good)


def test_kernel_is_any_python_and_the_file_is_small(path, notebook):
    assert notebook['metadata']['kernelspec']['name'] == 'python3'
    assert path.stat().st_size < MAX_BYTES


def test_links_lead_to_pages(path, notebook):
    text = '\n'.join(text_of(c['source']) for c in notebook['cells'] if c['cell_type'] != 'code')
    links = re.findall(r'\]\(([^)#]+)', text)
    assert len(links) > 10
    assert all((path.parent / link).is_file() for link in links)
