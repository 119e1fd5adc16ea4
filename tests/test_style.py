"""The rules of the house that a tool can hold and ruff does not."""

import ast
from functools import cache
from pathlib import Path

import mmengine
import mmseg
import pytest
from mmengine import registry as root
from mmseg import registry

ROOT = Path(__file__).parents[1]
CODE = sorted(
    [*ROOT.glob('mmwsss/**/*.py'), *ROOT.glob('tools/**/*.py'), *ROOT.glob('benchmarks/*.py')]
)
CONFIGS = sorted(path for path in ROOT.glob('configs/**/*.py'))
REGISTRIES = {
    name: getattr(registry, name) for name in dir(registry) if name.isupper() and name != 'RUNNERS'
}
FAMILIES = (
    'losses',
    'numbered',
    'transforms',
    'transformations',
)  # many short classes, a family a file


@cache
def tree(path):
    return ast.parse(path.read_text())


def short(path):
    return str(path.relative_to(ROOT))


def functions(path):
    return [
        node
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]


def body_lines(function):
    """Count the lines of a function's body, docstring left out."""
    body = function.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def registered():
    """Return (registry, name, class) of all that this package registers."""
    return [
        (kind, name, thing)
        for kind, entries in REGISTRIES.items()
        for name, thing in entries.module_dict.items()
        if thing.__module__.startswith('mmwsss.')
    ]


def snake(name):
    """Return the file name that belongs to a class name (ResNet38d: resnet38d)."""
    return name.replace('_', '').lower()


def test_there_is_something_to_check():
    assert len(CODE) > 20
    assert len(registered()) > 20


def test_modules_have_at_most_400_lines():
    long = {short(p): n for p in CODE if (n := len(p.read_text().splitlines())) > 400}
    assert not long


def test_functions_have_at_most_40_lines():
    long = {
        f'{short(path)}:{f.lineno} {f.name}': n
        for path in CODE
        for f in functions(path)
        if (n := body_lines(f)) > 40
    }
    assert not long


def test_modules_begin_with_one_sentence():
    wrong = [
        short(path)
        for path in [*CODE, *CONFIGS]
        if not (ast.get_docstring(tree(path)) or '').split('\n\n')[0].endswith('.')
    ]
    assert not wrong


def test_nobody_asserts():
    found = [
        f'{short(path)}:{node.lineno}'
        for path in CODE
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Assert)
    ]
    assert not found


def test_no_module_imports_a_private_name_of_another():
    found = [
        f'{short(path)}:{node.lineno} {alias.name}'
        for path in CODE
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom)
        if node.level or (node.module or '').startswith('mmwsss')
        for alias in node.names
        if alias.name.startswith('_') and not alias.name.startswith('__')
    ]
    assert not found


def test_only_what_tools_share_takes_their_arguments():
    found = [
        short(path)
        for path in CODE
        if short(path).startswith('mmwsss/') and not short(path).startswith('mmwsss/cli/')
        if 'argparse.Namespace' in path.read_text()
    ]
    assert not found


def test_compiled_operators_and_mmpretrain_are_not_imported():
    found = []
    for path in CODE:
        for node in tree(path).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ''] if isinstance(node, ast.ImportFrom) else []
            found += [short(path) for n in names if n.startswith(('mmcv.ops', 'mmpretrain'))]
    assert not found


def test_stack_differences_sit_in_compat():
    words = ('onedl', 'openmmlab', 'mmcv_version', 'mmengine.__version__')
    found = [
        f'{short(path)}: {word}'
        for path in CODE
        if path.name != 'compat.py'
        for word in words
        # an address of weights is no difference
        if word in path.read_text().lower().replace('download.openmmlab.com', '')
    ]
    assert not found


def test_classes_are_found_by_their_name():
    wrong = []
    for kind, name, thing in registered():
        parts = thing.__module__.split('.')
        if not set(parts) & set(FAMILIES) and snake(parts[-1]) != snake(thing.__name__):
            wrong.append(f'{kind} {name} lies in {thing.__module__}')
    assert not wrong


def test_registered_names_clash_with_nobody():
    """A name that MMSegmentation or MMEngine registers too blows up in their files."""
    clashes = []
    for kind, name, _ in registered():
        parent = getattr(root, kind, None)
        if parent is not None and name in parent.module_dict:
            clashes.append(f'{kind} {name} of mmengine')
    sources = [Path(package.__file__).parent for package in (mmseg, mmengine)]
    theirs = {
        node.name
        for source in sources
        for path in source.rglob('*.py')
        if '.mim' not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and node.decorator_list
    }
    assert len(theirs) > 100
    clashes += [name for _, name, _ in registered() if name in theirs]
    assert not clashes


def bases(path):
    """Return the files that a config names in ``_base_``."""
    for node in tree(path).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == '_base_':
            value = ast.literal_eval(node.value)
            return [
                (path.parent / v).resolve() for v in ([value] if isinstance(value, str) else value)
            ]
    return []


def depth(path):
    return max((1 + depth(base) for base in bases(path)), default=0)


def test_configs_are_found():
    assert len(CONFIGS) > 1


def test_configs_inherit_at_most_twice():
    deep = {short(path): n for path in CONFIGS if (n := depth(path)) > 2}
    assert not deep


@pytest.mark.parametrize('key', ['default_scope', 'custom_imports'])
def test_only_default_runtime_sets_scope_and_imports(key):
    setting = {
        short(path)
        for path in CONFIGS
        for node in tree(path).body
        if isinstance(node, ast.Assign) and node.targets[0].id == key
    }
    # a backbone of MMPretrain has to import it besides, timm is asked for before a training begins
    optional = ('mmpretrain', 'timm')
    allowed = {
        name for name in setting if key == 'custom_imports' and any(o in name for o in optional)
    }
    assert setting - allowed == {'configs/_base_/default_runtime.py'}
