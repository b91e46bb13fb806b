"""The one Jinja2 environment. Python makes the decisions; a template only lays out text."""

from __future__ import annotations

from pathlib import Path

import jinja2

FOLDER = Path(__file__).resolve().parents[2] / "cloud-init"

_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,
)


def render(name: str, **values: object) -> str:
    """The template ``name`` of cloud-init/ with ``values``; raises jinja2.UndefinedError if one is missing."""
    return _environment.get_template(name).render(**values)


def text(name: str) -> str:
    """The file ``name`` of cloud-init/, unchanged."""
    return (FOLDER / name).read_text()
