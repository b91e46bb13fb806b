"""Lines of requirements.txt that no server can install, each with the line to write instead."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from host.packages import conda_lines
from host.packages.locked import normalized
from host.packages.project_files import conflict
from host.packages.requirement_list import RequirementList, decode, installing_files, read_list
from host.packages.requirements import Read

_NAME = r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?"
# The form of a line about a package. Its versions and markers are left to uv.
_CLAUSE = r"(?:===|==|~=|!=|<=|>=|<|>)\s*[\w.+!*-]+"
_REQUIREMENT = re.compile(
    rf"(?P<name>{_NAME})\s*(?:\[[\w\s,.-]*\])?\s*(?P<versions>\(?\s*(?:{_CLAUSE}(?:\s*,\s*{_CLAUSE})*\s*,?)?\s*\)?)\s*"
    r"(?:;\s*(?P<marker>[!-:<-~][ -:<-~\t]*?)\s*)?(?P<options>\s--.*)?"
)
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_HASH = re.compile(r"\s--hash[= ]")
# Options, URLs and paths are left to uv, and so is a name with a place.
_NO_REQUIREMENT = re.compile(r"-|\.|/|[\w+.-]+:/|file:|[\w.\[\], -]+@|[^\s;#]*[/\\]|[^\s;#]+\.(?:whl|zip|tar\.gz)\b")
_CONDA_PLACE = re.compile(r"^\s*([\w.-]+(?:\[[^\]]*\])?)\s*@\s*file:/{1,3}(\S+)")
_WHEEL_VERSION = re.compile(r"/[\w.]+-([\w.!+]+)-[\w.]+-[\w.]+-[\w.]+\.whl")
_OWN_PATH = re.compile(
    r"^\s*(?:(?P<folder>\.{1,2}(?:[/\\][^\s;#\[]*)?|/[^\s;#]*|(?:[^\s;#:@\[]+/)+(?=[\s;#\[]|$))"
    r"|(?P<archive>(?![\w+]+://)[^\s;#@]+\.(?:whl|zip|tar\.gz))(?=\s|$|[;#]))"
)
_FILE_URL = re.compile(r"^\s*(?:-e\s+|--editable[ =]\s*)?file:/{1,3}(?P<path>[^\s#]+)")
# Git's short form of an ssh URL, and the protocol without encryption that hosts have given up.
_GIT_PLACE = re.compile(
    r"(?:git\+)?(?:git@(?P<host>[\w.-]+):|git://(?P<other>[^\s/]+)/)(?!\d+/)(?P<path>[^\s#@]+)(?P<rest>\S*)"
)
_QUOTES = str.maketrans("\u201c\u201d\u2018\u2019", "\"\"''")
# Packages that have never had a file for Linux.
_FOR_WINDOWS = ("pywin32", "pypiwin32", "windows-curses", "twisted-iocpsupport", "pywinpty")
# Packages of Ubuntu that no package registry has, or only under the same name by chance.
_OF_UBUNTU = re.compile(
    r"pkg-resources|python-apt|python-debian|distro-info|command-not-found|ubuntu-.*|language-selector|ufw|ssh-import-id"
    r"|screen-resolution-extra|usb-creator|unattended-upgrades|xkit|cupshelpers|software-properties|apturl|louis"
)


def mistakes(read: Read) -> list[str]:
    """A sentence for each line that no server can install, with the line to write instead."""
    try:
        listing = read_list(read)
    except ValueError as error:
        return [str(error)]
    for find in (_encodings, _conflicts):
        if found := list(find(listing)):
            return found
    return [
        *(
            f"{name}, line {number}: {listing.lines[name][number - 1].strip()!r} {reason}"
            for name, lines in listing.rewritten.items()
            for number, line in enumerate(lines, 1)
            if (reason := _mistake(line, listing.lines[name][number - 1], read))
        ),
        *_contradictions(listing),
    ]


def _encodings(listing: RequirementList) -> Iterator[str]:
    for name, content in listing.contents.items():
        if "\0" in (text := decode(content)):
            line = text.count("\n", 0, text.index("\0")) + 1
            yield f"{name}, line {line}: the file has NUL bytes, so it isn't in UTF-8: save the file as UTF-8"


def _conflicts(listing: RequirementList) -> Iterator[str]:
    for name, content in listing.contents.items():
        if sentence := conflict(name, decode(content)):
            yield sentence


def _contradictions(listing: RequirementList) -> Iterator[str]:
    """A sentence for each package that two lines pin to different versions."""
    pins: dict[str, tuple[str, str]] = {}
    for name in installing_files(listing):
        for number, line in enumerate(listing.rewritten[name], 1):
            match = _REQUIREMENT.fullmatch(_COMMENT.sub("", line).rstrip("\\ ").strip())
            pin = re.fullmatch(r"==\s*([\w.+!-]+)", match["versions"].strip()) if match else None
            if match is None or pin is None or match["marker"]:
                continue
            place = f"{name}, line {number}: {line.strip()!r}"
            earlier, version = pins.setdefault(normalized(match["name"]), (place, pin[1]))
            if version != pin[1]:
                yield f"{earlier} and {place} ask for different versions of one package: remove one of the two lines"


def _mistake(line: str, written: str, read: Read) -> str:
    if of_conda := conda_lines.mistake(line):
        return of_conda
    if place := _CONDA_PLACE.match(line):
        version = _WHEEL_VERSION.search(place[2])
        path = place[2].partition("#")[0]
        if line.partition("file:")[2].startswith("///") or not _exists(path, read):
            pinned = f"{place[1]}=={version[1]}" if version else f"{place[1]}==<version>"
            return (
                f"is a file of the computer that wrote the list, as conda writes it: write {pinned}, or"
                f" {conda_lines.LIST_AGAIN}"
            )
    return _mistake_of_place(line, written, read) or _mistake_of_requirement(
        _COMMENT.sub("", line).rstrip("\\ ").strip()
    )


def _mistake_of_place(line: str, written: str, read: Read) -> str:
    """What is wrong with the path or the URL that a line installs from."""
    if git := _GIT_PLACE.search(_COMMENT.sub("", written)):
        host, path = git["host"] or git["other"], git["path"].removesuffix(".git")
        return f"has a URL that isn't supported: write git+https://{host}/{path}.git{git['rest'].removeprefix('.git')}"
    if re.match(r"\s*(?:-e\s+|--editable[ =]\s*)?(?:[A-Za-z]:\\|\.{1,2}\\|[\w-]+\\)", written):
        return (
            "has a path with backslashes, as on Windows: write a path in the app's folder with slashes, such as ./lib"
        )
    if (url := _FILE_URL.match(written)) and not _exists(url["path"], read):
        return "is a file of the computer that wrote the list: leave the line out, or add the package, such as ./lib"
    own = _OWN_PATH.match(line)
    if own and own["folder"] and not _exists(own["folder"], read):
        return (
            "names a package that the app's folder doesn't have (no pyproject.toml and no setup.py"
            " there): leave the line out, or add the package"
        )
    if own and own["archive"] and not _exists(own["archive"], read):
        return "names a file that the app doesn't have: leave the line out, or add the file"
    return ""


def _mistake_of_requirement(line: str) -> str:
    """What is wrong with a line about a package of the registry."""
    if not line or _NO_REQUIREMENT.match(line):
        return ""
    match = _REQUIREMENT.fullmatch(line)
    if match is None:
        return _malformed(line)
    if (name := normalized(match["name"])) == "pkg-resources" or ("==" in match["versions"] and _is_of_ubuntu(name)):
        return "is a package of Ubuntu that `pip freeze` lists, but no package registry has: leave the line out"
    if name == "python":
        version = re.search(r"3\.\d+", line)
        return (
            "is Python itself and no package: leave the line out; a .python-version file with"
            f" {version[0] if version else '3.13'} asks for that version"
        )
    if name in _FOR_WINDOWS and not match["marker"]:
        return f"is a package for Windows alone: write {line.split(' --')[0]} ; sys_platform == 'win32'"
    if options := [word for word in re.findall(r"\s(--[\w-]+)", match["options"] or "") if word != "--hash"]:
        return f"has the option {options[0]}, which servers don't know: leave it out"
    return ""


def _is_of_ubuntu(name: str) -> bool:
    return _OF_UBUNTU.fullmatch(name) is not None


def _malformed(line: str) -> str:
    """What to write instead of a line that is no requirement."""
    words = line.split()
    if words[:2] in (["pip", "install"], ["pip3", "install"]):
        return f"is a command: write {' and '.join(words[2:])}, one a line, without pip install"
    if re.fullmatch(r"Package\s+Version.*|-{3,}[\s-]*", line):
        return f"is the table that `pip list` prints: {conda_lines.LIST_AGAIN}"
    if swapped := re.search(r"=([<>])", line):
        return f"has the operator ={swapped[1]}: write {line.replace(swapped[0], swapped[1] + '=')}"
    if pinned := re.fullmatch(rf"({_NAME})\s+v?(\d[\w.]*)", line):
        return f"lacks an operator: write {pinned[1]}=={pinned[2]}"
    if re.fullmatch(rf"{_NAME}(?:[\s,]+{_NAME})+", line):
        return f"has several packages: write one a line: {' and '.join(line.replace(',', ' ').split())}"
    bare = re.sub(r"[^ -~]", "", line.translate(_QUOTES)).rstrip(",; ")
    bare = re.sub(r"^(['\"`])(.*)\1$", r"\2", bare)
    example = bare if bare and _REQUIREMENT.fullmatch(bare) else "a line such as flask==3.1.0"
    return f"isn't the name of a package with a version: write {example}, or remove the line"


def _exists(path: str, read: Read) -> bool:
    """Whether the app has a package at a path: a file, or a folder with a build."""
    name = posixpath.normpath(path)
    if name.startswith(("/", "..")):
        return False
    return any(
        read(posixpath.normpath(file)) is not None for file in (name, f"{name}/pyproject.toml", f"{name}/setup.py")
    )
