"""The Procfile's release process, on one machine. The tests run in their order, on one app that they edit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.machine.edited import MIGRATE, Server, booted

pytestmark = pytest.mark.machine


@pytest.fixture(scope="module")
def server(base_image: str, ssh_key: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with booted(ssh_key, tmp_path_factory.mktemp("migrations")) as server:
        yield server


def test_a_release_migrates_first_and_runs_as_many_workers_as_are_wanted(server: Server):
    said = server.released()
    release = server.digest()
    assert "  migrating as app with red\n" in said
    assert said.index("migrating") < said.index("\nstart ")
    assert "migrating as app" in server.ssh("sudo journalctl --no-pager --unit 'gantry-release@*'")
    assert server.page() == release
    deployment = server.status()["deployment"]
    assert server.workers() == [f"{deployment}-worker-1", f"{deployment}-worker-2"]
    assert {note.split()[0] for note in server.notes("worker")} == {release}


def test_the_same_release_again_migrates_nothing_and_leaves_the_workers_alone(server: Server):
    before = {note.split()[1] for note in server.notes("worker")}
    said = server.released()
    assert "0 started" in said
    assert len(server.notes("migrations")) == 1
    assert {note.split()[1] for note in server.notes("worker")} == before


def test_a_failing_migration_fails_the_release_before_anything_is_switched(server: Server):
    page, workers = server.page(), server.workers()
    server.edit("migrate.py", 'print("half way", flush=True)\nraise SystemExit("no such table")\n')
    status, said = server.release()
    assert status == 1
    assert "  half way\n" in said
    assert "the release phase failed with exit status 1: python migrate.py" in said
    assert "no such table" in said
    assert "\nstart " not in said
    assert (server.page(), server.workers()) == (page, workers)


def test_a_migration_that_hangs_is_ended_when_its_time_is_up(server: Server):
    server.edit("migrate.py", "import time\nprint('waiting for a lock', flush=True)\ntime.sleep(1000)\n")
    start = time.monotonic()
    status, said = server.release()
    assert status == 1
    assert "took longer than the setting releaseTimeout allows" in said
    assert "waiting for a lock" in said
    assert 5 <= time.monotonic() - start < 20


def test_only_the_first_server_migrates(server: Server):
    before = server.notes("migrations")
    assert "waiting for a lock" not in server.released(first=False)
    assert server.notes("migrations") == before
    assert server.page() == server.digest()
    server.edit("migrate.py", MIGRATE)


def test_a_release_that_is_killed_while_it_migrates_is_made_good_by_the_next(server: Server):
    slow = MIGRATE + '    time.sleep(3)\n    print(os.environ["RELEASE"], "end", file=file)\n'
    server.edit("migrate.py", slow.replace("import os", "import os, time"))
    server.settings = replace(server.settings, release_timeout=20)
    server.configure()
    worked = len(server.notes("migrations"))
    server.ssh("sudo systemd-run --quiet --on-active=1.5 --collect pkill -KILL -f '^/usr/bin/python3 -I .*pyz release'")
    status, _ = server.release()
    assert status != 0
    server.released()
    ends = [note for note in server.notes("migrations")[worked:] if note.endswith(" end")]
    assert len(ends) in (1, 2)
    server.wait(lambda: len(server.workers()) == 2, "the old workers to end")
