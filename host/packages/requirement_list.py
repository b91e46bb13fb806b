"""Reads requirements.txt and the files that it names as pip does, and rewrites what uv reads differently."""

from __future__ import annotations

import codecs
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from host import utf8
from host.packages.requirements import LIST, Read

# A line that names another file of requirements or constraints by its path. A file at a URL isn't followed.
_NAMED_FILE = re.compile(
    r"""^(\s*(-r|--requirement|-c|--constraint)[ =]*)(?!["']?\w+://)(?:"([^"]+)"|'([^']+)'|([^\s#"']+))"""
)
# A line that names a package of the app by its path, or a folder of packages.
_OWN_PACKAGE = re.compile(
    r"^\s*(?:(?:-e|--editable|-f|--find-links)[ =]*+(?![\w+]+://)|\.|/|[\w./-]+(?:/|\.whl|\.zip|\.tar\.gz)(?!/))"
    r"|^[^#]*\bfile:|^\s*[\w.\[\],-]+\s*@\s*+(?![\w+]+://)\S"
)
_EDITABLE = re.compile(r"^\s*(?:-e|--editable)[ =]\s*(\S+)(.*)$")
_FIND_LINKS = re.compile(r"^(\s*(?:-f|--find-links)[ =]\s*)(?!\w+://)([^\s#]+)(.*)$")
_EGG = re.compile(r"[#&]egg=([\w.-]+)((?:\[[^\]]*\])?)")
# The encodings that pip recognizes by the first bytes, longest first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
# Short options of pip may have their value directly behind the letter, as in -rbase.txt.
_JOINED_OPTION = re.compile(r"^(\s*-[recfi])(?=[^\s=-])")
_CONTINUED = re.compile(r"\\\s*$")


@dataclass
class RequirementList:
    """requirements.txt and the files that it names, each by its name.

    ``lines`` holds the app's lines, ``rewritten`` what uv has to read instead. ``own_code`` counts the lines that
    install packages from the app's folder.
    """

    contents: dict[str, bytes] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)
    rewritten: dict[str, list[str]] = field(default_factory=dict)
    own_code: dict[str, int] = field(default_factory=dict)

    @property
    def is_rewritten(self) -> bool:
        """Whether uv can't read the app's own files."""
        return self.lines != self.rewritten or not all(map(utf8.is_valid, self.contents.values()))

    @property
    def texts(self) -> dict[str, str]:
        """What uv has to read."""
        return {name: "".join(f"{line}\n" for line in lines) for name, lines in self.rewritten.items()}


def decode(content: bytes) -> str:
    """The text of a requirements file: by its byte order mark, by a ``coding`` comment, or else UTF-8 or Latin-1."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, errors="replace")
    comments = [match[1].decode() for line in content.splitlines()[:2] if (match := _CODING.match(line))]
    for encoding in (*comments, "utf-8"):
        try:
            return content.decode(encoding)
        except (LookupError, UnicodeDecodeError):
            continue
    return content.decode("latin-1")


def read_list(read: Read) -> RequirementList:
    """Read requirements.txt and the files that it names, each once.

    Raises ValueError with the line to change if a file is missing, outside of the app, or has a path of Windows.
    """
    listing = RequirementList()
    _read_file(read, LIST, listing=listing, named_by="the list")
    return listing


def installing_lines(listing: RequirementList) -> Iterator[str]:
    """The lines that install something, for uv: those of the files that the list names, but not of constraints."""
    for name in installing_files(listing):
        yield from (line for line in listing.rewritten[name] if not _NAMED_FILE.match(line))


def installing_files(listing: RequirementList) -> list[str]:
    """The names of the files whose lines install something: not those of constraints."""
    names = [LIST]
    for name in names:
        files = (_NAMED_FILE.match(line) for line in listing.lines[name])
        others = [_beside(name, _path(file)) for file in files if file and file[2] in ("-r", "--requirement")]
        names += [other for other in dict.fromkeys(others) if other not in names]
    return names


def _beside(name: str, other: str) -> str:
    """The name of a file that the file ``name`` names."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), other))


