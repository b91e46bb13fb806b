"""Which version of Python an app asks for, and in which of its files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from host import text_files
from host.packages import requirements, versions
from host.packages.project_files import load
from host.packages.requirements import PIPFILE, PIPFILE_LOCK, PROJECT, PYLOCK, Read

# Each has one version: Heroku's file, and that of pyenv and uv.
RUNTIME, VERSION_FILE = "runtime.txt", ".python-version"
# A line for each program: the file of asdf and mise.
TOOL_VERSIONS = ".tool-versions"
# As Heroku, pyenv and uv write it: python-3.11.9, 3.11.x, 3.12-dev, cpython@3.12, cpython-3.12.1-linux-x86_64-gnu, and
# 3.12.3/envs/shop for a virtual environment of pyenv.
_PIN = re.compile(
    r"(?:(?:c?python[-@=]*|py)?v?([23]\.\d+(?:\.\d+)?)(?:\.[x*]|-dev|(?<=\d)/envs/.*)?|cpython-(3\.\d+\.\d+)-[a-z]+-.*)",
    re.IGNORECASE,
)
# Words for any Python 3.
_ANY = ("3", "3.x", "python3", "python-3", "system", "latest")
# The minor versions of Python 3 that an app may ask for. No Gunicorn that servers bring runs with an older one.
_OLDEST, _NEWEST = 7, 16
# The oldest one in uv's own list. Only a list that the setting pythonMirror names may have older ones.
_OLDEST_OF_UV = 8


@dataclass(frozen=True)
class Request:
    """A version, such as 3.9 or 3.9.18, or a constraint, such as >=3.9,<4, that the app's ``file`` asks for."""

    text: str
    file: str
    is_pin: bool

    def __str__(self) -> str:
        return f"{self.text} ({self.file})"

    def allows(self, version: str) -> bool:
        """Whether a complete version of Python fits. A pin allows all versions with its first two numbers."""
        if self.is_pin:
            return _minor(version) == _minor(self.text)
        return versions.satisfies(self.text, version) is not False


@dataclass(frozen=True)
class Choice:
    """The Python to use: ``version`` is 3.9 or 3.9.18, or empty for the server's own. ``note`` says what is replaced.

    ``reason`` names what the app asks for.
    """

    version: str = ""
    reason: str = ""
    note: str = ""


def choose(read: Read, server: str) -> Choice:
    """The Python for an app on a server whose own is ``server``, such as 3.13.5.

    Raises ValueError if the app's files contradict each other, or if no server can run what they ask for.
    """
    requests = list(_requests(read))
    reason = " and ".join(map(str, requests))
    pins = sorted((request for request in requests if request.is_pin), key=lambda request: len(request.text))
    if all(request.allows(server) for request in requests):
        # Versions that differ only in the last number are compatible, and Debian repairs its own.
        other = next((str(pin) for pin in pins if pin.text.count(".") == 2 and pin.text != server), "")
        return Choice(note=f"Python {server} instead of {other}" if other else "")
    if too_old := next((request for request in requests if _is_too_old(request)), None):
        raise ValueError(
            f"the app asks for Python {too_old}, and the oldest one that servers can download is 3.{_OLDEST_OF_UV}:"
            f" write a newer version there, such as {_minor(server)}, which servers have"
        )
    if pins:
        pin = pins[-1]
        complete = pin.text if pin.text.count(".") == 2 else ""
        # Any last number may be installed for a pin such as 3.9.
        fits = any(
            all(request.allows(version) for request in requests)
            for version in ([complete] if complete else [f"{pin.text}.{number}" for number in (99, 20, 10, 0)])
        )
        if fits:
            return Choice(version=pin.text, reason=reason)
        raise ValueError(
            f"the app asks for different versions of Python, {reason}: let its files name the same version"
        )
    return Choice(version=_best(requests, server, reason), reason=reason)


def download_warning(choice: Choice) -> str:
    """A sentence if uv's own list lacks the chosen Python, so that a release may fail; or ""."""
    if not choice.version or int(choice.version.split(".")[1]) >= _OLDEST_OF_UV:
        return ""
    return (
        f"the app asks for Python {choice.reason}, and the oldest one that servers can download is 3.{_OLDEST_OF_UV},"
        " unless the setting pythonMirror names a list with an older one: write a newer version there"
    )


