"""What ends a tool from outside: Ctrl-C while it imports, and an output that nobody takes."""

import json
import os
import subprocess
import sys

import pytest

from tests.loading import ROOT

TOOLS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / 'tools').glob('**/*.py'))
HEAVY = ('numpy', 'torch', 'cv2', 'mmengine', 'mmcv', 'mmseg', 'prettytable', 'yaml')
# runs a tool once for each case, in a process that ends as the interpreter does
MAIN = """
import argparse, json, os, sys
from mmwsss.cli.launch import run_tool

def case(words, closed, errors):
    reader, writer = os.pipe()
    os.close(reader)
    if (child := os.fork()) == 0:
        os.dup2(writer if closed else os.open('/dev/full', os.O_WRONLY), 1)
        os.dup2(os.open(errors, os.O_CREAT | os.O_WRONLY), 2)
        parser = argparse.ArgumentParser(prog='x.py', description='word ' * 20000)
        parser.add_argument('--lines', type=int)
        run_tool(parser, lambda args: [print('y' * 99) for _ in range(args.lines)], words)
        sys.exit()
    os.close(writer)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status, open(errors).read()

found = []
for closed in (True, False):
    for words in (['--help'], ['--lines=1'], ['--lines=2000']):
        found.append(case(words, closed, f'{sys.argv[1]}/{len(found)}'))
print(json.dumps(found))
"""


@pytest.fixture(scope='module')
def interrupted(tmp_path_factory):
    """Return a folder of packages during whose import Ctrl-C comes."""
    folder = tmp_path_factory.mktemp('packages')
    for name in HEAVY:
        (folder / name).mkdir()
        (folder / name / '__init__.py').write_text('raise KeyboardInterrupt\n')
    return folder


@pytest.mark.parametrize('tool', TOOLS)
def test_ctrl_c_while_a_tool_imports_is_one_line(tool, interrupted):
    env = {**os.environ, 'PYTHONPATH': f'{interrupted}{os.pathsep}{ROOT}'}
    process = subprocess.run(
        [sys.executable, ROOT / tool], env=env, capture_output=True, text=True, check=False
    )
    assert process.stderr == f'{os.path.basename(tool)}: interrupted.\n'
    assert process.returncode == 130


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='of Linux')
def test_output_that_nobody_takes_is_no_traceback(tmp_path):
    env = {**os.environ, 'PYTHONPATH': str(ROOT)}
    words = [sys.executable, '-c', MAIN, str(tmp_path)]
    process = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    found = json.loads(process.stdout.splitlines()[-1])
    # newer versions of argparse drop what nobody takes of a long help
    assert found[0] in ([0, ''], [1, ''])
    assert found[1:3] == [[1, ''], [1, '']]
    for status, error in found[4:]:
        assert (status, error.count('\n')) == (2, 1)
        assert error.startswith('x.py: A file or the output cannot be written (No space left')
