"""Self-contained HTML pages from templates."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mmwsss.utils import atomic_write

TEMPLATES = Path(__file__).with_name('templates')


def write_page(path: str | os.PathLike[str], template: str, contents: Mapping[str, Any]) -> None:
    """Render a template to an HTML file, which is written atomically.

    Args:
        template: Name of a file in ``templates``.
        contents: Variables of the template; text is escaped.
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
