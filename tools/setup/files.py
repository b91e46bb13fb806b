"""Digests, locks and atomic replacement. An interrupted set-up never leaves a half-filled folder in place."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from tools.setup.report import say


def digest(parts: Iterable[str | Path]) -> str:
    """The SHA-256 of texts and file contents. Each part is preceded by its length, so that two parts can't merge."""
    sha256 = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part.encode()
        sha256.update(f"{len(content)}:".encode() + content)
    return sha256.hexdigest()


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_record(path: Path) -> dict[str, str]:
    """The record in a JSON file, or an empty one if the file is missing or incomplete."""
    try:
        record: object = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(record, dict):
        return {}
    return {str(key): str(value) for key, value in cast("dict[object, object]", record).items()}


def write_record(path: Path, record: dict[str, str]) -> None:
    """Writes the record as a JSON file, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(json.dumps(record, indent=2) + "\n")
    new.replace(path)


@contextmanager
def atomic_folder(final: Path) -> Generator[Path]:
    """Yields an empty folder to fill. It replaces `final` only if the block ends without an error."""
    new, old = (final.with_name(f".{final.name}.{suffix}") for suffix in ("new", "old"))
    for folder in (new, old):
        shutil.rmtree(folder, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        yield new
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    if final.exists():
        final.rename(old)
    new.rename(final)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def exclusive(lock: Path) -> Generator[None]:
    """Holds the lock file. A second set-up waits here, and then finds that the work is done."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is running in this checkout; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
