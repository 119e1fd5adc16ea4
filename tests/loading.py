"""Python files that belong to no package: the tools, and what lies beside reference data."""

import importlib.util
from pathlib import Path

from mmwsss.cli.launch import run_tool

ROOT = Path(__file__).parents[1]


def load_file(path):
    """Return the module of a file, whose path is absolute or begins in the checkout."""
    path = ROOT / path
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_main(path, *words):
    """Run the ``main`` of a tool as its command line does."""
    tool = load_file(path)
    run_tool(tool.make_parser(), tool.main, [str(word) for word in words])
