"""Reads and writes kept states: each long text of a state is stored once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
# A text of at least this many characters that a state repeats is stored in "texts".
LONG = 100
_TEXT = "$text"


@dataclass(frozen=True)
class KeptStack:
    """A stack that the commit ``commit`` brought up: its settings and its exported state."""

    commit: str
    name: str

    @property
    def label(self) -> str:
        return f"{self.commit}/{self.name}"

    @property
    def file(self) -> Path:
        return HERE / self.commit / f"{self.name}.json"

    def settings(self) -> dict[str, Any]:
        """The stack's settings; the app's folder is relative to the project's."""
        return yaml.safe_load(self.file.with_suffix(".yaml").read_text())["config"]

    def state(self) -> dict[str, Any]:
        """What `pulumi stack export --show-secrets` printed, without its secrets provider."""
        return {key: value for key, value in self._document().items() if key != "computer"}

    def computer(self) -> dict[str, Any]:
        """The records of the local target for this stack, by file in its folder; none for the clouds."""
        return self._document()["computer"]

    def resources(self) -> list[dict[str, Any]]:
        return self.state()["deployment"]["resources"]

    def _document(self) -> dict[str, Any]:
        stored = json.loads(self.file.read_text())
        document, resources = _expanded([stored["rest"], stored["resources"]], stored["texts"])
        document["deployment"]["resources"] = resources
        return document


def kept_stacks() -> list[KeptStack]:
    """All stacks beside this file, in the order of their names."""
    return [KeptStack(file.parent.name, file.stem) for file in sorted(HERE.glob("*/*.json"))]


def write(file: Path, document: dict[str, Any]) -> None:
    """Write it with a line for each resource and each repeated text."""
    counts = Counter(text for text in _texts(document) if len(text) >= LONG)
    repeated = [text for text, count in counts.items() if count > 1]
    places = {text: number for number, text in enumerate(repeated)}
    rest = _shortened(document, places)
    resources = rest["deployment"].pop("resources")
    parts = {"texts": _lines(repeated), "resources": _lines(resources), "rest": json.dumps(rest)}
    file.write_text("{" + ",\n".join(f'"{name}": {part}' for name, part in parts.items()) + "}\n")


def _lines(values: list[Any]) -> str:
    return "[\n" + ",\n".join(map(json.dumps, values)) + "\n]"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def _shortened(value: Any, places: dict[str, int]) -> Any:
    if isinstance(value, str) and value in places:
        return {_TEXT: places[value]}
    return _each(value, lambda inner: _shortened(inner, places))


def _expanded(value: Any, texts: list[str]) -> Any:
    if isinstance(value, dict) and value.keys() == {_TEXT}:
        return texts[value[_TEXT]]
    return _each(value, lambda inner: _expanded(inner, texts))


def _each(value: Any, change: Any) -> Any:
    if isinstance(value, dict):
        return {key: change(inner) for key, inner in value.items()}
    return [change(inner) for inner in value] if isinstance(value, list) else value
