"""A server that restarts, runs out of disk, loses its network or a process, under load. See docs/reliability.md."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator

import pytest

from host.times import STEADY_SECONDS
from tests.machine.page_app import PageAppServer, app, tarball

pytestmark = pytest.mark.machine
SERVER_CLASS = PageAppServer


# Restarts.


def test_after_a_reboot_during_a_watch_the_old_release_serves(server: PageAppServer):
    server.serve("good")
    release = server.upload(tarball(app("unconfirmed")))
    process = server.start_release(release, watch=60)
    server.wait_for_page("unconfirmed")
    reboot_during(server, process)
    assert_serves_again(server, "good")
    assert_next_run_succeeds(server, release, "unconfirmed")


def test_after_a_reboot_an_idle_server_serves_its_release_again(server: PageAppServer):
    server.serve("good")
    server.reboot()
    assert_serves_again(server, "good")
    assert server.status()["history"][-1]["result"] == "serving", "a restart must not add a release to the history"


def test_after_a_reboot_before_the_switch_the_old_release_serves_and_the_next_run_succeeds(server: PageAppServer):
    server.serve("good")
    release = server.upload(tarball(app("slow", "time.sleep(8)")))
    process = server.start_release(release)
    server.wait_until(lambda: len(server.deployments("activating")) == 1, "the start", 20)
    reboot_during(server, process)
    assert_serves_again(server, "good")
    assert_next_run_succeeds(server, release, "slow")


def test_after_a_reboot_during_an_installation_the_old_release_serves_and_the_next_run_succeeds(
    server: PageAppServer,
):
    server.serve("good")
    package = {
        "requirements.txt": "flask\n./slow\n",
        "slow/pyproject.toml": BUILD_SYSTEM,
        "slow/backend.py": SLOW_BACKEND,
    }
    release = server.upload(tarball({**app("packed", "import slow"), **package}))
    process = server.start_release(release)
    builds = "pgrep -u gantry-build -af python"
    server.wait_until(lambda: "backend" in server.ssh(builds, check=False), "the build", 20)
    reboot_during(server, process)
    assert_serves_again(server, "good")
    assert_next_run_succeeds(server, release, "packed")
    assert not server.ssh("sudo find /opt/gantry/releases /opt/gantry/venvs -maxdepth 1 -name '.*'")


BUILD_SYSTEM = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
# Builds a package in six seconds.
SLOW_BACKEND = """
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


def reboot_during(server: PageAppServer, release: subprocess.Popen[bytes]) -> None:
    server.reboot()
    release.kill()
    release.communicate()


def assert_serves_again(server: PageAppServer, page: str) -> None:
    server.wait_until_responding(60)
    assert server.page() == page


def assert_next_run_succeeds(server: PageAppServer, release: str, page: str) -> None:
    """Assert that an interrupted release needs no repair: the same command succeeds."""
    result = server.run_release(release)
    assert result.exit_code == 0, result.output
    assert server.page() == page
    results = [entry["result"] for entry in server.status()["history"] if entry["release"] == release]
    # The host program may have had the time to notice that the app ended, before the shutdown ended the program.
    assert results[0] in ("interrupted", "failed", "stuck", "rolled back")
    assert results[1:] == ["serving"]


# Processes that die or hang.


def test_a_worker_that_is_killed_is_replaced_at_once(server: PageAppServer):
    server.serve("good")
    with server.clients() as clients:
        time.sleep(0.5)
        server.ssh(f"sudo kill -9 {server.gunicorn_workers()[0]}")
        time.sleep(3)
    assert clients.requests > 100
    assert len(clients.failures) <= 2, "more requests failed than the worker had in flight"
    assert len(server.gunicorn_workers()) == 2


def test_one_killed_worker_does_not_roll_back_a_release(server: PageAppServer):
    server.serve("good")
    process = server.start_release(server.upload(tarball(app("watched"))), watch=6)
    server.wait_for_page("watched")
    server.ssh(f"sudo kill -9 {server.gunicorn_workers()[0]}")
    output = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 0, output
    assert server.page() == "watched"


def test_a_killed_master_is_restarted_within_seconds(server: PageAppServer):
    server.serve("good")
    killed_master = server.gunicorn_master()
    server.ssh(f"sudo kill -9 {killed_master}")
    # Workers without a master may still answer, but end soon. So wait for another master first.
    server.wait_until(lambda: server.gunicorn_master() not in ("0", killed_master), "another master", 20)
    server.wait_until_responding(20)
    assert server.page() == "good"


def test_the_pauses_before_restarts_begin_again_after_a_minute_without_an_end(server: PageAppServer):
    server.serve("good")
    unit = f"gantry-web@{server.deployment()}.service"
    let_pauses_begin_again_after(server, unit, 3600)
    # An earlier test may have killed the same process.
    before = restarts(server, unit)
    pauses = [pause_after_kill(server, unit) for _ in range(3)]
    assert restarts(server, unit) == before + 3
    let_pauses_begin_again_after(server, unit, 1)
    time.sleep(1.5)
    pauses.append(pause_after_kill(server, unit))
    assert restarts(server, unit) == 1
    print(f"pauses: {pauses}")
    server.ssh(f"sudo systemctl revert {unit}")
    server.wait_until_responding(20)


