"""Start commands in the files of other platforms and containers: the lines of a Procfile to write instead."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from components.app import dockerfile, documents
from host import port_line, procfile
from host.packages import aptfile
from host.procfile_correction import valid_name

# Steps of a build that servers do themselves.
_DONE_BY_SERVERS = re.compile(
    r"\b(?:pip3?|pipx|uv|poetry|pipenv|pdm|conda) (?:[\w-]+ )*?"
    r"(?:install|sync|upgrade|update|lock|export|config|self|pip|cache)\b"
    r"|\bcollectstatic\b|-m venv\b|/bin/activate\b|^(?:echo|cd \.?/?$|python\S* -V|python\S* --version)"
    r"|\b(?:apt|apt-get)\b"
)
_MIGRATION = re.compile(r"\b(?:migrate|db upgrade|alembic upgrade|aerich upgrade)\b")
# A script that a build command runs alone.
_SCRIPT = re.compile(r"(?:(?:ba)?sh |chmod \S+ \S+ && )*(?:\./)?(?P<path>[\w./-]+\.sh)")
_SETTING = re.compile(r"set [-+]|export \w+=\S*$")
_CONTROL = re.compile(r"(?:if|then|else|elif|fi|for|while|do|done|case|esac|function)\b|[\w-]+\s*\(\)|[{}]|cd\b")
# Lines that can't be split into their commands without a shell.
_NOT_SIMPLE = re.compile(r"['\"`|()<>]|\$\(|\|\||\bcd\b")
_DEBIAN = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
# Programs of jobs. Others in a container are often for developers.
_WORKER = re.compile(
    r"\bcelery\b.* (?:worker|beat)\b|\b(?:rq|rqworker|huey_consumer(?:\.py)?|dramatiq|arq|run_huey|rqscheduler)\b"
)
# The files that say how the app is built.
_BUILDERS = ("render.yaml", "railway.json", "railway.toml", "nixpacks.toml")
# Commands by the process types of a Procfile.
Commands = dict[str, str]


def notes(contents: Mapping[str, bytes], web: str) -> Iterator[str]:
    """A sentence for each of these files that starts something else than the command ``web``, which Gantry has found.

    Call it for an app without a Procfile, whose files ``contents`` has by name.
    """
    for name, commands in _by_file(contents):
        if commands != {"web": web}:
            lines = _lines({"web": web, **commands})
            yield f"servers don't read {name}: if they should run its commands, add a Procfile with {lines}"


def build_notes(contents: Mapping[str, bytes]) -> Iterator[str]:
    """A sentence about the commands with which these files build the app, if its Procfile lacks some of them.

    ``contents`` are the files of the app by name, with a valid Procfile.
    """
    processes = procfile.processes(procfile.decode(contents["Procfile"]))
    written = "\n".join(processes.values())
    for name in _BUILDERS:
        commands, packages = _build_of(name, documents.read(contents, name))
        parts = [part for command in commands for part in _parts(command, contents)]
        parts = [part for part in parts if part not in written and not _DONE_BY_SERVERS.search(part)]
        migrations = [part for part in parts if _MIGRATION.search(part)]
        others = [part for part in parts if part not in migrations]
        lines = list[str]()
        if migrations and "release" not in processes:
            lines.append(f"'release: {' && '.join(migrations)}'")
        if others and "build" not in processes:
            lines.append(f"'build: {' && '.join(others)}'")
        advice = [f"add {' and '.join(lines)} to the Procfile"] if lines else []
        listed = aptfile.packages(contents.get(aptfile.NAME, b""))
        if missing := [package for package in packages if package not in listed and _DEBIAN.fullmatch(package)]:
            advice.append(f"add {' and '.join(missing)} to the Aptfile{', one a line' if missing[1:] else ''}")
        if advice:
            yield f"servers don't build the app as {name} says: {', and '.join(advice)}"


def _build_of(name: str, document: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The commands with which a file builds the app, and the Debian packages that it installs."""
    if name == "render.yaml":
        services = [documents.table(service) for service in documents.items(document.get("services"))]
        web = [
            one
            for one in services
            if one.get("type") == "web" and one.get("runtime", one.get("env", "python")) == "python"
        ]
        return [_in_folder(one, _text(one.get("buildCommand"))) for one in web[:1]], []
    if name.startswith("railway"):
        return [_text(documents.table(document.get("build")).get("buildCommand"))], []
    phases = documents.table(document.get("phases"))
    commands = documents.items(documents.table(phases.get("build")).get("cmds"))
    packages = documents.items(documents.table(phases.get("setup")).get("aptPkgs"))
    return list(map(_text, commands)), [package for package in map(_text, packages) if package != "..."]


def _parts(command: str, contents: Mapping[str, bytes]) -> Iterator[str]:
    """The commands of a line, or of the script that it runs. None for a line or script that needs a shell to split."""
    if match := _SCRIPT.fullmatch(command.strip()):
        text = contents.get(match["path"], b"").decode(errors="replace")
        lines = [line.strip() for line in text.replace("\\\n", " ").splitlines()]
        commands = [line for line in lines if line and not line.startswith("#") and not _SETTING.match(line)]
        is_simple = not any(_CONTROL.match(line) for line in commands)
        yield from (part for line in commands for part in _parts_of(line)) if is_simple else ()
        return
    yield from _parts_of(command)


def _parts_of(line: str) -> list[str]:
    return [part.strip() for part in re.split(r"&&|;", line) if part.strip()] if not _NOT_SIMPLE.search(line) else []


