"""Collects the files that a local command leaves, as assets and as one archive (assetPaths, archivePaths)."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from .values import ARCHIVE, ASSET, SIGNATURE, Properties, Value


def collect_assets(directory: str, patterns: list[str]) -> dict[str, Value]:
    """The files in the directory that match the patterns, by relative path. A pattern with `!` excludes files again."""
    rules = [(re.compile(_regex(pattern.removeprefix("!"))), pattern.startswith("!")) for pattern in patterns]
    assets: dict[str, Value] = {}
    for name in sorted(_files(directory)):
        is_match = False
        for rule, excludes in rules:
            if rule.fullmatch(name):
                is_match = not excludes
        if is_match:
            assets[name] = _asset(Path(directory, name))
    return assets


def archive_of(assets: dict[str, Value]) -> Properties:
    return {SIGNATURE: ARCHIVE, "hash": _archive_hash(assets), "assets": assets}


def _files(directory: str) -> list[str]:
    paths: list[str] = []
    for folder, _, names in os.walk(directory):
        paths += [os.path.relpath(os.path.join(folder, name), directory) for name in names]  # noqa: PTH118  (the engine uses texts)
    return paths


def _asset(path: Path) -> Properties:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {SIGNATURE: ASSET, "hash": digest, "path": str(path)}


def _archive_hash(assets: dict[str, Value]) -> str:
    """The hash of a plain tar file with these assets, as the engine computes it."""
    digest = hashlib.sha256()
    for name, asset in assets.items():
        assert isinstance(asset, dict)
        content = Path(str(asset["path"])).read_bytes()
        digest.update(_tar_header(name, len(content)) + content + bytes(-len(content) % 512))
    digest.update(bytes(1024))
    return digest.hexdigest()


def _tar_header(name: str, size: int) -> bytes:
    mode, owner, device, time = b"0000600\0", b"0000000\0" * 2, b"0000000\0" * 2, b"00000000000\0"
    before = name.encode().ljust(100, b"\0") + mode + owner + b"%011o\0" % size + time
    after = b"0" + bytes(100) + b"ustar\x0000" + bytes(64) + device + bytes(167)
    checksum = sum(before) + sum(after) + 8 * ord(" ")
    return before + b"%06o\0 " % checksum + after


def _regex(pattern: str) -> str:
    """The regular expression of a shell pattern with *, **, ?, [classes] and {alternatives}. Only ** matches `/`."""
    regex, index, depth = "", 0, 0
    while index < len(pattern):
        character = pattern[index]
        index += 1
        if pattern.startswith("**", index - 1):
            index += 1
            regex += ".*"
        elif character == "*":
            regex += "[^/]*"
        elif character == "?":
            regex += "[^/]"
        elif character == "[" and "]" in pattern[index:]:
            end = pattern.index("]", index + 1)
            inside = pattern[index:end].replace("\\", "\\\\")
            regex += f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"
            index = end + 1
        elif character == "{":
            depth, regex = depth + 1, regex + "(?:"
        elif character == "}" and depth:
            depth, regex = depth - 1, regex + ")"
        elif character == "," and depth:
            regex += "|"
        elif character == "\\" and index < len(pattern):
            regex += re.escape(pattern[index])
            index += 1
        else:
            regex += re.escape(character)
    return regex
