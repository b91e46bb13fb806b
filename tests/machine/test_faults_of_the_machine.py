"""A server that restarts, fills up, is cut off or loses a process under a real site. The table: docs/reliability.md."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.local import launch
from tests.machine.server import Server, app, booted, same, tarball, visited

pytestmark = pytest.mark.machine


@pytest.fixture(scope="module")
def server(base_image: str, ssh_key: Path) -> Iterator[Server]:
    """One for all tests; each begins with a good release of its own."""
    with booted(ssh_key) as server:
        yield server


# Restarts.


def test_a_reboot_during_a_watch_comes_back_with_what_served_before(server: Server):
    server.serve("good")
    digest = server.upload(tarball(app("unproven")))
    process = server.start(digest, watch=60)
    launch.wait_until(lambda: server.page() == "unproven", "the switch", 20)
    reboot_during(server, process)
    back_with(server, "good")
    released_again(server, digest, "unproven")


def test_a_reboot_of_an_idle_server_brings_its_release_back(server: Server):
    server.serve("good")
    server.reboot()
    back_with(server, "good")
    assert server.status()["history"][-1]["result"] == "serving", "a restart is no release"


def test_a_reboot_before_the_switch_leaves_the_old_release_and_the_next_run_releases(server: Server):
    server.serve("good")
    digest = server.upload(tarball(app("slow", "time.sleep(8)")))
    process = server.start(digest)
    launch.wait_until(lambda: len(server.instances("activating")) == 1, "the start", 20)
    reboot_during(server, process)
    back_with(server, "good")
    released_again(server, digest, "slow")


def test_a_reboot_while_packages_are_installed_leaves_the_old_release_and_the_next_run_installs_them(server: Server):
    server.serve("good")
    listed = {"requirements.txt": "flask\n./slow\n", "slow/pyproject.toml": OWN_BACKEND, "slow/backend.py": BACKEND}
    digest = server.upload(tarball({**app("packed", "import slow"), **listed}))
    process = server.start(digest)
    launch.wait_until(lambda: "backend" in server.ssh("pgrep -u gantry-build -af python", check=False), "the build", 20)
    reboot_during(server, process)
    back_with(server, "good")
    released_again(server, digest, "packed")
    assert not server.ssh("sudo find /opt/gantry/releases /opt/gantry/venvs -maxdepth 1 -name '.*'")


OWN_BACKEND = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
# A package that takes its time to be built.
BACKEND = """
import time, zipfile

