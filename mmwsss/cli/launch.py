"""What the command-line tools do before they hand over to MMEngine's Runner."""

from __future__ import annotations

import argparse
import gc
import io
import logging
import os
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.runner import Runner
from mmseg.registry import RUNNERS

from mmwsss.compat import CheckpointError
from mmwsss.errors import UsageError
from mmwsss.utils import shown, user_sentence
from mmwsss.utils.processes import die_with_parent

from .config_keys import mistyped_names, wrong_key

INTERRUPTED = 130  # status of a process that Ctrl-C ended, as shells tell it
SYNC_NORMS = ('SyncBN', 'SyncBatchNorm', 'MMSyncBN', 'torch.nn.SyncBatchNorm')


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that MMSegmentation's tools share.

    Args:
        parser: Parser of the tool.
    """
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='set entries of the config: model.test_cfg.mode=whole, lists as key="[a,b]" or '
        'key=a,b, nested ones as key="[(a,b),(c,d)]", without spaces',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started the processes; pytorch is torchrun',
    )
    # torch.distributed.launch hands it over; torchrun sets LOCAL_RANK instead
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def run_tool(
    parser: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], None],
    argv: Sequence[str] | None = None,
) -> None:
    """Parse the command line and run a tool, see :func:`one_sentence`.

    Args:
        parser: Parser of the tool.
        run: What the tool does with the parsed arguments.
        argv: Arguments, those of the process by default.
    """
    # argparse would print all options before
    parser.error = lambda message: parser.exit(  # type: ignore[method-assign]
        2, f'{parser.prog}: {message}; --help lists the options.\n'
    )
    with one_sentence(parser.prog):
        try:
            args = parser.parse_args(argv)
        except ValueError as error:  # of DictAction, on a word without '='
            raise UsageError('--cfg-options takes words of the form key=value.') from error
        os.environ.setdefault('LOCAL_RANK', str(getattr(args, 'local_rank', 0)))
        run(args)
    _leave_group()


@contextmanager
def one_sentence(prog: str) -> Iterator[None]:
    """End the process with one sentence and status 2 where the block does what a user can cause.

    Ctrl-C ends it with one line and status 130. A tool whose output goes to a program that has
    ended, as in ``| head``, ends silently, with status 1; one whose output does not fit on a disk
    ends with a sentence.

    Args:
        prog: Name of the tool.
    """
    if sys.stdout is None:  # it was closed by the shell
        sys.stdout = open(os.devnull, 'w')
    for stream in (sys.stdout, sys.stderr):
        # names need not be of the encoding of the terminal, nor of any
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')
    # a log that cannot be written is no traceback for each of its lines
    logging.raiseExceptions = False
    try:
        try:
            yield
        except SystemExit:
            sys.stdout.flush()
            raise
        sys.stdout.flush()
    except KeyboardInterrupt:
        _exit(INTERRUPTED, f'{prog}: interrupted; what is finished stays.')
    except (UsageError, CheckpointError) as error:
        _record(UsageError(error))
        _exit(2, f'{prog}: {error}')
    except Exception as error:
        if isinstance(error, OSError) and _drop_output(error):
            sys.exit(1)
        sentence = user_sentence(error)
        if sentence is None:
            _record(error)
            raise
        _record(UsageError(sentence))
        _exit(2, f'{prog}: {sentence}')


def _record(error: Exception) -> None:
    """Write what went wrong where torchrun, or a pipeline, looks for it."""
    if 'TORCHELASTIC_ERROR_FILE' in os.environ:
        from torch.distributed.elastic.multiprocessing.errors import get_error_handler

        with suppress(OSError):  # of a disk that is full
            get_error_handler().record_exception(error)


def _exit(status: int, line: str) -> NoReturn:
    print(line, file=sys.stderr)
    sys.exit(status)


def _drop_output(error: OSError) -> bool:
    """Drop what standard output does not take any more; tell whether nobody reads it."""
    import select

    closed = isinstance(error, BrokenPipeError)
    try:
        output = sys.stdout.fileno()
        if closed and hasattr(select, 'poll'):  # not on Windows
            poll = select.poll()
            poll.register(output, 0)
            closed = bool(poll.poll(0))
        sys.stdout.flush()
    except io.UnsupportedOperation:  # it is no file, as in tests
        return False
    except OSError:
        # the interpreter flushes once more when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return closed


def _read_config(path: str) -> Config:
    problem = ''
    with warnings.catch_warnings():
        # MMEngine leaves a temporary file open when it fails
        warnings.simplefilter('ignore', ResourceWarning)
        try:
            return Config.fromfile(path)
        except Exception as error:
            # a config is a program, which may raise anything
            if isinstance(error, ImportError):
                error = error.__cause__ or error  # MMEngine wraps it in all of sys.path
            kind = '' if isinstance(error, (OSError, SyntaxError)) else f'{type(error).__name__}: '
            problem = kind + ' '.join(str(error).split())[:300].rstrip('.')
        gc.collect()
    raise UsageError(f'The config {shown(path)} cannot be read: {problem}.')


def merge_options(
    cfg: Config, options: Mapping[str, Any], path: str, known: Collection[str] = ()
) -> None:
    """Set entries of a config.

    Args:
        cfg: The config, changed in place.
        options: By dotted key.
        path: Of the config, for errors.
        known: Names of the first level, where it is no config of MMEngine.

    Raises:
        UsageError: an option does not fit the config.
    """
    for key in options:
        if problem := wrong_key(str(key), cfg, known):
            raise UsageError(f'--cfg-options {key} does not fit {path}: {problem}.')
    try:
        cfg.merge_from_dict(dict(options))
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        raise UsageError(f'--cfg-options does not fit {path}: {error}.') from error


def read_config(
    path: str, options: Mapping[str, Any] | None = None, known: Collection[str] = ()
) -> Config:
    """Read a config with overrides.

    Args:
        path: The file.
        options: By dotted key.
        known: Names of the first level, where it is no config of MMEngine.

    Raises:
        UsageError: the file is missing or wrong, or an option does not fit it.
    """
    if not Path(path).is_file():
        raise UsageError(f'There is no config {shown(path)}; check the path.')
    cfg = _read_config(path)
    if problem := mistyped_names(cfg, known):
        raise UsageError(f'The config {path} cannot be used: {problem}; correct the name.')
    merge_options(cfg, options or {}, path, known)
    return cfg


def load_config(args: argparse.Namespace) -> Config:
    """Read the config that the arguments of a tool name, with a ``launcher`` and a ``work_dir``.

    Args:
        args: ``config``, ``cfg_options``, ``work_dir`` and ``launcher``.

    Raises:
        UsageError: the file is missing or wrong, or an option does not fit it.
    """
    cfg = read_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    name = Path(args.config).stem
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or str(Path('work_dirs') / name)
    return cfg


def check_checkpoint(path: str) -> None:
    """Make sure that a checkpoint named on the command line or in a config is there.

    Args:
        path: Local file, or an address with a scheme, which is left to the loader.

    Raises:
        UsageError: the local file is missing.
    """
    if '://' not in path and not Path(path).expanduser().is_file():
        raise UsageError(f'There is no checkpoint {shown(path)}; check the path.')


def use_amp(cfg: Config) -> None:
    """Turn on automatic mixed precision.

    Args:
        cfg: Config of a training, changed in place.

    Raises:
        UsageError: there is no GPU, or the optimiser wrapper is of another kind.
    """
    kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise UsageError(f'--amp needs the optim_wrapper OptimWrapper, the config has {kind}.')
    if get_device() in ('cpu', 'mps'):
        raise UsageError('--amp needs a GPU and none was found; train without --amp.')
    if kind == 'OptimWrapper':
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def without_sync_norm(model: Any) -> Any:
    """Return a model's config with plain batch norm in the place of synchronised.

    Args:
        model: Config of a model; it is not changed.

    Example:
        >>> without_sync_norm(dict(heads=[dict(norm_cfg=dict(type='SyncBN', eps=1e-3))]))
        {'heads': [{'norm_cfg': {'type': 'BN', 'eps': 0.001}}]}
    """
    if isinstance(model, dict):
        fresh = {key: without_sync_norm(value) for key, value in model.items()}
        if fresh.get('type') in SYNC_NORMS:
            fresh['type'] = 'BN'
        return fresh
    if isinstance(model, (list, tuple)):
        return type(model)(without_sync_norm(value) for value in model)
    return model


def prepare_distributed(cfg: Config) -> None:
    """Make a run of several processes work on CPUs, and let none outlive ``torchrun``.

    MMEngine asks for a GPU when it starts the group and when it wraps the model, and
    synchronised batch norm has no CPU kernel. So the group (gloo) is started here, the wrapper
    gets no device, and batch norm becomes the plain one.

    Args:
        cfg: Config with ``launcher``, changed in place.

    Raises:
        UsageError: the processes were not started by ``torchrun``.
    """
    if cfg.get('launcher', 'none') == 'none':
        return
    if cfg.launcher == 'pytorch' and 'RANK' not in os.environ:
        raise UsageError(
            '--launcher pytorch needs torchrun; start it with tools/dist_train.sh or dist_test.sh.'
        )
    if 'TORCHELASTIC_RUN_ID' in os.environ:
        # else the processes of a torchrun that was killed go on, into the files of the next one
        die_with_parent()
    if get_device() != 'cpu':
        return
    if cfg.launcher != 'pytorch':
        raise UsageError(f'--launcher {cfg.launcher} needs GPUs; on CPUs take pytorch (torchrun).')
    from torch import distributed

    if not distributed.is_initialized():
        seconds = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout', 1800)
        distributed.init_process_group('gloo', timeout=timedelta(seconds=seconds))
    wrapper = dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    cfg.model_wrapper_cfg = {**wrapper, **(cfg.get('model_wrapper_cfg') or {}), 'device_ids': None}
    cfg.model = without_sync_norm(cfg.model.to_dict())
    cfg.sync_bn = None


def build_runner(cfg: Config) -> Runner:
    """Build the runner of a config, the default one or that of its ``runner_type``.

    Args:
        cfg: Config that the other functions have completed.
    """
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


def _leave_group() -> None:
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        # the runner, which refers to itself, keeps the group's threads alive through the wrapped
        # model; a thread that outlives the interpreter aborts the process now and then
        gc.collect()
        distributed.destroy_process_group()