def let_pauses_begin_again_after(server: PageAppServer, unit: str, seconds: int) -> None:
    """Change the minute for this unit only, so that the test doesn't depend on how fast the machine is."""
    line = server.ssh(f"systemctl cat {unit} | grep 'ExecStopPost=+' | head -1")
    assert line.endswith(f" %n {STEADY_SECONDS}")
    drop_in = f"[Service]\nExecStopPost=\n{line.removesuffix(str(STEADY_SECONDS))}{seconds}\n"
    server.send(drop_in.encode(), f"sudo systemctl edit --stdin --runtime --drop-in=steady {unit}")


def restarts(server: PageAppServer, unit: str) -> int:
    """How many restarts systemd has counted."""
    return int(server.ssh(f"systemctl show --value --property=NRestarts {unit}"))


def pause_after_kill(server: PageAppServer, unit: str) -> float:
    """Kill the web process's master; returns the seconds until systemd starts the next one, which then listens."""
    names = "InvocationID,ActiveState,ActiveExitTimestampMonotonic,ExecMainStartTimestampMonotonic"

    def properties() -> dict[str, str]:
        lines = server.ssh(f"systemctl show {unit} --property={names}").splitlines()
        return dict(line.split("=", 1) for line in lines)

    before = properties()["InvocationID"]
    server.ssh(f"sudo systemctl kill --kill-whom=main --signal=SIGKILL {unit}")
    server.wait_until(
        lambda: (now := properties())["InvocationID"] != before and now["ActiveState"] == "active", "the restart", 60
    )
    now = properties()
    return (int(now["ExecMainStartTimestampMonotonic"]) - int(now["ActiveExitTimestampMonotonic"])) / 1e6


def test_a_hung_worker_blocks_neither_the_site_nor_a_release(server: PageAppServer):
    server.serve("good")
    server.ssh(f"sudo kill -STOP {server.gunicorn_workers()[0]}")
    start = time.monotonic()
    result = server.release(app("next"))
    assert result.exit_code == 0, result.output
    assert server.page() == "next"
    # systemd kills a process that doesn't end within TimeoutStopSec.
    server.wait_until_one_deployment_runs("the end of the hung one", 60)
    assert time.monotonic() - start < 60


# A full disk, and a network that leads nowhere.


@pytest.fixture
def small_disk(server: PageAppServer) -> Iterator[None]:
    """Moves the releases to a file system of 60 MB and 400 files."""
    server.serve("good")
    folder = "/opt/gantry/releases"
    options = "size=60m,nr_inodes=400,mode=755"
    server.ssh(f"sudo cp -a {folder} /root-copy && sudo mount -t tmpfs -o {options} none {folder}")
    server.ssh(f"sudo cp -a /root-copy/. {folder} && sudo rm -r /root-copy")
    yield
    server.ssh(f"sudo umount --lazy {folder}")


def test_a_full_disk_refuses_a_release_and_names_the_size_it_needs(server: PageAppServer, small_disk: None):
    list_files = "sudo find /opt/gantry -path /opt/gantry/incoming -prune -o -print"
    before = server.ssh(list_files)
    with server.clients() as clients:
        result = server.release(app("big"), ballast=40_000_000)
    sizes = re.search(r"needs (\d+) MB and \d+ files, and /opt/gantry/releases has (\d+) MB", result.output)
    assert sizes and int(sizes[1]) >= 80 > int(sizes[2]), result.output
    server.assert_still_serves("good", result, "nothing was changed")
    assert not clients.failures
    assert server.ssh(list_files) == before


def test_a_disk_without_free_inodes_refuses_a_release(server: PageAppServer, small_disk: None):
    server.ssh("sudo sh -c 'cd /opt/gantry/releases/*/ && seq 300 | xargs touch'")
    with server.clients() as clients:
        result = server.release(app("small"))
    server.assert_still_serves("good", result, "no room for release", "nothing was changed")
    assert not clients.failures


@pytest.fixture
def small_disk_for_uploads(server: PageAppServer) -> Iterator[None]:
    """Moves the uploads to a file system of 60 MB."""
    server.serve("good")
    server.ssh("sudo mount -t tmpfs -o size=60m,mode=755,uid=deploy none /opt/gantry/incoming")
    yield
    server.ssh("sudo umount --lazy /opt/gantry/incoming")


def test_a_disk_that_a_cut_off_upload_has_filled_gets_free_again(server: PageAppServer, small_disk_for_uploads: None):
    """Pulumi's official command plugin leaves the part that arrived."""
    folder = "/opt/gantry/incoming"
    with server.clients() as clients:
        result = server.ssh(
            f"head -c 90000000 /dev/zero > {folder}/aaaaaaaaaaaa.tar || stat -c %s {folder}/a*", check=False
        )
        assert int(result) > 50_000_000
        server.wait_until(lambda: not server.ssh(f"ls {folder}"), "the removal of the part", 60)
    assert not clients.failures
    assert "this upload was cut off" in server.ssh("sudo journalctl --unit gantry-logs --no-pager")
    server.serve("next")


def test_an_unreachable_registry_fails_only_releases_with_new_packages(server: PageAppServer):
    server.serve("good")
    rules = "add table inet cut; add chain inet cut out { type filter hook output priority -10; };"
    rules += " add rule inet cut out ct state new ip daddr != 127.0.0.0/8 reject"
    server.ssh(f"sudo nft '{rules}'")
    try:
        files = {**app("needy"), "requirements.txt": "flask\nitsdangerous==2.1.2\n"}
        server.assert_still_serves("good", server.release(files), "the requirements can't be installed")
        server.serve("content")
    finally:
        server.ssh("sudo nft delete table inet cut")
