"""An app that was found, and the files in which it was looked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from components.app.app_object import Kind


@dataclass(frozen=True)
class Target:
    """An app as servers name it, such as shop.main:app or app:create_app(); ``root`` is the folder of its imports.

    ``is_partial`` says that this computer's Python can't read all of its module.
    """

    name: str
    kind: Kind | None
    root: str = ""
    is_partial: bool = False


@dataclass(frozen=True)
class Files:
    """The files of the app in the folder ``app``, by name."""

    app: Path
    contents: Mapping[str, bytes]
