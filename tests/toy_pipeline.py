"""A pipeline whose tool takes some milliseconds: it copies masks or maps into a folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.config import Config

from mmwsss.evaluation import write_cam_file
from mmwsss.pipeline import STAGES, Command, Pipeline, Stage
from tests.weak_data import save_image, save_mask

NAMES = ('a', 'b', 'c', 'd')
TOOL = """
import argparse, os, shutil, sys, time
parser = argparse.ArgumentParser()
parser.add_argument('file')
parser.add_argument('out')
parser.add_argument('--names', nargs='+')
parser.add_argument('--delay', type=float, default=0)
parser.add_argument('--share', nargs=2, type=int, default=(0, 1))
parser.add_argument('--launcher')
args = parser.parse_args()
os.makedirs(args.out, exist_ok=True)
if args.launcher:
    keys = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_PORT', 'TORCHELASTIC_USE_AGENT_STORE')
    print('group', *(os.environ[key] for key in keys), flush=True)
    args.share = (int(os.environ['RANK']), int(os.environ['WORLD_SIZE']))
print('pid', os.getpid(), flush=True)
for i, name in enumerate(args.names[args.share[0] :: args.share[1]]):
    path = os.path.join(args.out, name + os.path.splitext(args.file)[1])
    if os.path.exists(path):
        continue
    if os.environ.get('TOY_FAIL') == name:
        if os.environ.get('TOY_DISK'):
            raise OSError(28, 'No space left on device')
        sys.exit(f'toy.py: {name} is wrong: make it right.')
    time.sleep(args.delay)
    shutil.copy(args.file, path + '.tmp')
    os.replace(path + '.tmp', path)
"""


class Toy(Stage):
    """Copy a file for each image of each split.

    Args:
        file: Name within the folder of the tools.
        source: Stage that this one comes after.
        delay: Seconds a file.
        spread: Of its commands.
    """

    takes = dict(source=['masks', 'maps'])

    def __init__(
        self,
        name: str,
        *,
        splits: Sequence[str] = ('val',),
        file: str | None = None,
        source: str | None = None,
        delay: float = 0.0,
        spread: str = 'once',
        title: str | None = None,
    ) -> None:
        self.file, self.delay, self.spread = file or f'one{self.suffix}', delay, spread
        super().__init__(
            name, title=title, splits=splits, sources=dict(source=source), file=self.file
        )

    def commands(self) -> list[Command]:
        found = []
        for split in self.splits:
            words = [str(self.pipeline.tools / self.file), str(self.folder / split)]
            words += ['--delay', str(self.delay), '--names', *NAMES]
            found.append(Command('toy.py', tuple(words), self.spread))
        return found

    def progress(self) -> tuple[int, int]:
        return super().progress()[0], len(NAMES) * len(self.splits)


class ToyMasks(Toy):
    """Copy a mask."""

    makes = 'masks'
    suffix = '.png'


class ToyMaps(Toy):
    """Copy a file of maps."""

    makes = 'maps'
    suffix = '.npz'


def register() -> None:
    """Make the stages known, once."""
    for kind in (ToyMasks, ToyMaps):
        STAGES.register_module(module=kind, force=True)


def unregister() -> None:
    """Forget the stages."""
    for kind in (ToyMasks, ToyMaps):
        STAGES.module_dict.pop(kind.__name__, None)


def make_toys(root: Path) -> Path:
    """Write the tool, its files, images and true masks.

    Args:
        root: Folder in which ``tools``, ``images`` and ``truth`` are made.

    Returns:
        ``root``.
    """
    tools = root / 'tools'
    tools.mkdir(parents=True)
    (tools / 'toy.py').write_text(TOOL)
    (root / 'toys.py').touch()
    mask = np.zeros((8, 8), np.uint8)
    for name, width in (('zero', 0), ('one', 4), ('two', 8)):
        mask[:, :width] = 1
        save_mask(tools / f'{name}.png', mask)
    maps = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 8, 8)
    write_cam_file(tools / 'one.npz', np.array([0]), maps)
    for name in NAMES:
        save_image(root / f'images/{name}.png', np.zeros((8, 8, 3), np.uint8))
        (root / 'truth').mkdir(exist_ok=True)
        shutil.copy(tools / 'one.png', root / f'truth/{name}.png')
    return root


def toy_config(root: Path, *, split: dict | None = None, **stages: dict) -> Config:
    """Return the config of a pipeline of three stages, ``maps``, ``masks`` and ``last``.

    Args:
        root: From :func:`make_toys`.
        split: Changes of the split ``val``.
        **stages: Changes of stages, by name.
    """
    val = dict(split='val', images=str(root / 'images'), masks=str(root / 'truth'))
    found = dict(
        maps=dict(type='ToyMaps'),
        masks=dict(type='ToyMasks', source='maps'),
        last=dict(type='ToyMasks', source='masks'),
    )
    for name, entry in found.items():
        entry.update(stages.get(name, {}))
    content = dict(
        title='Toys', classes=['dog'], splits=dict(val={**val, **(split or {})}), stages=found
    )
    return Config(content, filename=str(root / 'toys.py'))


def make_pipeline(root: Path, work_dir: Path, cfg: Config | None = None, **kwargs) -> Pipeline:
    """Return a pipeline of toys.

    Args:
        root: From :func:`make_toys`.
        work_dir: Folder of the results.
        cfg: Its config.
        **kwargs: Arguments of ``Pipeline``.
    """
    return Pipeline(cfg or toy_config(root), work_dir, root / 'tools', **kwargs)
