"""A fake server without systemd, for tests of the host program."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from host import deployment, failed_release, files, health, release, systemd, times, unpack, watch, web_hints
from host.deployment import Deployment
from host.errors import ReleaseError
from host.health_check import Answer, HealthCheck
from host.layers import nginx
from host.packages import venv
from host.paths import Paths

HEALTH_CHECK = HealthCheck("/healthz", "rocket.test", timeout=1)
WATCH_SECONDS = 10


class FakeServer:
    """Running deployments are names in the set ``active``; ``calls`` records the steps of a release.

    A step in ``errors`` fails with the text given there.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = Paths(root)
        self.active: set[str] = set()
        self.calls: list[str] = []
        self.errors: dict[str, str] = {}
        self.watch_seconds = 0.0
        self.disk = SimpleNamespace(
            f_bavail=10**6, f_frsize=4096, f_files=10**6, f_favail=10**6, f_bfree=10**6, f_ffree=10**6
        )
        monkeypatch.setattr(times, "MOVED_SECONDS", 0)
        monkeypatch.setattr(deployment, "start", self.start)
        for verb in ("drain", "stop", "kill"):
            monkeypatch.setattr(deployment, verb, lambda name, verb=verb: self.end(verb, name))
        monkeypatch.setattr(deployment, "is_active", lambda name: name in self.active)
        monkeypatch.setattr(deployment, "running", lambda: sorted(self.active))
        monkeypatch.setattr(deployment, "journal", lambda name: "last lines")
        monkeypatch.setattr(systemd, "listed", lambda *_: dict[str, str]())
        monkeypatch.setattr(systemd, "systemctl", lambda *words: self.calls.append(" ".join(words)))
        self.paths.venvs.mkdir(parents=True)
        self.paths.gunicorn_settings.parent.mkdir(parents=True)
        self.paths.gunicorn_settings.write_text("workers = 1\n")
        self.paths.gunicorn_requirements.write_text("gunicorn==27.0.1\n")
        monkeypatch.setattr(venv, "ensure", self.install)
        monkeypatch.setattr(health, "check_socket", lambda path, check: self.check("socket"))
        monkeypatch.setattr(health, "check_candidate", lambda *_: self.check("candidate"))
        monkeypatch.setattr(nginx, "ensure", lambda _: self.fail("Nginx"))
        monkeypatch.setattr(web_hints, "hints", lambda *_: [])
        monkeypatch.setattr(health, "check_nginx", lambda check: self.check("nginx"))
        monkeypatch.setattr(health, "site_answer", lambda *_: self.check("site"))
        monkeypatch.setattr(watch, "watch", self.watch)
        monkeypatch.setattr(unpack.os, "statvfs", lambda _: self.disk)

    def install(self, paths: Paths, folder: Path, variables: Mapping[str, str]) -> tuple[Path, str]:
        """Make a virtual environment: an empty folder with the right name and the mark of a complete one."""
        self.fail("venv")
        venv_folder = paths.venvs / venv.key(folder, venv.reader(folder), paths.gunicorn_requirements.read_bytes())
        venv_folder.mkdir(exist_ok=True)
        venv.adopt(paths)
        venv.complete(paths, venv_folder)
        paths.venv_links.mkdir(exist_ok=True)
        files.point(paths.venv_links / folder.name, venv_folder)
        return venv_folder, "installed"

    def venv(self, requirements: str) -> Path:
        """The folder of the virtual environment for a requirements.txt."""
        contents = {"requirements.txt": requirements.encode()}
        gunicorn = self.paths.gunicorn_requirements.read_bytes()
        return self.paths.venvs / venv.key(self.paths.releases, contents.get, gunicorn)

    def start(self, name: str) -> None:
        self.calls.append(f"start {name[:12]}")
        self.fail("start")
        self.active.add(name)

    def end(self, verb: str, name: str) -> None:
        self.calls.append(f"{verb} {name[:12]}")
        self.active.discard(name)

    def check(self, step: str) -> Answer:
        self.calls.append(f"check {step}")
        self.fail(step)
        return Answer(200)

    def watch(self, options: watch.WatchOptions) -> str:
        self.watch_seconds = options.seconds
        self.check("watch")
        return "no visitors"

    def fail(self, step: str) -> None:
        if step in self.errors:
            raise ReleaseError(self.errors[step])

    def upload(self, page: str, requirements: str = "flask", **others: str) -> str:
        """Upload a release that serves ``page``. In the names of ``others``, _ stands for a dot."""
        contents = {"Procfile": "web: gunicorn a:b\n", "requirements.txt": requirements, "page": page}
        contents |= {name.replace("_", "."): text for name, text in others.items()}
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for name, text in contents.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))
        digest = hashlib.sha256(stream.getvalue()).hexdigest()[:12]
        self.paths.incoming.mkdir(parents=True, exist_ok=True)
        self.paths.tarball(digest).write_bytes(stream.getvalue())
        return digest

    def release(self, digest: str, **variables: str) -> None:
        self.calls.clear()
        release.release(self.paths, options(digest, variables, watch=WATCH_SECONDS))

    def release_pages(self, *pages: str) -> list[str]:
        """Upload and release a page after the other, each with packages of its own; returns the releases."""
        digests: list[str] = []
        for age, page in enumerate(pages):
            digests.append(digest := self.upload(page, requirements=f"flask=={page}"))
            self.release(digest)
            os.utime(self.paths.releases / digest, (1000 + age, 1000 + age))
        return digests

    def page(self) -> str:
        """The page that visitors get, found through the link that Nginx follows."""
        name = self.paths.socket.readlink().name.removesuffix(".sock")
        return (self.paths.deployments / name / "app/page").read_text()


def run_as_oneself(patch: pytest.MonkeyPatch) -> None:
    """Copies belong to the user of the test. The users of a server don't exist here."""

    def run_as(user: str, command: list[str], umask: int = 0o022) -> None:
        assert user in ("app", "gantry-build")
        subprocess.run(command, umask=umask, check=True)

    patch.setattr(files, "run_as", run_as)
    patch.setattr(files.shutil, "chown", lambda *_: None)


def options(
    digest: str, variables: Mapping[str, str] | None = None, *, watch: float = 0, probation: float = 0
) -> release.ReleaseOptions:
    deployment = Deployment(digest, "s1", variables or {})
    return release.ReleaseOptions(deployment=deployment, health_check=HEALTH_CHECK, watch=watch, probation=probation)


def die_after(patch: pytest.MonkeyPatch, step: str) -> None:
    """Let the next release end at ``step`` as after SIGKILL: nothing is cleaned up or rolled back."""

    def die(*_: object) -> None:
        raise SystemError

    patch.setattr(failed_release, "remove", die)
    patch.setattr(failed_release, "roll_back", die)
    if step == "unpack":
        patch.setattr(venv, "ensure", die)
    elif step == "start":
        patch.setattr(health, "check_socket", die)
    elif step == "verify":
        patch.setattr(watch, "watch", die)
    else:
        point, links = files.point, 0

        def count(link: Path, target: Path | str) -> None:
            nonlocal links
            point(link, target)
            links += link.name in ("web.sock", "current")
            if links == (1 if step == "first link" else 2):
                raise SystemError

        patch.setattr(files, "point", count)
