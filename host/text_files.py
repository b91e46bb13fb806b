"""Reads the app's short text files in the encodings in which editors save them."""

from __future__ import annotations

from host.packages.project_files import conflict
from host.packages.requirement_list import decode as decode_by_mark


def decode(name: str, content: bytes) -> str:
    """The text of the file ``name``, also in UTF-16 with a byte order mark, as Notepad and PowerShell write it.

    Raises ValueError with file and line if it has NULs, as UTF-16 without such a mark, or marks of a merge conflict.
    """
    text = decode_by_mark(content)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(f"{name}, line {line}: the file has NUL bytes, so it isn't in UTF-8: save it as UTF-8")
    if mistake := conflict(name, text):
        raise ValueError(mistake)
    return text
