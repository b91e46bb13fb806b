"""`poetry run`, `pipenv run` and `uv run` before a command of the app: run it with the release's packages.

The packages are installed already, so these tools aren't. Programs with their names come first on the app's PATH and
call this module.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from host.errors import ReleaseError

TOOLS = ("poetry", "pipenv", "uv")
# Options that take a value in the next word. Other options are complete by themselves.
_WITH_VALUE = {
    "poetry": {"-C", "--directory", "-P", "--project"},
    "pipenv": {"--python", "--pypi-mirror"},
    "uv": {
        "-p", "--python", "-w", "--with", "--with-editable", "--with-requirements", "--group", "--no-group",
        "--only-group", "--extra", "--no-extra", "--env-file", "--package", "--directory", "--project", "--index",
        "--default-index", "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--index-strategy",
        "--keyring-provider", "-P", "--upgrade-package", "--upgrade-group", "--resolution", "--prerelease",
        "--fork-strategy", "--exclude-newer", "--exclude-newer-package", "--link-mode", "--refresh-package",
        "--reinstall-package", "--cache-dir", "--config-file", "-C", "--config-setting", "--config-settings",
        "--config-settings-package", "--no-build-isolation-package", "--no-build-package", "--no-binary-package",
        "--no-sources-package", "--python-platform", "--python-preference", "--color", "--allow-insecure-host",
        "--preview-features", "--malware-check",
    },
}  # fmt: skip
_FOLDER = {"poetry": {"-C", "--directory", "-P", "--project"}, "pipenv": set[str](), "uv": {"--directory"}}
# These change which packages or variables the command gets. A release has one set of each.
_REFUSED = {
    "--env-file": "set the variables with: pulumi config set --path env.NAME <value>",
    "-w": "add the package to the app's packages",
    "--with": "add the package to the app's packages",
    "--with-editable": "add the package to the app's packages",
    "--with-requirements": "add the packages to the app's packages",
}
# These choose packages, too, and a command may run without them. --no-dev and its like have their effect anyway.
_IGNORED = (
    "--extra", "--all-extras", "--no-extra", "--group", "--no-group", "--only-group", "--all-groups",
    "--no-default-groups", "--dev", "--only-dev", "--package", "--all-packages", "--isolated",
)  # fmt: skip
# What `poetry run NAME` and `uv run NAME` do for a script that pyproject.toml declares.
_CALL = "import sys; from {module} import {first}; sys.argv[0] = {name!r}; sys.exit({function}())"
_REFERENCE = re.compile(r"\s*([\w.]+)\s*:\s*([\w.]+)\s*")


@dataclass(frozen=True)
class Run:
    """The words of a command, the folder in which it runs, relative to the present one, and options without effect."""

    words: list[str]
    folder: str = "."
    ignored: tuple[str, ...] = ()


def replace_this_process(called: Path, arguments: Sequence[str]) -> None:
    """Run the command of `<tool> run` in place of this program. ``called`` is the program with the tool's name.

    Another command of the tool is run by the tool itself. Raises ReleaseError if the app hasn't installed that.
    """
    tool = called.name
    run = command(tool, arguments, Path.cwd())
    if run is None:
        others = [folder for folder in os.get_exec_path() if Path(folder) != called.parent]
        installed = shutil.which(tool, path=os.pathsep.join(others))
        if installed is None:
            raise ReleaseError(_unknown(tool, arguments))
        os.execv(installed, [tool, *arguments])
    if run.ignored:
        print(_without_effect(tool, run.ignored), file=sys.stderr, flush=True)
    os.chdir(run.folder)
    program = shutil.which(run.words[0])
    if program is None:
        print(f"{tool} run: {run.words[0]}: command not found", file=sys.stderr)
        raise SystemExit(127)
    os.execv(program, run.words)


def command(tool: str, arguments: Sequence[str], folder: Path) -> Run | None:
    """The command that `<tool> <arguments>` runs in the app's ``folder``; None if that isn't `run`.

    Raises ReleaseError for an option that can't have its effect.
    """
    words = list(arguments)
    options = _take_options(tool, words)
    if words[:1] != ["run"]:
        return None
    del words[0]
    options |= _take_options(tool, words)
    for name, remedy in _REFUSED.items():
        if tool == "uv" and name in options:
            raise ReleaseError(f"uv run {name} has no effect on a server: {remedy}, and leave the option out")
    if not words:
        raise ReleaseError(f"`{tool} run` names no command")
    target = next((options[name] for name in _FOLDER[tool] if name in options), ".")
    ignored = tuple(name for name in _IGNORED if tool == "uv" and name in options)
    return Run(_resolved(tool, words, options=options, folder=folder / target), target, ignored)


def _take_options(tool: str, words: list[str]) -> dict[str, str]:
    """Remove the options before the first other word; returns them with their values, or ""."""
    options = dict[str, str]()
    while words and words[0].startswith("-") and words[0] != "-":
        name, separator, value = words.pop(0).partition("=")
        if name == "--":
            break
        if not name.startswith("--") and name[:2] in _WITH_VALUE[tool] and len(name) > 2:
            name, separator, value = name[:2], "=", name[2:]
        if name in _WITH_VALUE[tool] and not separator and words:
            value = words.pop(0)
        options[name] = value
    return options


def _resolved(tool: str, words: list[str], *, options: Mapping[str, str], folder: Path) -> list[str]:
    """The words with the interpreter or the declared script that the tool would add."""
    name = words[0]
    if tool == "uv":
        if not {"-m", "--module"}.isdisjoint(options):
            return ["python", "-m", *words]
        is_script = not {"-s", "--script"}.isdisjoint(options) or name.endswith((".py", ".pyw"))
        if is_script or name == "-" or (folder / name / "__main__.py").is_file():
            return ["python", *words]
    if tool == "pipenv":
        script = _table(folder / "Pipfile", "scripts").get(name, name)
        if not isinstance(script, str):
            raise ReleaseError(f"the script {name} of the Pipfile is no text: write its command as one text")
        return [*shlex.split(script), *words[1:]]
    reference = project_script(folder, name)
    if reference is None or shutil.which(name):
        return words
    module, function = reference
    call = _CALL.format(module=module, first=function.partition(".")[0], name=name, function=function)
    return ["python", "-c", call, *words[1:]]


def project_script(folder: Path, name: str) -> tuple[str, str] | None:
    """Module and function of a script that pyproject.toml declares, in its standard table or in Poetry's."""
    for keys in (("project", "scripts"), ("tool", "poetry", "scripts")):
        script = _table(folder / "pyproject.toml", *keys).get(name)
        if isinstance(script, str) and (match := _REFERENCE.fullmatch(script)):
            return match[1], match[2]
    return None


def _table(file: Path, *keys: str) -> dict[str, object]:
    """A table of a TOML file; empty if it isn't there."""
    value: object = {}
    with suppress(OSError, tomllib.TOMLDecodeError):
        value = tomllib.loads(file.read_text("utf-8-sig"))
    for key in keys:
        value = cast(dict[str, object], value).get(key) if isinstance(value, dict) else None
    return cast(dict[str, object], value) if isinstance(value, dict) else {}


def _without_effect(tool: str, options: Sequence[str]) -> str:
    verb = "is" if len(options) == 1 else "are"
    return (
        f"{tool} run: {', '.join(options)} {verb} ignored: the packages are those of the lock."
        " List what the app needs in dependencies of pyproject.toml, and lock again"
    )


def _unknown(tool: str, arguments: Sequence[str]) -> str:
    line = shlex.join([tool, *arguments])
    return (
        f"`{line}` can't run on a server, where {tool} has only `run`: the packages are installed before the app"
        f" starts, from the app's lock file. Take `{line}` out of the command, or add {tool} to the app's packages"
    )
