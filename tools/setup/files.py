"""Digests, locks and atomic replacement: an interrupted set-up leaves nothing that is taken for whole."""

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
    """Of the texts and of the content of the files, each with its length so that they cannot run together."""
    whole = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part.encode()
        whole.update(f"{len(content)}:".encode() + content)
    return whole.hexdigest()


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_record(path: Path) -> dict[str, str]:
    """The record, or an empty one where there is none or it is not whole."""
    try:
        found: object = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(key): str(value) for key, value in cast("dict[object, object]", found).items()}


def write_record(path: Path, record: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(json.dumps(record, indent=2) + "\n")
    new.replace(path)


@contextmanager
def made_aside(final: Path) -> Generator[Path]:
    """A new folder to fill, which takes the place of `final` only when the block has ended well."""
    new, old = (final.with_name(f".{final.name}.{role}") for role in ("new", "old"))
    for left_behind in (new, old):
        shutil.rmtree(left_behind, ignore_errors=True)
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
def only_one(lock: Path) -> Generator[None]:
    """Holds the lock, so that of two set-ups at once the second waits and finds the work done."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is at work in this checkout; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
