"""One booted server whose host program is driven over SSH, without the engine; and visitors that never stop asking."""

from __future__ import annotations

import hashlib
import http.client
import io
import secrets
import subprocess
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from components import manifest
from components.settings import Settings
from tests.machine.booted_server import Booted
from tests.machine.conftest import Local
from tests.settings import settings

HEALTHZ = '\n@app.route("/healthz")\ndef healthz():\n    return "ok"\n'
PAGE = "import os, threading, time\nfrom flask import Flask\napp = Flask(__name__)\n{extra}\n"
PAGE += '@app.route("/")\ndef page():\n    return {page!r}\n'
PAGE += '@app.route("/slow")\ndef slow():\n    time.sleep(5)\n    return {page!r}\n'
PAGE += '@app.route("/post", methods=["POST"])\ndef post():\n    return {page!r}\n'


def app(page: str, extra: str = "", health: str = HEALTHZ) -> dict[str, str]:
    """The files of an app that says ``page``; ``extra`` is Python that runs at import."""
    return {
        "app.py": PAGE.format(page=page, extra=extra) + health,
        "requirements.txt": "flask\n",
        "Procfile": "web: gunicorn app:app\n",
    }


def later(seconds: float, what: str) -> str:
    """Python that does ``what`` so long after the import."""
    return f"def late():\n    time.sleep({seconds})\n    {what}\nthreading.Thread(target=late, daemon=True).start()"


def tarball(files: dict[str, str], big: int = 0) -> bytes:
    """An app's tarball; ``big`` bytes of ballast make it one of that size."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
        if big:
            entry = tarfile.TarInfo("ballast")
            entry.size = big
            archive.addfile(entry, io.BytesIO(secrets.token_bytes(1024) * (big // 1024 + 1)))
    return stream.getvalue()


@dataclass
class Outcome:
    """How a release ended, as its caller sees it."""

    code: int
    said: str
    seconds: float


class Server(Booted):
    """``release`` does what the rollout would do."""

    def upload(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()[:12]
        self.local.send(self.spec, content, f"cat > /opt/gantry/incoming/{digest}.tar")
        return digest

    def command(self, digest: str, watch: float = 0, **changed: object) -> str:
        wanted = replace(self.settings, watch=watch, **changed)
        return manifest.release_command(digest, self.configuration, wanted)

    def start(
        self, digest: str, watch: float = 0, variables: dict[str, str] | None = None, **changed: object
    ) -> subprocess.Popen[bytes]:
        """A release that goes on in the background."""
        words = [*self.local.ssh_command(self.spec), self.command(digest, watch, **changed)]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert process.stdin
        process.stdin.write(manifest.release_input(variables or {}, digest, "faults").encode())
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, digest: str, watch: float = 0, variables: dict[str, str] | None = None, **changed: object) -> Outcome:
        began = time.monotonic()
        process = self.start(digest, watch, variables, **changed)
        said = process.communicate(timeout=200)[0].decode()
        print(said)
        return Outcome(process.returncode, said, time.monotonic() - began)

    def release(self, files: dict[str, str], watch: float = 0, big: int = 0, **changed: object) -> Outcome:
        return self.run(self.upload(tarball(files, big)), watch, None, **changed)

    def serve(self, page: str) -> str:
        """Make a good release that says ``page`` the one that serves; its digest."""
        digest = self.upload(tarball(app(page)))
        outcome = self.run(digest)
        assert outcome.code == 0, outcome.said
        assert self.page() == page
        return digest

    def get(self, path: str = "/", timeout: float = 10) -> tuple[int, str]:
        with closing(http.client.HTTPConnection(self.spec.address, timeout=timeout)) as connection:
            return ask(connection, "GET", path)

    def page(self) -> str:
        status, text = self.get()
        assert status == 200, f"{status}: {text}"
        return text

    def instances(self, state: str = "active") -> list[str]:
        """The instances that run; an old one may still be finishing."""
        return self.ssh(f"systemctl list-units --plain --no-legend --state={state} 'gantry-web@*'").splitlines()

    def answers(self) -> bool:
        """Whether a visitor would get a page."""
        try:
            return self.get(timeout=2)[0] == 200
        except OSError:
            return False

    def kill_release(self) -> None:
        """End the host program as nothing can be ended by itself."""
        self.ssh("sudo pkill -9 -f '[h]ost.pyz release'", check=False)


def booted(key: Path) -> AbstractContextManager[Server]:
    """A server that is destroyed afterwards."""
    return Server.while_it_lasts(key, wanted())


def waiting(local: Local) -> Server:
    """One that has had no release yet."""
    return Server.boot(local, wanted())


def wanted() -> Settings:
    return settings(health_timeout=8, workers=2)


def ask(connection: http.client.HTTPConnection, method: str, path: str) -> tuple[int, str]:
    connection.request(method, path, body=b"x" * 512 if method == "POST" else None)
    response = connection.getresponse()
    return response.status, response.read().decode()


@dataclass
class Visitors:
    """What the visitors of a server got: pages by text, and everything else in words."""

    pages: Counter[str] = field(default_factory=Counter[str])
    failures: list[str] = field(default_factory=list[str])

    @property
    def requests(self) -> int:
        return sum(self.pages.values()) + len(self.failures)


@contextmanager
def visited(server: Server, paths: tuple[str, ...] = ("/", "/", "/post"), pause: float = 0.01) -> Iterator[Visitors]:
    """Let visitors with kept connections ask on while the block runs, one a path; two thirds GET, one POST."""
    seen, done, lock = Visitors(), threading.Event(), threading.Lock()

    def visit(path: str) -> None:
        connection = http.client.HTTPConnection(server.spec.address, timeout=30)
        while not done.wait(pause):
            try:
                status, text = ask(connection, "POST" if path == "/post" else "GET", path)
                failure = None if status == 200 else f"{path} {status}"
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                text, failure = "", f"{path} {error!r}"
            with lock:
                if failure:
                    seen.failures.append(f"{time.time():.2f} {failure}")
                else:
                    seen.pages[text] += 1
        connection.close()

    threads = [threading.Thread(target=visit, args=(path,), daemon=True) for path in paths]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        done.set()
        for thread in threads:
            thread.join(40)
        print(f"visitors: {seen.requests} requests, {len(seen.failures)} failed, pages {dict(seen.pages)}")


def same(server: Server, page: str, outcome: Outcome, *words: str) -> None:
    """Assert that a release failed for the reason that ``words`` name, and that ``page`` serves as before."""
    assert outcome.code == 1, outcome.said
    for word in words:
        assert word in outcome.said, outcome.said
    assert server.page() == page
