"""The texts of the model zoo: what is known of every config, as openmim and people read it."""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from typing import Any

import yaml
from model_zoo_results import RESULTS

INDEX, PAGE = 'model-index.yml', 'docs/model_zoo.md'
FIGURES = ('paper', 'ours', 'time of a training')
INDEX_HEAD = f"""\
# What openmim lists. Made by benchmarks/make_model_zoo.py of the configs and of
# {RESULTS}: change those. "Paper ..." is what the paper reports, Results what was
# measured with these files, both in per cent. FLOPs are multiply-adds, counted once, of one image
# as large as the training's.
"""
PAGE_HEAD = f"""\
# Model zoo

Every config with the size of its network and its figures, the paper's and ours, in per cent. "Not
run" says that nothing was measured; weights are not published.

Parameters are those that a prediction reads: neither auxiliary heads nor frozen teachers count.
Multiply-adds are counted once, for one image as large as the training's; most papers call them
FLOPs. `get_flops.py` counts both [for any config and size](tools.md#parameters-and-flops).

This page is made by `benchmarks/make_model_zoo.py` of the configs and of
`{RESULTS}`; [how to add an entry](tools.md#model-zoo).
"""
PIPELINES_HEAD = """
## Pipelines

From tags to a tested model; the figure is that of the [last stage](pipeline.md).

"""


def average(ours: dict) -> float:
    """Return the mean of what was measured, to the hundredth.

    Args:
        ours: Entry of the results.
    """
    return round(mean(ours['values']), 2)


def index_collection(name: str, entry: dict) -> dict[str, Any]:
    """Return a collection as openmim reads it.

    Args:
        name: Of the collection.
        entry: Of the results.
    """
    metadata = {
        'Training Data': entry['training_data'],
        'Architecture': entry['architecture'],
    }
    found: dict[str, Any] = {
        'Name': name,
        'License': 'Apache License 2.0',
        'Metadata': metadata,
    }
    if 'paper' in entry:
        found['Paper'] = {'Title': entry['paper']['title'], 'URL': entry['paper']['url']}
    if 'code' in entry:
        found['Code'] = {'URL': entry['code']}
    return {**found, 'Frameworks': ['PyTorch']}


def index_model(name: str, entry: dict, counted: dict[str, Any]) -> dict[str, Any]:
    """Return a config as openmim reads it.

    Args:
        name: Of the config.
        entry: Of the results.
        counted: Of its network.
    """
    metadata = {
        'Training Data': entry['training_data'],
        'Architecture': entry['architecture'],
        **counted,
    }
    if 'paper' in entry:
        paper = entry['paper']
        metadata[f'Paper {paper["metric"]}'] = paper['value']
        metadata['Paper Figure'] = paper['what']
    metadata['Measured'] = 'see docs/model_zoo.md' if 'ours' in entry else 'not run'
    model = {
        'Name': Path(name).name,
        'In Collection': entry['collection'],
        'Config': f'configs/{name}.py',
        'Metadata': metadata,
    }
    if 'ours' in entry:
        result = {
            'Task': 'Semantic Segmentation',
            'Dataset': entry['training_data'],
            'Metrics': {entry['ours']['metric']: average(entry['ours'])},
        }
        model['Results'] = [result]
    return model


def make_index(results: dict, counted: dict[str, dict[str, Any]]) -> str:
    """Return the text of model-index.yml.

    Args:
        results: Of :func:`read_results`.
        counted: Of :func:`measure_all`.
    """
    collections = [index_collection(*item) for item in results['collections'].items()]
    models = [index_model(n, entry, counted[n]) for n, entry in results['models'].items()]
    text = INDEX_HEAD
    for title, entries in (('Collections', collections), ('Models', models)):
        text += f'{title}:\n'
        for entry in entries:
            text += yaml.safe_dump(
                [entry], sort_keys=False, default_flow_style=None, width=100, allow_unicode=True
            )
            text += '\n'
    return text.rstrip() + '\n'


def table(columns: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown.

    Args:
        columns: Their names.
        rows: Cells.
    """
    lines = [columns, ['---'] * len(columns), *rows]
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def figure_cells(entry: dict) -> list[str]:
    """Return the paper's figure, ours and the time of a training as cells.

    Args:
        entry: Of the results.
    """
    paper, ours = entry.get('paper'), entry.get('ours')
    cells = [f'{paper["value"]} {paper["metric"]}: {paper["what"]}' if paper else '-']
    if ours is None:
        return [*cells, 'not run', '-']
    values = ', '.join(f'{value:.2f}' for value in ours['values'])
    if len(ours['values']) == 1:
        values = 'one training'
    cells.append(f'{average(ours):.2f} {ours["metric"]} ({values}): {ours["what"]}')
    minutes = ours.get('minutes')
    return [*cells, f'{min(minutes):g} - {max(minutes):g} min' if minutes else '-']


def model_row(name: str, entry: dict, counted: dict[str, Any]) -> list[str]:
    """Return the row of a config.

    Args:
        name: Of the config.
        entry: Of the results.
        counted: Of its network.
    """
    sizes = ['-', '-', '-']
    if counted:
        millions, billions = counted['Parameters'] / 1e6, counted['FLOPs'] / 1e9
        sizes = [f'{millions:.2f} M', f'{billions:.2f} G', counted['Image Size']]
    return [f'`{name}`', entry['training_data'], *sizes, *figure_cells(entry)]


def command_sections(results: dict) -> str:
    """Return the commands that give our figures again, each with the configs that it is for.

    Args:
        results: Of :func:`read_results`.
    """
    names: dict[str, list[str]] = {}
    for name, entry in {**results['models'], **results['pipelines']}.items():
        if 'ours' in entry:
            names.setdefault(entry['ours']['command'].strip(), []).append(f'`{name}`')
    return ''.join(
        f'\n{", ".join(found)}:\n\n```bash\n{command}\n```\n' for command, found in names.items()
    )


def machine_note(results: dict) -> str:
    """Say where times were measured.

    Args:
        results: Of :func:`read_results`.
    """
    entries = [*results['models'].values(), *results['pipelines'].values()]
    machines = {
        entry['ours']['machine']: None for entry in entries if 'machine' in entry.get('ours', {})
    }
    return f'Times of a training are of {"; ".join(machines)}.' if machines else ''


def make_page(results: dict, counted: dict[str, dict[str, Any]]) -> str:
    """Return the text of docs/model_zoo.md.

    Args:
        results: Of :func:`read_results`.
        counted: Parameters, FLOPs and image size of the networks by config.
    """
    text = f'{PAGE_HEAD}\n{machine_note(results)}\n'
    columns = ['config', 'data', 'parameters', 'multiply-adds', 'image', *FIGURES]
    for title, collection in results['collections'].items():
        text += f'\n## {title}\n\n'
        if 'paper' in collection:
            paper = collection['paper']
            text += f'[The method here]({collection["page"]}), the paper: '
            text += f'[{paper["title"]}]({paper["url"]}).\n\n'
        entries = {n: e for n, e in results['models'].items() if e['collection'] == title}
        text += table(columns, [model_row(n, e, counted[n]) for n, e in entries.items()])
    text += PIPELINES_HEAD
    rows = [[f'`{n}`', *figure_cells(e)] for n, e in results['pipelines'].items()]
    text += table(['config', *FIGURES], rows)
    return f'{text}\n## Commands\n\nThese give our figures again.\n{command_sections(results)}'