def _read_file(read: Read, name: str, *, listing: RequirementList, named_by: str) -> None:
    content = read(name)
    if content is None:
        raise ValueError(f"{named_by} names {name}, which doesn't exist: add it to the app, or remove the line")
    lines = decode(content).splitlines()
    listing.contents[name], listing.lines[name] = content, lines
    listing.rewritten[name] = list(map(_rewritten, _joined(lines)))
    listing.own_code[name] = 0
    for number, line in enumerate(lines, 1):
        file = _NAMED_FILE.match(line)
        if file is None:
            listing.own_code[name] += _OWN_PACKAGE.match(line) is not None
            continue
        path, place = _path(file), f"{name}, line {number}: {line.strip()!r}"
        if "\\" in path:
            option, unix = file[1].strip().rstrip("="), path.replace("\\", "/")
            raise ValueError(f"{place} has a path with backslashes, as on Windows: write {option} {unix}")
        other = _beside(name, path)
        # Root reads this file on a server, and writes its copy for uv.
        if posixpath.isabs(other) or other.split("/")[0] == "..":
            raise ValueError(f"{place} leaves the app's folder: move the file into it, and name it by a relative path")
        if other not in listing.contents:
            _read_file(read, other, listing=listing, named_by=place)


def _path(file: re.Match[str]) -> str:
    """The path that a line names, also in quotes."""
    return file[3] or file[4] or file[5]


def _joined(lines: list[str]) -> list[str]:
    """The lines, of which the first of several that backslashes continue has all. Empty ones keep the numbers.

    uv itself reads options such as --hash on lines of their own.
    """
    joined = list(lines)
    start = 0
    while start < len(lines):
        end = start
        while _is_continued(lines[end]) and end + 1 < len(lines):
            end += 1
        if not all(line.lstrip().startswith("--") for line in lines[start + 1 : end + 1]):
            joined[start] = "".join(_CONTINUED.sub("", line) for line in lines[start : end + 1])
            joined[start + 1 : end + 1] = [""] * (end - start)
        start = end + 1
    return joined


def _is_continued(line: str) -> bool:
    return line.rstrip().endswith("\\") and not line.lstrip().startswith("#")


def _rewritten(line: str) -> str:
    """The line as uv understands it. uv installs neither git repositories nor the app's own packages as editable."""
    line = _JOINED_OPTION.sub(r"\1 ", line)
    editable = _EDITABLE.match(line)
    if editable and re.match(r"(git|hg|svn|bzr)\+", editable[1]):
        return _named(editable[1]) + editable[2]
    if editable and "://" not in editable[1]:
        # Rye writes -e file:. for the project itself.
        path = editable[1].removeprefix("file:")
        return ("" if path.startswith((".", "/")) else "./") + path + editable[2]
    if (file := _NAMED_FILE.match(line)) and not file[5]:
        return f"{file[1]}{_path(file)}{line[file.end() :]}"
    return line


def _named(url: str) -> str:
    """``git+https://host/repository@main#egg=name`` as a dependency with that name."""
    egg = _EGG.search(url)
    if egg is None:
        return url
    rest = url[: egg.start()] + url[egg.end() :]
    if "#" not in rest:
        rest = rest.replace("&", "#", 1)
    return f"{egg[1]}{egg[2]} @ {rest}"


def files_for_uv(listing: RequirementList, folder: str) -> Iterator[tuple[str, str]]:
    """The name and the text of each file for uv. ``--find-links`` names folders below ``folder``, as pip reads it."""

    def absolute(match: re.Match[str]) -> str:
        return f"{match[1]}{posixpath.join(folder, match[2])}{match[3]}"

    for name, lines in listing.rewritten.items():
        yield name, "".join(f"{_FIND_LINKS.sub(absolute, line)}\n" for line in lines)
