"""Files that Heroku and Dokku read and servers don't: what to write into the Procfile instead."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from components.app import documents, procfile
from components.app.django_project import is_django
from components.errors import UserError
from host import collectstatic
from host import procfile as host_procfile
from host.packages import aptfile
from host.procfile_correction import valid_name

PROFILE, BUILD_STEPS, MANIFEST = ".profile", ("bin/pre_compile", "bin/post_compile"), "heroku.yml"
_PROFILE_SCRIPT = re.compile(r"\.profile\.d/[^/]+\.sh")
# The resources of NLTK to download, one a line.
CORPORA = "nltk.txt"
_HEROKU_SCRIPT = "heroku-postbuild"
# The Debian packages of npm, and of yarn, whose program has the package's name.
_YARN = "yarnpkg"


class HerokuFileError(UserError):
    """The app's processes are only in heroku.yml, which servers don't read; the text has the lines of a Procfile."""


def require_procfile(app: Path, contents: Mapping[str, bytes]) -> None:
    """Raise HerokuFileError if heroku.yml has processes. Call it for an app without a Procfile."""
    commands = _manifest_commands(contents)
    if commands:
        lines = [] if "web" in commands else [f"'{procfile.web_line(app, contents)}'"]
        lines += [f"'{name}: {command}'" for name, command in commands.items()]
        raise HerokuFileError(
            f"the app has no Procfile, and servers don't read {MANIFEST}: write a Procfile with the"
            f" line{'s' if lines[1:] else ''} {', '.join(lines)}"
        )


def notes(app: Path, contents: Mapping[str, bytes]) -> Iterator[str]:
    """Sentences about files that only Heroku reads.

    ``contents`` are the files of the app in the folder ``app`` by name, with a valid Procfile.
    """
    commands = host_procfile.processes(host_procfile.decode(contents["Procfile"]))
    others = {name: command for name, command in _manifest_commands(contents).items() if name not in commands}
    if others:
        lines = ", ".join(f"'{name}: {command}'" for name, command in others.items())
        yield f"servers don't read {MANIFEST}, and the Procfile lacks some of its processes: add {lines}"
    # In Heroku's order.
    profiles = [*sorted(filter(_PROFILE_SCRIPT.fullmatch, contents)), *([PROFILE] if PROFILE in contents else [])]
    if profiles and not any(PROFILE in command for command in commands.values()):
        # A profile often ends with a command that fails, such as a test.
        before = "; ".join(f". ./{shlex.quote(name)}" for name in profiles)
        yield (
            f"servers don't run {' and '.join(profiles)}: if a command needs {'them' if profiles[1:] else 'it'}, begin"
            f" its line of the Procfile so: 'web: {before}; {commands['web']}'"
        )
    yield from _build_notes(app, contents, commands)
    if ".slugignore" in contents:
        yield "servers don't read .slugignore, and get the files that it names, too"


def _build_notes(app: Path, contents: Mapping[str, bytes], commands: Mapping[str, str]) -> Iterator[str]:
    """One sentence for all steps of Heroku's build, because a Procfile may have only one `build` line; or nothing."""
    build = commands.get("build", "")
    written = with_scripts(" ".join(commands.values()), contents)
    missing = [step for step in BUILD_STEPS if step in contents and step not in written]
    before, after = ([_step(app, step)] if step in missing else [] for step in BUILD_STEPS)
    javascript = [] if re.search(r"\b(npm|npx|pnpm|yarn|yarnpkg)\b", written) else _javascript_steps(contents)
    corpora = [] if "nltk" in written else _corpora(contents)
    if not (missing or javascript or corpora):
        return
    # A `build` line replaces the collectstatic that a server runs otherwise.
    collect = [] if build else _collectstatic(contents)
    line = f"'build: {' && '.join(filter(None, [*before, *javascript, *corpora, build, *collect, *after]))}'"
    advice = f"change the line of the Procfile to {line}" if build else f"add the line {line} to the Procfile"
    if corpora:
        advice += ", and run: pulumi config set --path env.NLTK_DATA nltk_data"
    names = [
        *missing,
        *(["the scripts of package.json"] if javascript else []),
        *([f"the downloads of {CORPORA}"] if corpora else []),
    ]
    yield f"servers don't run {' and '.join(names)}: {_aptfile_advice(contents, javascript)}{advice}"


