"""Rollbacks by the setting `release`, with the engine, on one server. The tests run in this order."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine.booted_server import BLOCK_OUTGOING, UNBLOCK_OUTGOING
from tests.stack import Stack, copy_example_app, get, output

pytestmark = pytest.mark.machine

PROMISED_SECONDS = 10


@pytest.fixture(scope="module")
def stack(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("rollback")
    app = copy_example_app(folder)
    (app / "requirements.txt").write_text("flask\n")
    git(app, "init", "--quiet")
    commit(app, "one")
    settings = {"app": str(app), "healthPath": "/healthz", "watch": None}
    with Stack.temporary("rev-rollback", folder, settings) as stack:
        yield stack


@pytest.fixture(scope="module")
def releases(stack: Stack) -> list[str]:
    """The digests of two commits with different packages. Both have served; the second one serves now."""
    stack.up()
    first = stack.outputs()["release"]
    stack.edit("Hello World!", "Hello Mars!")
    (stack.app / "requirements.txt").write_text("flask\nsix==1.17.0\n")
    commit(stack.app, "two")
    stack.up()
    return [first, stack.outputs()["release"]]


def git(app: Path, *words: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@test.test", "-c", "init.defaultBranch=main")
    subprocess.run(["git", "-C", str(app), *identity, *words], check=True)


def commit(app: Path, tag: str) -> None:
    git(app, "add", "--all")
    git(app, "commit", "--quiet", "--message", tag)
    git(app, "tag", tag)


def set_release(stack: Stack, release: str) -> None:
    stack.pulumi("config", "set", "release", release)


def serves(stack: Stack, page: str) -> bool:
    """Whether a client gets this page. Nginx may still send requests to the old deployment for a second."""
    deadline, url = time.monotonic() + 5, stack.outputs()["url"]
    while get(url).text != page:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def timed_up(stack: Stack) -> float:
    """The seconds that an `up` takes."""
    start = time.monotonic()
    stack.up()
    return time.monotonic() - start


def assert_promise(rollback: float, unchanged: float) -> None:
    """Assert the promised seconds of a rollback, or five times an `up` without a change where each `up` is slow."""
    print(f"rolled back in {rollback:.1f} s; an `up` without a change takes {unchanged:.1f} s")
    assert rollback < max(PROMISED_SECONDS, 5 * unchanged)


def test_a_rollback_to_a_kept_digest_needs_no_upload(stack: Stack, releases: list[str]):
    first, second = releases
    set_release(stack, first)
    assert stack.steps() == {"rev-rollback-0-artifact": "delete", "rev-rollback-0-release": "update"}
    diff = stack.pulumi("preview", "--diff").stdout
    assert re.findall(r"gantry release (\w{12})", diff) == [second, first]
    seconds = timed_up(stack)
    assert serves(stack, "Hello World!\n")
    assert stack.outputs()["release"] == first
    assert stack.steps() == {}
    assert_promise(seconds, unchanged=timed_up(stack))


def test_a_tag_has_the_same_digest_as_its_clean_checkout(stack: Stack, releases: list[str]):
    (stack.app / "rocket.py").write_text("this is not committed, and not even Python\n")
    for tag, digest, page in (("two", releases[1], "Hello Mars!\n"), ("one", releases[0], "Hello World!\n")):
        set_release(stack, tag)
        result = stack.up()
        assert stack.outputs()["release"] == digest
        assert serves(stack, page)
        assert re.search(r"unpack +0\.\d\d s  already here", result.stdout)
        assert re.search(r"venv +0\.0\d s  unchanged", result.stdout)
    git(stack.app, "checkout", "--quiet", ".")


def test_an_unknown_revision_changes_nothing(stack: Stack, releases: list[str]):
    set_release(stack, "three")
    error = output(stack.failing_up())
    assert "has no such branch, tag or commit; fetch it with" in error
    assert "Traceback" not in error
    assert serves(stack, "Hello World!\n")


def test_a_digest_that_is_not_kept_fails_and_the_error_lists_the_kept_ones(stack: Stack, releases: list[str]):
    set_release(stack, "0123456789e5")
    error = output(stack.failing_up())
    assert "release 0123456789e5 is neither kept on this server (kept: " in error
    assert all(digest in error for digest in releases)
    assert serves(stack, "Hello World!\n")


def test_a_rollback_needs_no_registry_and_no_disk_space(stack: Stack, releases: list[str]):
    block_outgoing = f"nft -f - <<'END'\n{BLOCK_OUTGOING.decode()}END\n"
    stack.script(block_outgoing + USE_SMALL_DISK)
    stack.script(FILL_DISK)
    set_release(stack, releases[1])
    seconds = timed_up(stack)
    assert serves(stack, "Hello Mars!\n")
    assert_promise(seconds, unchanged=timed_up(stack))
    stack.script(FILL_DISK)
    # The other ways to activate a release: the preparation for several servers, a boot, and a failure elsewhere.
    stack.script(f"gantry prepare {releases[0]} && gantry resume && gantry rollback")
    assert serves(stack, "Hello Mars!\n")
    stack.script(FILL_DISK)
    set_release(stack, releases[0])
    stack.up()
    assert serves(stack, "Hello World!\n")


# A test's machine shares the disk of this computer, which must not be filled. So Gantry's files move to a small one.
USE_SMALL_DISK = """
set -eu
mkdir /small
mount -t tmpfs -o size=200m,nr_inodes=20000 tmpfs /small
for folder in opt/gantry var/lib/gantry etc/gantry; do
    mkdir -p "/small/$folder"
    cp -a "/$folder/." "/small/$folder/"
    mount --bind "/small/$folder" "/$folder"
done
"""
# Uses all bytes and all inodes of the small disk.
FILL_DISK = """
dd if=/dev/zero of=/small/fill$(date +%s%N) bs=4k 2>/dev/null && exit 1
python3 - <<'END'
import itertools, os, time
try:
    for number in itertools.count():
        os.mkdir(f"/small/{time.time_ns()}-{number}")
except OSError:
    pass
END
df --output=avail /small | tail -1 | grep -qx ' *0'
df --output=iavail /small | tail -1 | grep -qx ' *0'
"""


def test_an_empty_release_setting_serves_the_folder_again(stack: Stack, releases: list[str]):
    stack.script(f"rm -rf /small/fill* /small/[0-9]*; {UNBLOCK_OUTGOING}")
    set_release(stack, "")
    stack.up()
    assert stack.outputs()["release"] == releases[1]
    assert serves(stack, "Hello Mars!\n")
