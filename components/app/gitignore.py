"""Reads a .gitignore as git does, byte by byte: https://git-scm.com/docs/gitignore#_pattern_format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from components.errors import UserError

_UTF8_BOM = b"\xef\xbb\xbf"
# The encodings with NUL bytes, by their first bytes, longest first; and by which of the first four bytes are NUL.
_MARKS = (("UTF-32", b"\xff\xfe\0\0"), ("UTF-32", b"\0\0\xfe\xff"), ("UTF-16", b"\xff\xfe"), ("UTF-16", b"\xfe\xff"))
_NULS: dict[tuple[int, ...], str] = {
    (1, 2, 3): "UTF-32LE",
    (0, 1, 2): "UTF-32BE",
    (1, 3): "UTF-16LE",
    (0, 2): "UTF-16BE",
}
# The ASCII characters of each class, as ranges of a regular expression.
_CLASSES = {
    b"alnum": rb"0-9A-Za-z", b"alpha": rb"A-Za-z", b"blank": rb" \t", b"cntrl": rb"\x00-\x1f\x7f", b"digit": rb"0-9",
    b"graph": rb"!-~", b"lower": rb"a-z", b"print": rb" -~", b"punct": rb"!-/:-@\[-`{-~", b"space": rb"\t-\r ",
    b"upper": rb"A-Z", b"xdigit": rb"0-9A-Fa-f",
}  # fmt: skip
# One item of a bracket expression: a class, or one character that may begin a range.
_ITEM = re.compile(rb"\[:(?P<name>[^\]]*?):\]|(?P<first>\\.|[^\\])(?:-(?!\])(?P<last>\\.|[^\\]))?", re.DOTALL)


class _NeverMatchesError(ValueError):
    """Git takes the pattern for one that matches nothing."""


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """One pattern. ``line`` is its line's number, from 1. ``expression`` is None if it matches nothing."""

    line: int
    text: bytes
    excludes: bool
    only_folders: bool
    only_name: bool
    expression: re.Pattern[bytes] | None

    def matches(self, path: bytes, *, is_folder: bool) -> bool:
        """Whether it matches a file or folder; ``path`` is relative to the folder of the .gitignore."""
        if self.expression is None or (self.only_folders and not is_folder):
            return False
        return self.expression.fullmatch(path.rpartition(b"/")[2] if self.only_name else path) is not None


def read(file: Path) -> list[Pattern]:
    """The patterns of a file. Raises UserError if it can't be read, or if git would use none of its patterns."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} can't be read ({error.strerror}): change its permissions") from None
    if encoding := _encoding_with_nuls(content):
        raise UserError(
            f"{file}, line 1: the file is in {encoding}, so git uses none of its patterns, and files that it should"
            f" exclude would be packed; save it as UTF-8, for example with: iconv -f {encoding} -t UTF-8 {file.name}"
        )
    lines = content.removeprefix(_UTF8_BOM).split(b"\n")
    return [pattern for number, line in enumerate(lines, 1) if (pattern := _pattern(number, line))]


def _encoding_with_nuls(content: bytes) -> str | None:
    """The encoding of a file that git reads as one without patterns; None if git reads it."""
    marked = next((encoding for encoding, mark in _MARKS if content.startswith(mark)), None)
    return marked or _NULS.get(tuple(index for index, byte in enumerate(content[:4]) if byte == 0))


def _pattern(number: int, line: bytes) -> Pattern | None:
    text = line.removesuffix(b"\r").partition(b"\0")[0]
    if text.startswith(b"#"):
        return None
    text = _without_spaces_at_the_end(text)
    glob = text.removeprefix(b"!")
    path = glob.removesuffix(b"/")
    if not path:
        return None
    try:
        expression = re.compile(_expression(path.removeprefix(b"/")), re.DOTALL)
    except _NeverMatchesError:
        expression = None
    return Pattern(
        line=number,
        text=text,
        excludes=glob == text,
        only_folders=path != glob,
        only_name=b"/" not in path,
        expression=expression,
    )


def _without_spaces_at_the_end(text: bytes) -> bytes:
    """A backslash protects the space after it."""
    stripped = text.rstrip(b" ")
    backslashes = len(stripped) - len(stripped.rstrip(b"\\"))
    return text[: len(stripped) + backslashes % 2]


def _expression(glob: bytes) -> bytes:
    """The regular expression for a pattern; raises _NeverMatchesError."""
    parts: list[bytes] = []
    position = 0
    while position < len(glob):
        stars = re.compile(rb"\*+").match(glob, position)
        if stars:
            part, position = _stars(glob, stars)
        elif glob[position : position + 1] == b"[":
            part, position = _bracket(glob, position)
        elif glob[position : position + 1] == b"?":
            part, position = b"[^/]", position + 1
        else:
            position += glob[position : position + 1] == b"\\"
            if position == len(glob):
                raise _NeverMatchesError
            part, position = re.escape(glob[position : position + 1]), position + 1
        parts.append(part)
    return b"".join(parts)


def _stars(glob: bytes, stars: re.Match[bytes]) -> tuple[bytes, int]:
    """Two stars that are a whole part of the path match any folders. Other stars match within one part."""
    # Git compares what is before the first sign separately, and what is left then begins with the stars.
    before = glob[: stars.start()]
    begins_part = before.endswith(b"/") or not re.search(rb"[*?\[\\]", before)
    if begins_part and stars.end() - stars.start() > 1:
        after = glob[stars.end() : stars.end() + 2]
        if after.startswith(b"/"):
            return b"(?:.*/)?", stars.end() + 1
        if after in (b"", b"\\/"):
            return b".*", stars.end()
    return b"[^/]*", stars.end()


def _bracket(glob: bytes, start: int) -> tuple[bytes, int]:
    """The expression for one character of a set, such as ``[a-c[:digit:]]``, and the position after it."""
    position = start + 1
    is_negated = glob[position : position + 1] in (b"!", b"^")
    position += is_negated
    members: list[bytes] = []
    first = position
    while position == first or glob[position : position + 1] != b"]":
        item = _ITEM.match(glob, position)
        if not item:
            raise _NeverMatchesError
        members.append(_members(item))
        position = item.end()
    content = (b"[^" if is_negated else b"[") + b"".join(members) + b"]"
    return b"(?!/)" + content, position + 1  # a set never matches a slash


def _members(item: re.Match[bytes]) -> bytes:
    if item["name"] is not None:
        if item["name"] not in _CLASSES:
            raise _NeverMatchesError
        return _CLASSES[item["name"]]
    first, last = (ord(part[-1:]) for part in (item["first"], item["last"] or item["first"]))
    # Git compares the first character before it reads the range, so z-a is z.
    return b"\\x%02x-\\x%02x" % (first, max(first, last))
