"""An app update beside an `up` without a change and the same release by hand; going back without any registry."""

from __future__ import annotations

import subprocess
from functools import partial
from pathlib import Path

from bench import results, stacks
from bench.results import Times
from components import ssh
from tests.machine.booted_server import BLOCK_OUTGOING
from tests.stack import TIMEOUT_SECONDS, Stack

# A release as one would write it by hand: unpack what comes over SSH, install from uv's cache, start, ask.
BY_HAND = r"""
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
    """No change, a changed app, and the same release by hand, in turn; all without a watch."""
    unchanged, changed, by_hand = Times(), Times(), Times()
    with stacks.stack("update") as stack:
        stacks.edit(stack, 0)
        stack.up()
        login, app = stacks.login(stack), stack.app
        for number in range(1, runs + 1):
            unchanged.time(stack.up)
            stacks.edit(stack, number)
            changed.time(stack.up)
            stacks.require_page(stack, number)
            by_hand.time(partial(release_by_hand, login, app))
    results.keep("update", {"unchanged": unchanged, "changed": changed, "by hand": by_hand})


def rollback(runs: int) -> None:
    """Back and forth between two kept releases, each with packages of its own, while nothing leaves the server."""
    unchanged, back = Times(), Times()
    with stacks.stack("rollback") as stack:
        digests = [_serve(stack, 0, "flask\n"), _serve(stack, 1, "flask\nsix==1.17.0\n")]
        stack.script(f"nft -f - <<'END'\n{BLOCK_OUTGOING.decode()}END\n")
        for number in range(runs):
            unchanged.time(stack.up)
            stack.configure(release=digests[number % 2])
            back.time(stack.up)
            stacks.require_page(stack, number % 2)
    results.keep("rollback", {"unchanged": unchanged, "back": back})


def _serve(stack: Stack, number: int, requirements: str) -> str:
    stacks.edit(stack, number)
    (stack.app / "requirements.txt").write_text(requirements)
    stack.up()
    return stack.outputs()["release"]


def release_by_hand(login: ssh.Login, app: Path) -> None:
    packed = subprocess.check_output(["tar", "c", "-C", str(app), "."])
    done = ssh.run(login, [BY_HAND], timeout=TIMEOUT_SECONDS, stdin=packed)
    if done.returncode != 0:
        raise SystemExit(f"by hand: {(done.stdout + done.stderr).decode(errors='replace')}")
