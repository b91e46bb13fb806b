"""Text in UTF-8, and the sentence for a file that has other bytes."""

from __future__ import annotations


def decode(name: str, content: bytes, encoding: str = "utf-8") -> str:
    """The text of the file ``name``; ``encoding`` is UTF-8, or another one that the file's first bytes name.

    Raises ValueError with the line of the first byte that is in another encoding.
    """
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{name}, line {line}: a character isn't in UTF-8: save the file as UTF-8") from None


def is_valid(content: bytes) -> bool:
    """Whether all bytes are UTF-8."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
