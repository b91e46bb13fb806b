"""The page docs/settings.md."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import cast

from components.settings.declaration import Declaration, default_text
from components.settings.reader import all_declarations

_HEAD = """\
# Settings

<!-- Written by `python -m tools.settings` from components/settings/ and components/*/settings.py. -->

A setting belongs to a stack, and lives in `Pulumi.<stack>.yaml`. Each one has an example below, for the stack `dev`.
`bin/pulumi config` lists what is set. `bin/pulumi config rm <key>` restores the default.

Gantry checks all settings before it touches anything. It reports all mistakes at once, each with the rule and the
command that fixes it.
"""


def settings_page() -> str:
    """The page's text: every setting with its help, default, rule and example, grouped."""
    groups: dict[str, list[str]] = {}
    for key, by_owner in all_declarations().items():
        group = next(iter(by_owner.values())).group
        groups.setdefault(group, []).append("\n".join(_section(key, by_owner)))
    return "\n".join([_HEAD, *("\n".join([f"## {name}\n", *sections]) for name, sections in groups.items())])


def _section(key: str, by_owner: dict[str, Declaration]) -> Iterator[str]:
    yield f"### `{key}`\n"
    for owner, declaration in by_owner.items():
        yield f"{f'Target `{owner}`: ' if owner else ''}{declaration.help}\n"
        default = default_text(declaration.default)
        yield f"- Must be {declaration.validator.rule}."
        yield f"- Default: {f'`{default}`' if default else 'none, it is needed' if declaration.required else 'empty'}."
        yield "- Example:\n"
        yield "  ```console"
        yield from (f"  $ {command}" for command in example_commands(declaration))
        yield "  ```\n"


def example_commands(declaration: Declaration) -> list[str]:
    """The commands that set the example."""
    return [_command(path, value) for path, value in _leaves(declaration.key, declaration.example)]


def _command(path: str, value: str) -> str:
    words = shlex.join(["bin/pulumi", "config", "set", "--stack", "dev", *_path_flag(path), path])
    # Pulumi reads a value of several lines from a file.
    return f"{words} < {path}.pem" if "\n" in value else f"{words} {shlex.quote(value)}"


def _path_flag(path: str) -> list[str]:
    return ["--path"] if "." in path or "[" in path else []


def _leaves(path: str, value: object) -> Iterator[tuple[str, str]]:
    """The paths and values that `pulumi config set --path` takes for a structure."""
    if isinstance(value, dict):
        for name, item in cast(dict[str, object], value).items():
            yield from _leaves(f"{path}[{json.dumps(name)}]" if "." in name else f"{path}.{name}", item)
    elif isinstance(value, list):
        for index, item in enumerate(cast(list[object], value)):
            yield from _leaves(f"{path}[{index}]", item)
    else:
        yield path, value if isinstance(value, str) else json.dumps(value)
