"""A server without systemd, for tests of what the host program does on one."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from host import environment, health, release, systemd, unpack, watch, web
from host.errors import ReleaseError
from host.paths import Paths

HEALTH = health.Health("/healthz", "rocket.test", timeout=1)
WATCH_SECONDS = 10


class Machine:
    """Instances are names in a set, and what is asked of it is written down."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = Paths(root)
        self.active: set[str] = set()
        self.calls: list[str] = []
        self.refuse: dict[str, str] = {}
        self.watched = 0.0
        self.disk = SimpleNamespace(
            f_bavail=10**6, f_frsize=4096, f_files=10**6, f_favail=10**6, f_bfree=10**6, f_ffree=10**6
        )
        monkeypatch.setattr(watch, "MOVED_SECONDS", 0)
        monkeypatch.setattr(web, "start", self.start)
        monkeypatch.setattr(web, "retire", self.retire)
        monkeypatch.setattr(web, "is_active", lambda name: name in self.active)
        monkeypatch.setattr(web, "running", lambda: sorted(self.active))
        monkeypatch.setattr(web, "discard", self.discard)
        monkeypatch.setattr(web, "dismiss", self.discard)
        monkeypatch.setattr(watch, "watch", self.watch)
        monkeypatch.setattr(web, "journal", lambda name: "last words")
        monkeypatch.setattr(systemd, "listed", lambda *_: dict[str, str]())
        monkeypatch.setattr(systemd, "systemctl", lambda *words: self.calls.append(" ".join(words)))
        self.paths.venvs.mkdir(parents=True)
        self.paths.gunicorn_settings.parent.mkdir(parents=True)
        self.paths.gunicorn_settings.write_text("workers = 1\n")
        self.paths.gunicorn.write_text("gunicorn==27.0.1\n")
        monkeypatch.setattr(environment, "environment", self.install)
        monkeypatch.setattr(health, "check_socket", lambda path, asked: self.ask("socket"))
        monkeypatch.setattr(health, "check_nginx", lambda asked: self.ask("nginx"))
        monkeypatch.setattr(health, "answer", lambda *_: self.ask("site"))
        monkeypatch.setattr(unpack.os, "statvfs", lambda _: self.disk)

    def install(self, paths: Paths, folder: Path) -> tuple[Path, str]:
        """An environment is a folder named by what it holds, and marked as whole."""
        self.fail("environment")
        venv = paths.venvs / environment.key(folder, environment.reader(folder), paths.gunicorn.read_bytes())
        venv.mkdir(exist_ok=True)
        (venv / environment.MARK).touch()
        paths.venv_links.mkdir(exist_ok=True)
        release.files.point(paths.venv_links / folder.name, venv)
        return venv, "installed"

    def venv(self, needs: str) -> Path:
        """The environment for a list of requirements."""
        files = {"requirements.txt": needs.encode()}
        return self.paths.venvs / environment.key(self.paths.releases, files.get, self.paths.gunicorn.read_bytes())

    def start(self, name: str) -> None:
        self.calls.append(f"start {name[:12]}")
        self.fail("start")
        self.active.add(name)

    def retire(self, name: str) -> None:
        self.calls.append(f"retire {name[:12]}")
        self.active.discard(name)

    def discard(self, paths: Paths, name: str) -> None:
        self.calls.append(f"discard {name[:12]}")
        self.active.discard(name)
        web.forget(paths, name)

    def ask(self, where: str) -> str:
        self.calls.append(f"ask {where}")
        self.fail(where)
        return "200"

    def watch(self, instance: str, asked: health.Health, seconds: float, log: Path, switched: float) -> str:
        self.watched = seconds
        return self.ask("watch")

    def fail(self, step: str) -> None:
        if step in self.refuse:
            raise ReleaseError(self.refuse[step])

    def upload(self, page: str, needs: str = "flask", **others: str) -> str:
        """A release that serves ``page``; the names of other files are given with _ for a dot."""
        files = {"Procfile": "web: gunicorn a:b\n", "requirements.txt": needs, "page": page}
        files |= {name.replace("_", "."): text for name, text in others.items()}
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for name, text in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))
        digest = hashlib.sha256(stream.getvalue()).hexdigest()[:12]
        self.paths.incoming.mkdir(parents=True, exist_ok=True)
        (self.paths.incoming / f"{digest}.tar").write_bytes(stream.getvalue())
        return digest

    def release(self, digest: str, **variables: str) -> None:
        self.calls.clear()
        release.release(self.paths, release.Request(web.Instance(digest, "s1", variables), HEALTH, WATCH_SECONDS))

    def released(self, *pages: str) -> list[str]:
        """Releases with packages of their own, oldest first."""
        digests: list[str] = []
        for age, page in enumerate(pages):
            digests.append(digest := self.upload(page, needs=f"flask=={page}"))
            self.release(digest)
            os.utime(self.paths.releases / digest, (1000 + age, 1000 + age))
        return digests

    def page(self) -> str:
        """What a visitor would be served: by way of the link that Nginx follows."""
        instance = self.paths.socket.readlink().name.removesuffix(".sock")
        return (self.paths.instances / instance / "app/page").read_text()


def die_after(patch: pytest.MonkeyPatch, step: str) -> None:
    """As SIGKILL would: at that point everything ends, the handlers too."""

    def die(*_: object) -> None:
        raise SystemError

    patch.setattr(release, "_take_away", die)
    patch.setattr(release, "_go_back", die)
    if step == "unpack":
        patch.setattr(environment, "environment", die)
    elif step == "start":
        patch.setattr(health, "check_socket", die)
    elif step == "verify":
        patch.setattr(watch, "watch", die)
    else:
        point, links = release.files.point, 0

        def count(link: Path, target: Path | str) -> None:
            nonlocal links
            point(link, target)
            links += link.name in ("web.sock", "current")
            if links == (1 if step == "first link" else 2):
                raise SystemError

        patch.setattr(release.files, "point", count)