def remedy(contents: Mapping[str, bytes]) -> str:
    """The lines to write for an app that Gantry doesn't find; empty if none of these files has commands."""
    # One with a web process comes first.
    found = sorted([*_by_file(contents), *_of_dockerfile(contents)], key=lambda file: "web" not in file[1])
    for name, commands in found[:1]:
        place = "a Procfile with" if "web" in commands else "to the Procfile, too,"
        return f"servers don't read {name}: add {place} {_lines(commands)}"
    return ""


def _lines(commands: Commands) -> str:
    lines = ", ".join(f"'{name}: {command}'" for name, command in commands.items())
    return f"the line{'s' if len(commands) > 1 else ''} {lines}"


def _by_file(contents: Mapping[str, bytes]) -> Iterator[tuple[str, Commands]]:
    """The files with commands, and these commands."""
    for name, read in _READERS.items():
        found = ((process, _text(value)) for process, value in read(documents.read(contents, name)))
        if commands := {process: command for process, command in found if command}:
            yield name, commands


def _of_render(document: dict[str, Any]) -> Iterator[tuple[str, object]]:
    services = [documents.table(service) for service in documents.items(document.get("services"))]
    # Static sites and apps in other languages aren't for these servers.
    services = [one for one in services if one.get("runtime", one.get("env", "python")) in ("python", "docker")]
    web, workers = ([one for one in services if one.get("type") == type_] for type_ in ("web", "worker"))
    # A server runs one web process.
    for service in web[:1]:
        yield "web", _in_folder(service, _with_port(_start_command(service), "10000"))
        yield "release", _in_folder(service, _text(service.get("preDeployCommand")))
    for service in workers:
        name = str(service.get("name")) if workers[1:] else "worker"
        yield valid_name(name), _in_folder(service, _start_command(service))


def _start_command(service: dict[str, Any]) -> str:
    return _text(service.get("startCommand") or service.get("dockerCommand"))


def _in_folder(service: dict[str, Any], command: str) -> str:
    """The command, in the folder of the service if it has one of its own."""
    folder = _text(service.get("rootDir")).strip("./")
    return f"cd {shlex.quote(folder)} && {command}" if folder and command else command


def _of_fly(document: dict[str, Any]) -> Iterator[tuple[str, object]]:
    tables = [document.get("http_service"), *documents.items(document.get("services"))]
    ports = [str(documents.table(table).get("internal_port", "")) for table in tables]
    command = documents.table(document.get("experimental")).get("cmd")
    processes = {"app": command, **documents.table(document.get("processes"))}
    for name, command in processes.items():
        is_web = name in ("app", "web")
        yield ("web" if is_web else valid_name(name)), _with_port(_text(command), *ports) if is_web else command
    yield "release", documents.table(document.get("deploy")).get("release_command")


def _with_port(command: str, *ports: str) -> str:
    """The command with $PORT in place of the port that the platform expects."""
    used = [int(port) for port in ports if port.isdecimal() and port in command]
    return (port_line.corrected(command, used) if used else "") or command


def _of_railway(document: dict[str, Any]) -> Iterator[tuple[str, object]]:
    deploy = documents.table(document.get("deploy"))
    yield "web", deploy.get("startCommand")
    before = deploy.get("preDeployCommand")
    yield "release", " && ".join(map(_text, documents.items(before))) or before


def _of_nixpacks(document: dict[str, Any]) -> Iterator[tuple[str, object]]:
    yield "web", documents.table(document.get("start")).get("cmd")


def _of_app_engine(document: dict[str, Any]) -> Iterator[tuple[str, object]]:
    if _text(document.get("runtime")).startswith("python"):
        yield "web", _with_port(_text(document.get("entrypoint")), "8080")


def _of_digital_ocean(document: dict[str, Any]) -> Iterator[tuple[str, object]]:
    spec = documents.table(document.get("spec")) or document
    services, workers, jobs = (
        [documents.table(each) for each in documents.items(spec.get(kind))] for kind in ("services", "workers", "jobs")
    )
    # A server runs one web process.
    for service in services[:1]:
        yield "web", _with_port(_text(service.get("run_command")), str(service.get("http_port", "8080")), "8080")
    for worker in workers:
        name = str(worker.get("name")) if workers[1:] else "worker"
        yield valid_name(name), worker.get("run_command")
    before = [_text(job.get("run_command")) for job in jobs if job.get("kind") == "PRE_DEPLOY"]
    yield "release", " && ".join(filter(None, before))


def _of_compose(document: dict[str, Any]) -> Iterator[tuple[str, object]]:
    """The workers. The web service is often one for developers, and Gantry finds the app itself."""
    for name, service in documents.table(document.get("services")).items():
        command = _text(documents.table(service).get("command"))
        if _WORKER.search(command):
            yield valid_name(str(name)), command


def _of_dockerfile(contents: Mapping[str, bytes]) -> Iterator[tuple[str, Commands]]:
    """The Dockerfile with its command. It often starts what Gantry finds anyway, with options for a container."""
    ports = [*dockerfile.ports(contents), "8000", "8080", "5000", "80"]
    if command := _with_port(dockerfile.command(contents), *ports):
        yield dockerfile.NAME, {"web": command}


_READERS: dict[str, Callable[[dict[str, Any]], Iterator[tuple[str, object]]]] = {
    "render.yaml": _of_render,
    "fly.toml": _of_fly,
    "railway.json": _of_railway,
    "railway.toml": _of_railway,
    "nixpacks.toml": _of_nixpacks,
    "app.yaml": _of_app_engine,
    ".do/app.yaml": _of_digital_ocean,
    ".do/deploy.template.yaml": _of_digital_ocean,
    **dict.fromkeys(_COMPOSE, _of_compose),
}


def _text(value: object) -> str:
    """A command in one line. A list has the words of one."""
    return shlex.join(map(str, documents.items(value))) or documents.one_line(value)
