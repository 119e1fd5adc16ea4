"""Make model-index.yml and docs/model_zoo.md of the configs and of docs/results.yml."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config
from model_zoo import INDEX, PAGE, make_index, make_page
from model_zoo_results import RESULTS, read_results

import mmwsss  # noqa: F401 - registers everything
from mmwsss.cli.complexity import build_empty, count_complexity, image_size
from mmwsss.cli.launch import run_tool
from mmwsss.errors import UsageError
from mmwsss.utils import atomic_write

ROOT = Path(__file__).resolve().parents[1]
NUMBERS = ('Parameters', 'FLOPs', 'Image Size')


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='make_model_zoo.py',
        description=f'Make {INDEX} and {PAGE} of the configs, whose networks are counted, and of '
        f'{RESULTS}.',
    )
    parser.add_argument(
        '--check', action='store_true', help='write nothing, and fail where a file is out of date'
    )
    return parser


def measure(path: Path) -> dict[str, Any] | None:
    """Count the network of a config, None where a package that it needs is missing.

    Args:
        path: The config.
    """
    try:
        cfg = Config.fromfile(path)
    except ImportError:
        return None
    size = image_size(cfg)
    if size is None:
        raise UsageError(f'{path} does not say how large its images are (data_preprocessor.size).')
    total = count_complexity(build_empty(cfg), size).total
    values = (total.parameters, total.multiply_adds, f'{size[0]} x {size[1]}')
    return dict(zip(NUMBERS, values, strict=True))


def known_numbers(path: Path, config: str) -> dict[str, Any]:
    """Return what the index says of a network already.

    Args:
        path: The index.
        config: As the index names it.
    """
    if not path.is_file():
        return {}
    models = yaml.safe_load(path.read_text(encoding='utf-8'))['Models']
    metadata = next((model['Metadata'] for model in models if model['Config'] == config), {})
    return {key: metadata[key] for key in NUMBERS if key in metadata}


def measure_all(root: Path, names: list[str]) -> dict[str, dict[str, Any]]:
    """Count all networks; where a package is missing, the numbers of the index stay.

    Args:
        root: Folder of the checkout.
        names: Of the configs.
    """
    counted = {}
    for name in names:
        config = f'configs/{name}.py'
        found = measure(root / config)
        if found is None:
            print(f'{config} needs a package that is missing: its numbers stay as they are.')
            found = known_numbers(root / INDEX, config)
        counted[name] = found
    return counted


def main(args: argparse.Namespace) -> None:
    """Write both files, or compare them with what would be written."""
    results = read_results(ROOT)
    counted = measure_all(ROOT, list(results['models']))
    texts = {INDEX: make_index(results, counted), PAGE: make_page(results, counted)}
    for name, text in texts.items():
        path = ROOT / name
        if path.is_file() and path.read_text(encoding='utf-8') == text:
            print(f'{name} is up to date.')
        elif args.check:
            raise UsageError(f'{name} is out of date: run benchmarks/make_model_zoo.py.')
        else:
            with atomic_write(path, 'w') as file:
                file.write(text)
            print(f'{name} is written.')


if __name__ == '__main__':
    run_tool(make_parser(), main)