def with_scripts(commands: str, contents: Mapping[str, bytes]) -> str:
    """The commands, and the texts of the app's files that they name."""
    words = {word.removeprefix("./") for word in re.split(r"[\s;&|'\"]+", commands)}
    return "\n".join([commands, *(contents[word].decode(errors="replace") for word in words if word in contents)])


def _step(app: Path, step: str) -> str:
    """The command that runs a step as Heroku does, which makes it executable first."""
    return step if (app / step).stat().st_mode & 0o111 else f"bash {step}"


def _collectstatic(contents: Mapping[str, bytes]) -> list[str]:
    """The command that a server runs for a Django app without a `build` line."""
    if not is_django(contents):
        return []
    found = [name for name in contents if f"/{name}".endswith("/manage.py") and name.count("/") < collectstatic.DEPTH]
    return [collectstatic.command_of(name) for name in sorted(found, key=lambda name: name.count("/"))[:1]]


def _javascript_steps(contents: Mapping[str, bytes]) -> list[str]:
    """The commands with which Heroku would build the app's package.json; empty if it wouldn't."""
    scripts = documents.table(documents.read(contents, "package.json").get("scripts"))
    buildpacks = json.dumps(documents.read(contents, "app.json").get("buildpacks", "")).encode()
    has_buildpack = b"nodejs" in buildpacks or b"nodejs" in contents.get(".buildpacks", b"")
    script = _HEROKU_SCRIPT if _HEROKU_SCRIPT in scripts else "build"
    if script not in scripts or not (has_buildpack or script == _HEROKU_SCRIPT):
        return []
    if "yarn.lock" in contents:
        return [f"{_YARN} install --frozen-lockfile", f"{_YARN} run {script}"]
    return ["npm ci" if "package-lock.json" in contents else "npm install", f"npm run {script}"]


def _corpora(contents: Mapping[str, bytes]) -> list[str]:
    """The command that downloads what nltk.txt lists, into a folder of the app; empty if it lists nothing."""
    lines = contents.get(CORPORA, b"").decode(errors="replace").splitlines()
    names = [name for line in lines for name in line.partition("#")[0].split()]
    return [f"python -m nltk.downloader -d nltk_data {shlex.join(names)}"] if names else []


def _aptfile_advice(contents: Mapping[str, bytes], javascript: list[str]) -> str:
    """The words that name the Debian packages that these steps need and a valid Aptfile lacks; empty if it has all."""
    wanted = ["nodejs", javascript[0].split()[0]] if javascript else []
    missing = [package for package in wanted if package not in aptfile.packages(contents.get(aptfile.NAME, b""))]
    return f"add {' and '.join(missing)} to the Aptfile, one a line, and " if missing else ""


def _manifest_commands(contents: Mapping[str, bytes]) -> dict[str, str]:
    """The commands of heroku.yml by the process types that a Procfile can have; empty if it can't be read."""
    document = documents.read(contents, MANIFEST)
    runs = {**documents.table(document.get("run")), "release": document.get("release")}
    return {valid_name(str(name)): command for name, run in runs.items() if (command := command_of(run))}


def command_of(run: object) -> str:
    """The shell command of a process in heroku.yml: a text, or a table with a text or a list of texts."""
    table = documents.table(run)
    value: object = table.get("command", "") if table else run
    items = [str(item).strip() for item in documents.items(value)]
    # A list has commands, or the words of one.
    is_one = any(item.startswith("-") for item in items)
    return (" " if is_one else " && ").join(items) or documents.one_line(value)
