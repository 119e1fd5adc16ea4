"""A training step beside its plain form: losses, time and memory, for the benchmarks of methods."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from measure import CHILD, best_seconds, extra_memory, run_child
from prettytable import PrettyTable
from torch import Tensor, nn

FORMS = ('ours', 'plain')
MEGABYTE = 2**20
Losses = Callable[..., dict[str, Tensor]]
Forms = Mapping[str, Callable[[dict], dict[str, Tensor]]]


def paired_steps(model: nn.Module, plain_losses: Losses) -> Forms:
    """Return both forms of a step on a batch, which share a model and return their losses.

    Args:
        model: Ours; ``mode='loss'`` gives its losses.
        plain_losses: Takes the model and a batch, and gives the losses of the plain form.
    """

    def step(losses: Losses, batch: dict) -> dict[str, Tensor]:
        model.zero_grad(set_to_none=False)
        torch.manual_seed(2)
        found = losses(**batch)
        sum(found.values()).backward()
        return {name: loss.detach() for name, loss in found.items()}

    forms = partial(model, mode='loss'), partial(plain_losses, model)
    return {name: partial(step, form) for name, form in zip(FORMS, forms, strict=True)}


def compare_steps(
    script: str,
    argv: Sequence[str] | None,
    *,
    parse_args: Callable[[Sequence[str]], argparse.Namespace],
    make_forms: Callable[[argparse.Namespace], Forms],
    make_batch: Callable[[argparse.Namespace, int], dict],
    tiny: int,
    title: Callable[[argparse.Namespace], str],
) -> int:
    """Print time, memory and losses of both forms; return 1 if the losses differ.

    Args:
        script: File of the benchmark, which runs again for the memory of each form.
        argv: Its command line, that of the process by default.
        parse_args: Reads the command line: ``size``, ``repeats``, ``device`` and what else the
            benchmark needs.
        make_forms: Makes what :func:`paired_steps` returns.
        make_batch: Makes a batch of crops with a side.
        tiny: Side of the crops that load libraries before memory is measured.
        title: Says what is measured.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] == [CHILD]:
        args = argparse.Namespace(**json.loads(argv[1]))
        step, batch = make_forms(args)[args.form], make_batch(args, args.size)
        step(make_batch(args, tiny))  # libraries and gradients
        print(extra_memory(partial(step, batch), args.device))
        return 0
    args = parse_args(argv)
    batch = make_batch(args, args.size)
    forms = {name: partial(step, batch) for name, step in make_forms(args).items()}
    ours, plain = (form() for form in forms.values())
    seconds = best_seconds(list(forms.values()), repeats=args.repeats, device=args.device)
    peaks = [run_child(script, dict(vars(args), form=form)) / MEGABYTE for form in FORMS]
    table = PrettyTable(['form', 'seconds', 'of plain', 'peak MiB', 'of plain '], align='r')
    for name, time, peak in zip(FORMS, seconds, peaks, strict=True):
        shares = (f'{x:.2f}' for x in (time / seconds[1], peak / peaks[1]))
        table.add_row([name, f'{time:.3f}', next(shares), f'{peak:.0f}', next(shares)])
    print(title(args))
    print(table)
    for name in plain:
        print(f'{name}: ours {ours[name]:.5f}, plain {plain[name]:.5f}')
    return int(any(not torch.isclose(ours[name], plain[name], rtol=1e-3) for name in plain))