def build_wheel(folder, *_):
    time.sleep(6)
    with zipfile.ZipFile(f"{folder}/slow-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("slow.py", "")
        wheel.writestr("slow-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: slow\\nVersion: 1\\n")
        wheel.writestr("slow-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("slow-1.dist-info/RECORD", "")
    return "slow-1-py3-none-any.whl"
"""


def reboot_during(server: Server, process: subprocess.Popen[bytes]) -> None:
    server.reboot()
    process.kill()
    process.communicate()


def back_with(server: Server, page: str) -> None:
    launch.wait_until(server.answers, "the site", 60)
    assert server.page() == page


def released_again(server: Server, digest: str, page: str) -> None:
    """What was interrupted needs nothing but the same command again."""
    outcome = server.run(digest)
    assert outcome.code == 0, outcome.said
    assert server.page() == page
    results = [entry["result"] for entry in server.status()["history"] if entry["release"] == digest]
    # The shutdown may have left the time to see that the app had ended.
    assert results[0] in ("interrupted", "failed", "stuck", "rolled back")
    assert results[1:] == ["serving"]


# Processes that die or hang.


def test_a_worker_that_is_killed_is_replaced_at_once(server: Server):
    server.serve("good")
    with visited(server) as visitors:
        time.sleep(0.5)
        server.ssh(f"sudo kill -9 {workers(server)[0]}")
        time.sleep(3)
    assert visitors.requests > 100
    assert len(visitors.failures) <= 2, "more than the requests that it had in hand"
    assert len(workers(server)) == 2


def test_a_worker_that_is_killed_once_does_not_condemn_a_release(server: Server):
    server.serve("good")
    process = server.start(server.upload(tarball(app("watched"))), watch=6)
    launch.wait_until(lambda: server.page() == "watched", "the switch", 20)
    server.ssh(f"sudo kill -9 {workers(server)[0]}")
    said = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 0, said
    assert server.page() == "watched"


def test_a_master_that_is_killed_is_started_again_within_seconds(server: Server):
    server.serve("good")
    killed = main_process(server)
    server.ssh(f"sudo kill -9 {killed}")
    began = time.monotonic()
    # Workers without a master may still answer, and end in the middle of it.
    launch.wait_until(lambda: main_process(server) not in ("0", killed), "another master", 20)
    launch.wait_until(server.answers, "the site", 20)
    assert time.monotonic() - began < 5
    assert server.page() == "good"


def test_a_hung_worker_hinders_neither_the_site_nor_a_release(server: Server):
    server.serve("good")
    server.ssh(f"sudo kill -STOP {workers(server)[0]}")
    began = time.monotonic()
    outcome = server.release(app("next"))
    assert outcome.code == 0, outcome.said
    assert server.page() == "next"
    # systemd ends what doesn't end by itself: TimeoutStopSec.
    launch.wait_until(lambda: len(server.instances()) == 1, "the end of the hung one", 60)
    assert time.monotonic() - began < 60


def workers(server: Server) -> list[str]:
    """The process ids of the serving release's workers; the master comes first among the unit's, and isn't one."""
    master = main_process(server)
    return server.ssh(f"pgrep -P {master}").split()


def main_process(server: Server) -> str:
    deployment = server.status()["deployment"]
    return server.ssh(f"systemctl show --value --property=MainPID gantry-web@{deployment}")


# A disk without room, a network without a way out.


@pytest.fixture
def small_disk(server: Server) -> Iterator[None]:
    """The releases on a file system of 60 MB and 400 files."""
    server.serve("good")
    folder = "/opt/gantry/releases"
    copy = "sudo cp -a"
    server.ssh(f"{copy} {folder} /root-copy && sudo mount -t tmpfs -o size=60m,nr_inodes=400,mode=755 none {folder}")
    server.ssh(f"{copy} /root-copy/. {folder} && sudo rm -r /root-copy")
    yield
    server.ssh(f"sudo umount --lazy {folder}")


def test_a_disk_without_room_refuses_a_release_with_the_size_that_it_needs(server: Server, small_disk: None):
    listed = "sudo find /opt/gantry -path /opt/gantry/incoming -prune -o -print"
    before = server.ssh(listed)
    with visited(server) as visitors:
        outcome = server.release(app("big"), big=40_000_000)
    needed = re.search(r"needs (\d+) MB and \d+ files, and /opt/gantry/releases has (\d+) MB", outcome.said)
    assert needed and int(needed[1]) >= 80 > int(needed[2]), outcome.said
    same(server, "good", outcome, "nothing was changed")
    assert not visitors.failures
    assert server.ssh(listed) == before


def test_a_disk_without_free_inodes_refuses_a_release(server: Server, small_disk: None):
    server.ssh("sudo sh -c 'cd /opt/gantry/releases/*/ && seq 300 | xargs touch'")
    with visited(server) as visitors:
        outcome = server.release(app("small"))
    same(server, "good", outcome, "no room for release", "nothing was changed")
    assert not visitors.failures


def test_an_unreachable_registry_fails_a_release_that_needs_it_and_no_other(server: Server):
    server.serve("good")
    cut = "add table inet cut; add chain inet cut out { type filter hook output priority -10; };"
    cut += " add rule inet cut out ct state new ip daddr != 127.0.0.0/8 reject"
    server.ssh(f"sudo nft '{cut}'")
    try:
        needy = {**app("needy"), "requirements.txt": "flask\nitsdangerous==2.1.2\n"}
        same(server, "good", server.release(needy), "the requirements can't be installed")
        server.serve("content")
    finally:
        server.ssh("sudo nft delete table inet cut")
