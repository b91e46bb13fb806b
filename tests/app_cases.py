"""Reads the cases in tests/cases/, whose README explains their keys, and writes their apps."""

from __future__ import annotations

import os
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.app.source import Release, Source
from components.settings.common import Settings
from tests.stack import ROOT
from tests.stack_settings import read

FOLDER = Path(__file__).parent / "cases"
# The files that aren't kinds of cases: apps to start from, and apps that are released several times.
APPS, UNDER_LOAD = "apps", "under_load"
ALL_CASES_VARIABLE = "GANTRY_ALL_CASES"
# Settings that keep a case short. A case may set them itself.
SHORT = {"watch": 0, "workers": 1, "healthTimeout": 10}
GIT = ("git", "-c", "user.name=shop", "-c", "user.email=shop@example.org", "-c", "init.defaultBranch=main")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One app and what must happen with it. The fields are the keys of the README."""

    id: str  # <kind>/<name>
    files: Mapping[str, str]
    executable: tuple[str, ...] = ()
    crlf: tuple[str, ...] = ()
    encoded: Mapping[str, str] = field(default_factory=dict[str, str])
    links: Mapping[str, str] = field(default_factory=dict[str, str])
    committed: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    server: str = ""
    get: str = "/"
    host: str | None = None
    status: int = 200
    serves: str = ""
    says: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    leaves_out: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    fails: tuple[str, ...] = ()
    slow: bool = False

    @property
    def released(self) -> bool:
        """Whether this test run releases the case on a server. Slow ones only if GANTRY_ALL_CASES is set."""
        return not self.refused and (not self.slow or bool(os.environ.get(ALL_CASES_VARIABLE)))

    def __post_init__(self) -> None:
        expectations = [bool(self.serves), bool(self.refused), bool(self.fails)]
        assert sum(expectations) == 1, f"{self.id} needs exactly one of serves, refused and fails"

    def write(self, app: Path) -> None:
        """Write the app into the new folder ``app``."""
        app.mkdir()
        for name, text in self.files.items():
            path = app / name
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = text.replace("\n", "\r\n") if name in self.crlf else text
            path.write_bytes(lines.encode(self.encoded.get(name, "utf-8")))
            path.chmod(0o755 if name in self.executable else 0o644)
        for name, target in self.links.items():
            (app / name).symlink_to(target)
        if self.committed:
            for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message=shop")):
                subprocess.run([*GIT, *words], cwd=app, check=True)

    def read_settings(self, app: Path) -> Settings:
        """The stack's settings; raises UserError as `make up` would."""
        return read(ROOT, app=str(app), **{**SHORT, **self.settings})

    def pack(self, settings: Settings, into: Path) -> Release:
        """The packed app; raises UserError as `make up` would."""
        return Source.of(settings).pack(into)


def cases() -> list[Case]:
    """The cases of all kinds that are released once."""
    kinds = sorted({file.stem for file in FOLDER.glob("*.toml")} - {APPS, UNDER_LOAD})
    return [case for kind in kinds for case in cases_of(kind)]


def cases_of(kind: str) -> list[Case]:
    """The cases of the file ``kind``.toml."""
    apps: dict[str, dict[str, str]] = _toml(APPS)
    return [_case(f"{kind}/{name}", apps, keys) for name, keys in _toml(kind).items()]


def missing(texts: tuple[str, ...], message: str) -> list[str]:
    """The texts that aren't in the message, whatever its line breaks and capitals."""
    words = " ".join(message.split()).lower()
    return [text for text in texts if " ".join(text.split()).lower() not in words]


def _case(id: str, apps: Mapping[str, Mapping[str, str]], keys: dict[str, Any]) -> Case:
    base = apps[keys.pop("app")] if "app" in keys else {}
    without = keys.pop("without", [])
    files = {path: text for path, text in {**base, **keys.pop("files", {})}.items() if path not in without}
    # Lists become tuples, which a frozen value needs. A key that isn't a field is a TypeError.
    options: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in keys.items()}
    return Case(id=id, files=files, **options)


def _toml(kind: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{kind}.toml").read_text())
