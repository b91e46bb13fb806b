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
_HEROKU_SCRIPT = "heroku-postbuild"


class HerokuFileError(UserError):
    """The app's processes are only in heroku.yml, which servers don't read; the text has the lines of a Procfile."""


def require_procfile(contents: Mapping[str, bytes]) -> None:
    """Raise HerokuFileError if heroku.yml has a web process. Call it for an app without a Procfile."""
    try:
        document = _dict(yaml.safe_load(contents.get(MANIFEST, b"")))
    except yaml.YAMLError:
        return
    runs = {**_dict(document.get("run")), "release": document.get("release")}
    lines = [f"{name}: {command}" for name, run in runs.items() if (command := _command(run))]
    quoted = [f"'{line}'" for line in lines]
    if any(line.startswith("web: ") for line in lines):
        raise HerokuFileError(
            f"the app has no Procfile, and servers don't read {MANIFEST}: write a Procfile with"
            f" the line{'s' if lines[1:] else ''} {', '.join(quoted)}"
        )


def notes(contents: Mapping[str, bytes]) -> Iterator[str]:
    """Sentences about files that only Heroku reads. ``contents`` are the app's files by name, with a valid Procfile."""
    commands = procfile.processes(procfile.decode(contents["Procfile"]))
    build = commands.get("build", "")
    if PROFILE in contents and not any(PROFILE in command for command in commands.values()):
        yield (
            f"servers don't run {PROFILE}: if a command needs it, begin its line of the Procfile so:"
            f" 'web: . ./{PROFILE} && {commands['web']}'"
        )
    yield from _build_notes(contents, build)
    if ".slugignore" in contents:
        yield "servers don't read .slugignore, and get the files that it names, too"


def _build_notes(contents: Mapping[str, bytes], build: str) -> Iterator[str]:
    """One sentence for all steps of Heroku's build, because a Procfile may have only one `build` line; or nothing."""
    missing = [step for step in BUILD_STEPS if step in contents and step not in build]
    before, after = ([step] if step in missing else [] for step in BUILD_STEPS)
    javascript = [] if re.search("npm|yarn|node", build) else _javascript_steps(contents)
    if not (missing or javascript):
        return
    # A `build` line replaces the collectstatic that a server runs otherwise.
    collect = [] if build or "manage.py" not in contents else ["python manage.py collectstatic --noinput"]
    line = f"'build: {' && '.join(filter(None, [*before, *javascript, build, *collect, *after]))}'"
    advice = f"change the line of the Procfile to {line}" if build else f"add the line {line} to the Procfile"
    packages = "add nodejs and npm to the Aptfile, one a line, and " if javascript else ""
    names = [*missing, *(["the scripts of package.json"] if javascript else [])]
    yield f"servers don't run {' and '.join(names)}: {packages}{advice}"


def _javascript_steps(contents: Mapping[str, bytes]) -> list[str]:
    """The commands with which Heroku would build the app's package.json; empty if it wouldn't."""
    scripts = _dict(_json(contents, "package.json").get("scripts"))
    buildpacks = json.dumps(_json(contents, "app.json").get("buildpacks", "")).encode()
    has_buildpack = b"nodejs" in buildpacks or b"nodejs" in contents.get(".buildpacks", b"")
    script = _HEROKU_SCRIPT if _HEROKU_SCRIPT in scripts else "build"
    if script not in scripts or not (has_buildpack or script == _HEROKU_SCRIPT):
        return []
    return ["npm ci" if "package-lock.json" in contents else "npm install", f"npm run {script}"]


def _command(run: object) -> str:
    """The shell command of a process in heroku.yml: a text, or a table with a text or a list of commands."""
    table = _dict(run)
    value: object = table.get("command", "") if table else run
    if isinstance(value, list):
        return " && ".join(map(str, cast(list[object], value)))
    return value.strip() if isinstance(value, str) else ""


def _json(contents: Mapping[str, bytes], name: str) -> dict[str, Any]:
    """The content of a file; empty if it isn't there or has another form."""
    try:
        return _dict(json.loads(contents.get(name, b"{}")))
    except ValueError:
        return {}


def _dict(value: object) -> dict[str, Any]:
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}