def _is_too_old(request: Request) -> bool:
    """Whether it allows only one version, as a pin or ==3.6.9 does, and that is before the oldest one."""
    version = request.text if request.is_pin else _exact(request)
    return version != "" and tuple(map(int, version.split(".")[:2])) < (3, _OLDEST)


def _exact(request: Request) -> str:
    """The only version that a constraint allows, such as 3.6.9; empty if it allows several."""
    match = re.search(r"==\s*(3\.\d+\.\d+)\s*(?:,|$)", request.text)
    return match[1] if match else ""


def _best(requests: list[Request], server: str, reason: str) -> str:
    """The version that fits all constraints and is nearest to the server's; raises ValueError if there is none."""
    exact = [version for request in requests if (version := _exact(request))]
    own = int(server.split(".")[1])
    minors = [*range(min(own, _NEWEST), _OLDEST - 1, -1), *range(own + 1, _NEWEST + 1)]
    for version, complete in (
        *((text, text) for text in exact),
        *((f"3.{minor}", f"3.{minor}.99") for minor in minors),
    ):
        if all(request.allows(complete) for request in requests):
            return version
    own_version = _minor(server)
    lines = " and ".join(f">={_bare(request.text) or own_version} in {request.file}" for request in requests)
    raise ValueError(
        f"no version of Python fits what the app asks for, {reason}: write {lines}; servers have {own_version}"
    )


def _bare(text: str) -> str:
    """The version if a constraint is nothing but one: 3.11 means exactly 3.11.0, which nobody wants."""
    version = text.strip().removeprefix("==").strip()
    return version if re.fullmatch(r"3\.\d+", version) else ""


def _requests(read: Read) -> Iterator[Request]:
    for file in (RUNTIME, VERSION_FILE):
        if (content := read(file)) is not None:
            yield from _pin(text_files.decode(file, content), file)
    if (content := read(TOOL_VERSIONS)) is not None:
        yield from _of_tool_versions(text_files.decode(TOOL_VERSIONS, content))
    if required := requirements.project(read).get("requires-python"):
        yield Request(str(required), f"requires-python in {PROJECT}", is_pin=False)
    poetry = requirements.table(read, "tool", "poetry", "dependencies").get("python")
    if isinstance(poetry, str):
        yield Request(poetry, f"tool.poetry.dependencies in {PROJECT}", is_pin=False)
    source = requirements.choose(read)
    if source == PYLOCK and (required := load(PYLOCK, read(PYLOCK) or b"").get("requires-python")):
        yield Request(str(required), PYLOCK, is_pin=False)
    if source == PIPFILE_LOCK:
        yield from _of_pipfile(read)


def _pin(text: str, file: str) -> Iterator[Request]:
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    # pyenv takes the first of several versions.
    line = next(filter(None, lines), "")
    word = "".join(line.split()) if line.lower().startswith("python ") else next(iter(line.split()), "")
    if word.lower() in _ANY:
        return
    if re.match(r"[<>=~!]", word) and versions.satisfies(line, "3.0") is not None:
        yield Request(line, file, is_pin=False)
        return
    match = _PIN.fullmatch(word)
    if match is None:
        example = "python-3.13" if file == RUNTIME else "3.13"
        raise ValueError(f"{file} has {word!r}, but must name a version of CPython, such as {example}")
    yield Request(match[1] or match[2], file, is_pin=True)


def _of_tool_versions(text: str) -> Iterator[Request]:
    """Such as `python 3.12.4 system`: the first version counts. Lines of other programs say nothing about Python."""
    for line in text.splitlines():
        program, *version_words = line.partition("#")[0].split()[:2] or [""]
        if program == "python" and version_words:
            yield from _pin(version_words[0], TOOL_VERSIONS)


def _of_pipfile(read: Read) -> Iterator[Request]:
    table = load(PIPFILE, read(PIPFILE) or b"").get("requires")
    if table is None:
        table = load(PIPFILE_LOCK, read(PIPFILE_LOCK) or b"{}").get("_meta", {}).get("requires", {})
    text = table.get("python_full_version") or table.get("python_version") or ""
    # A mere 3 excludes no version of Python 3.
    if text not in ("", "*", "3"):
        yield from _pin(str(text), PIPFILE)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
