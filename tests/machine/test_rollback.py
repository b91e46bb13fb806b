"""Going back by the setting `release`, with the engine, on one server. The tests run in their order."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine.booted import CUT_OFF
from tests.stack import Stack, copy_of_rocket, get

pytestmark = pytest.mark.machine

PROMISED_SECONDS = 10


@pytest.fixture(scope="module")
def stack(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("rollback")
    app = copy_of_rocket(folder)
    (app / "requirements.txt").write_text("flask\n")
    git(app, "init", "--quiet")
    commit(app, "one")
    stack = Stack("rev-rollback", folder, {"app": str(app), "healthPath": "/healthz", "watch": None})
    try:
        yield stack
    finally:
        stack.destroy()


@pytest.fixture(scope="module")
def releases(stack: Stack) -> list[str]:
    """The digests of two commits, each with packages of its own, which have both served; the second does."""
    app = stack.app
    stack.up()
    first = stack.outputs()["release"]
    stack.edit("Hello World!", "Hello Mars!")
    (app / "requirements.txt").write_text("flask\nsix==1.17.0\n")
    commit(app, "two")
    stack.up()
    return [first, stack.outputs()["release"]]


def git(app: Path, *words: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@test.test", "-c", "init.defaultBranch=main")
    subprocess.run(["git", "-C", str(app), *identity, *words], check=True)


def commit(app: Path, tag: str) -> None:
    git(app, "add", "--all")
    git(app, "commit", "--quiet", "--message", tag)
    git(app, "tag", tag)


def url(stack: Stack) -> str:
    return stack.outputs()["url"]


def serves(stack: Stack, page: str) -> bool:
    """Whether a visitor gets it; Nginx may ask the old instance for a second more."""
    deadline, address = time.monotonic() + 5, url(stack)
    while get(address).text != page:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def timed(stack: Stack) -> float:
    start = time.monotonic()
    stack.up()
    return time.monotonic() - start


def promised(took: float, unchanged: float) -> None:
    """Assert the promise; on a computer that is busy with other things, of what going back adds to any `up`."""
    print(f"back in {took:.1f} s; an `up` without a change takes {unchanged:.1f} s")
    busy = os.getloadavg()[0] > 2 * (os.cpu_count() or 1)
    assert (took - unchanged if busy else took) < PROMISED_SECONDS


def test_a_kept_release_is_gone_back_to_by_its_digest_without_an_upload(stack: Stack, releases: list[str]):
    first, second = releases
    stack.pulumi("config", "set", "release", first)
    assert stack.steps() == {"rev-rollback-0-artifact": "delete", "rev-rollback-0-release": "update"}
    shown = stack.pulumi("preview", "--diff").stdout
    assert re.findall(r"gantry release (\w{12})", shown) == [second, first]
    took = timed(stack)
    assert serves(stack, "Hello World!\n")
    assert stack.outputs()["release"] == first
    assert stack.steps() == {}
    promised(took, unchanged=timed(stack))


def test_a_tag_has_the_digest_that_the_clean_folder_had(stack: Stack, releases: list[str]):
    app = stack.app
    (app / "rocket.py").write_text("this is not committed, and not even Python\n")
    for tag, digest, page in (("two", releases[1], "Hello Mars!\n"), ("one", releases[0], "Hello World!\n")):
        stack.pulumi("config", "set", "release", tag)
        done = stack.up()
        assert stack.outputs()["release"] == digest
        assert serves(stack, page)
        assert re.search(r"unpack +0\.\d\d s  already here", done.stdout)
        assert re.search(r"environment +0\.0\d s  unchanged", done.stdout)
    git(app, "checkout", "--quiet", ".")


def test_a_revision_that_is_not_there_changes_nothing(stack: Stack, releases: list[str]):
    stack.pulumi("config", "set", "release", "three")
    done = stack.up(check=False)
    assert done.returncode != 0
    assert "has no such branch, tag or commit; fetch it with" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert serves(stack, "Hello World!\n")


def test_a_digest_that_is_not_kept_fails_and_says_which_are(stack: Stack, releases: list[str]):
    stack.pulumi("config", "set", "release", "0123456789e5")
    done = stack.up(check=False)
    assert done.returncode != 0
    assert "release 0123456789e5 is neither kept on this server (kept: " in done.stdout + done.stderr
    assert all(digest in done.stdout + done.stderr for digest in releases)
    assert serves(stack, "Hello World!\n")


def test_going_back_takes_no_registry_and_no_room_on_the_disk(stack: Stack, releases: list[str]):
    cut_off = f"nft -f - <<'END'\n{CUT_OFF.decode()}END\n"
    stack.script(cut_off + SMALL_DISK)
    stack.script(FILL)
    stack.pulumi("config", "set", "release", releases[1])
    took = timed(stack)
    assert serves(stack, "Hello Mars!\n")
    promised(took, unchanged=timed(stack))
    stack.script(FILL)
    # What several servers do before, what a start of the machine does, and what a failure elsewhere does.
    stack.script(f"gantry prepare {releases[0]} && gantry resume && gantry rollback")
    assert serves(stack, "Hello Mars!\n")
    stack.script(FILL)
    stack.pulumi("config", "set", "release", releases[0])
    stack.up()
    assert serves(stack, "Hello World!\n")


# The disk of a test's machine is its host's, which can't be filled: everything of ours moves to a small one.
SMALL_DISK = """
set -eu
mkdir /small
mount -t tmpfs -o size=200m,nr_inodes=20000 tmpfs /small
for folder in opt/gantry var/lib/gantry etc/gantry; do
    mkdir -p "/small/$folder"
    cp -a "/$folder/." "/small/$folder/"
    mount --bind "/small/$folder" "/$folder"
done
"""
FILL = """
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


def test_an_empty_release_serves_the_folder_again(stack: Stack, releases: list[str]):
    stack.script("rm -rf /small/fill* /small/[0-9]*; nft delete table inet cut")
    stack.pulumi("config", "set", "release", "")
    stack.up()
    assert stack.outputs()["release"] == releases[1]
    assert serves(stack, "Hello Mars!\n")
