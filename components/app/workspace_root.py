"""The root of a uv workspace as the app: whether its Procfile starts a member whose packages servers don't install."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from components.app.scripts import command_of_a_shell, without_wrappers
from components.app.shell_words import simple_commands
from components.app.workspace import folders_of_members, needed_members
from host import procfile
from host.packages import requirements
from host.packages.locked import normalized
from host.packages.project_files import load

# Options whose value is a module, as in `python -m jobs` and `celery -A jobs`.
_BEFORE_MODULES = ("-m", "-A", "--app")
_MODULE = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.\w+)*)(?P<attribute>:\S*)?")


@dataclass(frozen=True)
class _Member:
    """A package of the workspace, by its normalized name, with its folder, its modules and its scripts."""

    name: str
    folder: str
    modules: set[str]
    scripts: set[str]


def notes(app: Path, contents: Mapping[str, bytes]) -> Iterator[str]:
    """A sentence for each member that a command starts, but that the root doesn't depend on.

    ``contents`` are the files of the app in the folder ``app`` by name, which have been checked.
    """
    commands = procfile.processes(procfile.decode(contents["Procfile"]))
    sources = set(map(normalized, requirements.table(contents.get, "tool", "uv", "sources")))
    for member in _missing(contents):
        process = next((process for process, command in commands.items() if _starts(command, member)), None)
        if process is None:
            continue
        source = f", the line '{member.name} = {{ workspace = true }}' below [tool.uv.sources]"
        yield (
            f"the {process} line of the Procfile starts {member.folder}, a member of the uv workspace that the root"
            f" project doesn't depend on, so servers don't install its packages: add \"{member.name}\" to the"
            f" dependencies in {requirements.PROJECT}{'' if member.name in sources else source}, and run `uv lock`; or"
            f" make the member the app with `pulumi config set app {shlex.quote(str(app / member.folder))}`"
        )


def _missing(contents: Mapping[str, bytes]) -> Iterator[_Member]:
    """The members that the root doesn't depend on; none if the app isn't the root of a workspace with a uv.lock."""
    name = requirements.project(contents.get).get("name")
    is_root = requirements.table(contents.get, "tool", "uv", "workspace")
    if not (name and is_root and requirements.choose(contents.get) == requirements.LOCK):
        return
    lock = load(requirements.LOCK, contents[requirements.LOCK])
    needed = {".", *needed_members(lock, name)}
    for member, folder in folders_of_members(lock).items():
        if folder not in needed:
            installed = {member.replace("-", "_"), *_modules_in(f"{folder}/src/", contents)}
            # Python finds what lies in the root itself first, unless that is the member's own folder.
            modules = installed - (_modules_in("", contents) - {folder})
            yield _Member(member, folder, modules, _scripts(contents.get(f"{folder}/{requirements.PROJECT}")))


def _modules_in(root: str, contents: Mapping[str, bytes]) -> set[str]:
    """The names of the modules and packages in the folder ``root``, which ends with a slash or is empty."""
    names = [name.removeprefix(root) for name in contents if name.startswith(root) and name.endswith(".py")]
    return {name.partition("/")[0].removesuffix(".py") for name in names}


def _scripts(content: bytes | None) -> set[str]:
    """The commands that a pyproject.toml declares."""
    # uv shows the mistakes in a member's file.
    with suppress(ValueError):
        return set(load(requirements.PROJECT, content or b"").get("project", {}).get("scripts", {}))
    return set()


def _starts(command: str, member: _Member) -> bool:
    """Whether a command names the member, its folder, one of its scripts or one of its modules."""
    for simple in simple_commands(command):
        words = without_wrappers(simple.words)
        inner = command_of_a_shell(words) if words else None
        if inner and _starts(inner, member):
            return True
        if words[:1] and words[0] in member.scripts:
            return True
        if any(_names(member, word, before) for before, word in pairwise(["", *simple.words])):
            return True
    return False


def _names(member: _Member, word: str, before: str) -> bool:
    """Whether a word, with the word ``before`` it, is the member's name, a path in its folder or one of its modules."""
    if before == "--package":
        return normalized(word) == member.name
    # The values of --chdir=apps/web and PYTHONPATH=apps/web/src:lib are paths, too.
    paths = [part.removeprefix("./").rstrip("/") for part in re.split("[=:]", word)]
    if any(f"{path}/".startswith(f"{member.folder}/") for path in paths):
        return True
    match = _MODULE.fullmatch(word)
    if match is None or not (match["attribute"] or before in _BEFORE_MODULES):
        return False
    module = match["module"]
    return module.partition(".")[0] in member.modules or f"{module}.".startswith(f"{member.folder.replace('/', '.')}.")
