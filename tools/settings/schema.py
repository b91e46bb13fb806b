"""The schema of the settings in Pulumi.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from components.settings.declaration import Declaration
from components.settings.reader import all_declarations, schema_default

_CONFIG = re.compile(r"^config:\n(?:[ #].*\n)*", re.MULTILINE)
NOTE = "  # Written by `python -m tools.settings` from the declarations in components/.\n"


class _IndentedLists(yaml.SafeDumper):
    """Indents the items of a list, as yamllint expects."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)


def project_file(text: str) -> str:
    """The text of Pulumi.yaml with the schema of today's declarations."""
    config = yaml.dump(schema(), Dumper=_IndentedLists, sort_keys=False, width=110, allow_unicode=True)
    indented = "".join(f"  {line}\n" for line in config.splitlines())
    return _CONFIG.sub(lambda _: f"config:\n{NOTE}{indented}", text, count=1)


def schema() -> dict[str, dict[str, Any]]:
    """Type, default and description of every setting by its key."""
    return {key: _entry(by_owner) for key, by_owner in all_declarations().items()}


def _entry(by_owner: Mapping[str, Declaration]) -> dict[str, Any]:
    first = next(iter(by_owner.values()))
    kind = first.validator.type
    entry: dict[str, Any] = {**({"type": kind} if kind else {}), "default": schema_default(by_owner)}
    if kind == "array":
        entry["items"] = {"type": "string" if _holds_text(first) else "object"}
    return {**entry, "description": description(by_owner)}


def _holds_text(declaration: Declaration) -> bool:
    return isinstance(declaration.example, list) and all(isinstance(item, str) for item in declaration.example)


def description(by_owner: Mapping[str, Declaration]) -> str:
    """The help of a setting, with the names of the targets that know it unless all do.

    It names a target's default where that can't stand in the schema, because another target has another default.
    """
    helps: dict[str, list[str]] = {}
    for owner, declaration in by_owner.items():
        own_default = "" if declaration.default == schema_default(by_owner) else f" Empty means {declaration.default}."
        helps.setdefault(f"{declaration.help}{own_default}", []).append(owner)
    return " ".join(f"{', '.join(owners)}: {help}" if owners != [""] else help for help, owners in helps.items())
