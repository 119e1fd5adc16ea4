"""Check the built packages from outside: what they hold and what an import says."""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
import tarfile
from pathlib import Path

DATA = ('mmwsss/datasets/imagenet_classes.json', 'mmwsss/visualization/templates')
CARRIED = ('configs/_base_/default_runtime.py', 'tools/train.py', 'model-index.yml')


def check_files(dist: Path) -> None:
    """Compare what lies in the sdist and in the installed wheel with what openmim looks for."""
    package = Path(importlib.metadata.distribution('mmwsss').locate_file('mmwsss'))
    (sdist,) = dist.glob('mmwsss-*.tar.gz')
    with tarfile.open(sdist) as archive:
        names = {name.partition('/')[2] for name in archive.getnames()}
    for name in CARRIED:
        if not (package / '.mim' / name).is_file():
            sys.exit(f'The wheel lacks mmwsss/.mim/{name}.')
        if name not in names:
            sys.exit(f'The sdist lacks {name}.')
    for name in DATA:
        if not (package.parent / name).exists():
            sys.exit(f'The wheel lacks {name}.')
        if not any(found.startswith(name) for found in names):
            sys.exit(f'The sdist lacks {name}.')
    carried = {
        str(path.relative_to(package / '.mim'))
        for path in (package / '.mim').rglob('*')
        if path.is_file() and path.suffix != '.pyc'
    }
    if missing := carried - names:
        sys.exit(f'Only the wheel, not the sdist, holds {sorted(missing)}.')
    print(f'mmwsss {importlib.metadata.version("mmwsss")}: {len(carried)} files in mmwsss/.mim')


def check_message() -> None:
    """Import without a stack: one message that says what to install."""
    try:
        import mmwsss  # noqa: F401
    except ImportError as error:
        if not str(error).startswith('mmwsss: PyTorch is not installed'):
            sys.exit(f'Without a stack the import says: {error}')
        print(error)
    else:
        sys.exit('The import worked without a stack.')


def check_import() -> None:
    """Import the wheel with a stack and read a config from it."""
    from mmengine.config import Config

    import mmwsss

    package = Path(mmwsss.__file__).parent
    if sys.prefix not in str(package):
        sys.exit(f'The import found {package}, not the wheel.')
    config = Config.fromfile(package / '.mim/configs/_base_/default_runtime.py')
    print(f'{package.name} {mmwsss.__version__} imports, default scope {config.default_scope}')


def main() -> None:
    """Run the checks that fit the environment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('dist', type=Path)
    parser.add_argument('--with-stack', action='store_true')
    args = parser.parse_args()
    if args.with_stack:
        check_import()
    else:
        check_files(args.dist)
        check_message()


if __name__ == '__main__':
    main()
