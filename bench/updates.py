"""Measures an app update beside an `up` without a change and a manual release, and a rollback without a registry."""

from __future__ import annotations

import subprocess
from functools import partial
from pathlib import Path

from bench import results, stacks
from bench.results import Times
from components import ssh
from tests.machine.booted_server import BLOCK_OUTGOING
from tests.stack import TIMEOUT_SECONDS, Stack

# The shortest release that somebody could write: unpack over SSH, install from uv's cache, start, check the health.
MANUAL_RELEASE = r"""
set -e
folder=$(mktemp -d) && chmod 755 "$folder" && cd "$folder" && tar x
sudo install -d -o gantry-build venv
export UV_CACHE_DIR=/var/cache/gantry/uv HOME=/var/cache/gantry
sudo --preserve-env=UV_CACHE_DIR,HOME -u gantry-build sh -c '
    /opt/gantry/venv/bin/uv venv --quiet --allow-existing venv
    /opt/gantry/venv/bin/uv pip install --quiet --offline --python venv/bin/python \
        -r requirements.txt -r /opt/gantry/gunicorn.txt'
venv/bin/gunicorn --daemon --pid pid --bind 127.0.0.1:9999 rocket:app
until python3 -c 'from urllib.request import urlopen; urlopen("http://127.0.0.1:9999/healthz")' 2>/dev/null; do :; done
kill "$(cat pid)"
cd / && sudo rm -rf "$folder"
"""


def update(runs: int) -> None:
    """Times an `up` with no change, one with a changed app, and a manual release ("by hand" in the results), in turn.

    The stack has no watch.
    """
    unchanged, changed, manual = Times(), Times(), Times()
    with stacks.stack("update") as stack:
        stacks.write_release(stack, 0)
        stack.up()
        login, app = stacks.login(stack), stack.app
        for number in range(1, runs + 1):
            unchanged.time(stack.up)
            stacks.write_release(stack, number)
            changed.time(stack.up)
            stacks.require_page(stack, number)
            manual.time(partial(release_manually, login, app))
    results.save("update", {"unchanged": unchanged, "changed": changed, "by hand": manual})


def rollback(runs: int) -> None:
    """Switches between two kept releases with different packages, while the server can't reach any registry."""
    unchanged, rollbacks = Times(), Times()
    with stacks.stack("rollback") as stack:
        digests = [_release(stack, 0, "flask\n"), _release(stack, 1, "flask\nsix==1.17.0\n")]
        stack.script(f"nft -f - <<'END'\n{BLOCK_OUTGOING.decode()}END\n")
        for number in range(runs):
            unchanged.time(stack.up)
            stack.configure(release=digests[number % 2])
            rollbacks.time(stack.up)
            stacks.require_page(stack, number % 2)
    results.save("rollback", {"unchanged": unchanged, "back": rollbacks})


def _release(stack: Stack, number: int, requirements: str) -> str:
    """Brings up a release with these requirements. Returns its digest."""
    stacks.write_release(stack, number)
    (stack.app / "requirements.txt").write_text(requirements)
    stack.up()
    return stack.outputs()["release"]


def release_manually(login: ssh.Login, app: Path) -> None:
    tarball = subprocess.check_output(["tar", "c", "-C", str(app), "."])
    result = ssh.run(login, [MANUAL_RELEASE], timeout=TIMEOUT_SECONDS, stdin=tarball)
    if result.returncode != 0:
        raise SystemExit(f"the manual release failed: {(result.stdout + result.stderr).decode(errors='replace')}")
