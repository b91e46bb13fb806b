"""One booted server whose host program is driven over SSH, without the engine; and visitors that never stop asking."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import secrets
import subprocess
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from components import manifest
from components.local import launch, machine
from components.settings import Settings
from tests.machine.conftest import Local

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


@dataclass
class Server:
    """A server that has been configured; ``release`` does what the rollout would do."""

    local: Local
    spec: machine.Spec
    configuration: manifest.Configuration
    settings: Settings
    uploaded: set[str] = field(default_factory=set[str])

    @classmethod
    def boot(cls, local: Local) -> Server:
        settings = Settings(
            target="local", app=Path(), domain=None, health_path="/healthz", health_status=None, health_timeout=8,
            watch=0, workers=2, threads=4, network=None, release=None, env={},
            processes={}, cron=(), release_timeout=600, stop_timeout=60,
        )  # fmt: skip
        name = "faults"
        for key in ("first", "login"):
            if not (local.key.parent / key).exists():
                words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", local.key.parent / key]
                subprocess.run(words, check=True)
        first = local.key.parent / "first"
        data = manifest.user_data(
            name, local.key.with_suffix(".pub").read_text().strip(), first.read_text(),
            first.with_suffix(".pub").read_text().strip(),
        )  # fmt: skip
        network = local.network()
        spec = machine.create(
            id=local.new_id(), owner=local.name, network=network.id, hostname=name, user_data=data.encode()
        )
        # The first boot restarts the SSH server once.
        waited = "sudo cloud-init status --wait"
        launch.wait_until(lambda: "done" in local.ssh(spec, waited, check=False), "the first boot", 120)
        program = manifest.host_program()
        server = cls(local, spec, manifest.configuration(settings, program.path), settings)
        local.send(spec, program.content, f"cat > {program.path}")
        document = server.configuration.document().encode()
        local.send(spec, document, f"sudo python3 -I {program.path} configure")
        return server

    def ssh(self, command: str, *, check: bool = True) -> str:
        return self.local.ssh(self.spec, command, check=check)

    def upload(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()[:12]
        self.local.send(self.spec, content, f"cat > /opt/gantry/incoming/{digest}.tar")
        return digest

    def command(self, digest: str, watch: float = 0, **changed: object) -> str:
        settings = replace(self.settings, watch=watch, **changed)  # type: ignore
        return manifest.release_command(digest, self.configuration, settings)

    def start(self, digest: str, watch: float = 0, variables: dict[str, str] | None = None, **changed: object):
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

    def instances(self) -> list[str]:
        """The instances that run; an old one may still be finishing."""
        return self.ssh("systemctl list-units --plain --no-legend --state=active 'gantry-web@*'").splitlines()

    def status(self) -> dict:
        return json.loads(self.ssh("sudo gantry status --json"))


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
