"""HTML pages of templates, each one file that needs no network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mmwsss.utils import atomic_write

TEMPLATES = Path(__file__).with_name('templates')


def write_page(path: str | os.PathLike[str], template: str, contents: Mapping[str, Any]) -> None:
    """Fill a template and write the page.

    Args:
        path: HTML file; it appears when it is complete.
        template: Name of a file in ``templates``.
        contents: What the template shows; text is escaped.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template(template).render(contents)
    with atomic_write(path, 'w') as file:
        file.write(page)
