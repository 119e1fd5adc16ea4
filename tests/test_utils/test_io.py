"""Files appear complete or not at all."""

import os
import signal
import subprocess
import sys

import pytest

from mmwsss.utils import atomic_write, io, remove_stale


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_bytes(tmp_path):
    with atomic_write(tmp_path / 'new/a.bin') as file:
        file.write(b'x')
    assert (tmp_path / 'new/a.bin').read_bytes() == b'x'
    assert names(tmp_path / 'new') == ['a.bin']


def test_text_is_utf8_with_plain_newlines(tmp_path):
    with atomic_write(tmp_path / 'a.txt', 'w') as file:
        file.write('ü\n')
    assert (tmp_path / 'a.txt').read_bytes() == 'ü\n'.encode()


def test_name_appears_at_the_end(tmp_path):
    with atomic_write(tmp_path / 'a') as file:
        file.write(b'x')
        assert not (tmp_path / 'a').exists()


def test_error_keeps_the_old_file(tmp_path):
    (tmp_path / 'a').write_bytes(b'old')
    with pytest.raises(RuntimeError, match='stop'), atomic_write(tmp_path / 'a') as file:
        file.write(b'new')
        raise RuntimeError('stop')
    assert (tmp_path / 'a').read_bytes() == b'old'
    assert names(tmp_path) == ['a']


def test_mode(tmp_path):
    with (
        pytest.raises(ValueError, match="mode must be 'w' or 'wb', got 'a'"),
        atomic_write(tmp_path / 'a', 'a'),
    ):
        pass


@pytest.fixture
def killed(tmp_path):
    """Folder in which a process was killed while it wrote."""
    # the file alone: importing the package takes seconds
    code = (
        'import os, runpy, signal, sys\n'
        'with runpy.run_path(sys.argv[1])["atomic_write"](sys.argv[2]) as file:\n'
        '    file.write(b"half")\n'
        '    os.kill(os.getpid(), signal.SIGKILL)\n'
    )
    command = [sys.executable, '-c', code, io.__file__, str(tmp_path / 'a')]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    return tmp_path


def test_killed_writer_leaves_no_file_under_the_name(killed):
    assert not (killed / 'a').exists()


def test_rest_of_a_killed_writer_is_removed(killed):
    assert len(names(killed)) == 1
    assert remove_stale(killed) == 1
    assert not names(killed)


def test_file_of_a_running_process_stays(tmp_path):
    with atomic_write(tmp_path / 'a'):
        assert remove_stale(tmp_path) == 0


def test_other_files_stay(tmp_path):
    for name in ('a', '.hidden', 'x.tmp', f'.a.otherhost-{os.getpid()}.tmp'):
        (tmp_path / name).touch()
    assert remove_stale(tmp_path) == 0


def test_folder_that_is_not_there(tmp_path):
    assert remove_stale(tmp_path / 'none') == 0
