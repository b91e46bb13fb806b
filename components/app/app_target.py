"""An app that was found, and the files in which it was looked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from components.app.app_object import Kind


@dataclass(frozen=True)
class Target:
    """An app as servers name it, such as shop.main:app or app:create_app(); ``root`` is the folder of its imports.

    ``is_partial`` says that this computer's Python can't read all of its module, ``is_unknown`` that another package
    makes the app, which may be something else, and ``is_dash`` that it is the WSGI app of a Dash object.
    """

    name: str
    kind: Kind | None
    root: str = ""
    is_partial: bool = False
    is_unknown: bool = False
    is_dash: bool = False


@dataclass(frozen=True)
class Files:
    """The files of the app in the folder ``app``, by name."""

    app: Path
    contents: Mapping[str, bytes]


def dotted_name(file: str) -> str:
    """The name of the module in a file, such as shop.wsgi for shop/wsgi.py and for shop/wsgi/__init__.py."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class FolderContents(Mapping[str, bytes]):
    """The contents of the files in a folder of the app, by their names below it. A file is read when it is asked for.

    ``added`` are files that the folder itself lacks.
    """

    def __init__(self, contents: Mapping[str, bytes], folder: str, added: Mapping[str, bytes]) -> None:
        self._contents, self._prefix, self._added = contents, f"{folder}/", added
        self._names = {name.removeprefix(self._prefix) for name in contents if name.startswith(self._prefix)}

    def __getitem__(self, name: str) -> bytes:
        return self._contents[self._prefix + name] if name in self._names else self._added[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names or name in self._added

    def __iter__(self) -> Iterator[str]:
        return iter(self._names | self._added.keys())

    def __len__(self) -> int:
        return len(self._names | self._added.keys())
