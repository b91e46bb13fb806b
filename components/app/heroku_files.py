"""Files that Heroku reads and servers don't: what to write into the Procfile instead."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import yaml

from components.errors import UserError
from host import procfile

PROFILE, BUILD_STEPS, MANIFEST = ".profile", ("bin/pre_compile", "bin/post_compile"), "heroku.yml"
_OWN_STEP = "heroku-postbuild"


class HerokuFileError(UserError):
    """Without its heroku.yml, the app has other processes; the text has the lines to write into a Procfile."""


def require_procfile(contents: Mapping[str, bytes]) -> None:
    """For an app without a Procfile: raises HerokuFileError if heroku.yml has its processes."""
    try:
        document = _dict(yaml.safe_load(contents.get(MANIFEST, b"")))
    except yaml.YAMLError:
        return
    runs = {**_dict(document.get("run")), "release": document.get("release")}
    lines = [f"{name}: {command}" for name, run in runs.items() if (command := _command(run))]
    if any(line.startswith("web: ") for line in lines):
        raise HerokuFileError(
            f"the app has no Procfile, and servers don't read {MANIFEST}: write a Procfile with {_these_lines(lines)}"
        )


def notes(contents: Mapping[str, bytes]) -> Iterator[str]:
    """Sentences about files without an effect, for a checked app."""
    commands = procfile.processes(procfile.decode(contents["Procfile"]))
    build = commands.get("build", "")
    if PROFILE in contents and not any(PROFILE in command for command in commands.values()):
        yield (
            f"servers don't run {PROFILE}: if a command needs it, begin its line of the Procfile so:"
            f" 'web: . ./{PROFILE} && {commands['web']}'"
        )
    if missing := [step for step in BUILD_STEPS if step in contents and step not in build]:
        collect = [] if build or "manage.py" not in contents else ["python manage.py collectstatic --noinput"]
        before, after = ([step] if step in missing else [] for step in BUILD_STEPS)
        steps = [*before, build, *collect, *after]
        yield f"servers don't run {' and '.join(missing)}: {_build_line(steps, is_new=not build)}"
    if _builds_javascript(contents) and not re.search("npm|yarn|node", build):
        install = "npm ci" if "package-lock.json" in contents else "npm install"
        steps = [install, f"npm run {_OWN_STEP if _OWN_STEP in _scripts(contents) else 'build'}", build]
        yield (
            "servers don't build what package.json describes: add nodejs and npm to the Aptfile, one a line, and"
            f" {_build_line(steps, is_new=not build)}"
        )
    if ".slugignore" in contents:
        yield "servers don't read .slugignore, and get the files that it names, too"


def _build_line(steps: list[str], *, is_new: bool) -> str:
    line = f"'build: {' && '.join(filter(None, steps))}'"
    return f"add the line {line} to the Procfile" if is_new else f"change the line of the Procfile into {line}"


def _these_lines(lines: list[str]) -> str:
    return f"the line{'s' if lines[1:] else ''} {', '.join(repr(line) for line in lines)}"


def _command(run: object) -> str:
    """The shell command of a process in heroku.yml: a text, or a table with a text or a list of commands."""
    table = _dict(run)
    value: object = table.get("command", "") if table else run
    if isinstance(value, list):
        return " && ".join(map(str, cast(list[object], value)))
    return value.strip() if isinstance(value, str) else ""


def _builds_javascript(contents: Mapping[str, bytes]) -> bool:
    """Whether Heroku would build the app's package.json beside its Python packages."""
    scripts = _scripts(contents)
    buildpacks = json.dumps(_json(contents, "app.json").get("buildpacks", "")).encode()
    is_used = b"nodejs" in buildpacks or b"nodejs" in contents.get(".buildpacks", b"")
    return _OWN_STEP in scripts or (is_used and "build" in scripts)


def _scripts(contents: Mapping[str, bytes]) -> dict[str, Any]:
    return _dict(_json(contents, "package.json").get("scripts"))


def _json(contents: Mapping[str, bytes], name: str) -> dict[str, Any]:
    """The content of a file; empty if it isn't there or has another form."""
    try:
        return _dict(json.loads(contents.get(name, b"{}")))
    except ValueError:
        return {}


def _dict(value: object) -> dict[str, Any]:
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}
