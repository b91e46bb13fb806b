"""Measures what a user waits for, on this computer, beside the same done by hand. Prints a table in Markdown.

What is compared runs in turn, since computers are noisy; each figure is a median with its range.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.stack import Stack, copy_of_rocket, get  # noqa: E402

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


@dataclass
class Row:
    """One line of the table; times in seconds."""

    what: str
    times: list[float] = field(default_factory=list[float])

    def time(self, action: Callable[[], object]) -> None:
        start = time.perf_counter()
        action()
        self.times.append(time.perf_counter() - start)

    def __str__(self) -> str:
        low, middle, high = min(self.times), statistics.median(self.times), max(self.times)
        return f"| {self.what} | {middle:.2f} | {low:.2f} to {high:.2f} | {len(self.times)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure boots, updates and releases by hand.")
    parser.add_argument("--boots", type=int, default=3, help="runs of the first boot")
    parser.add_argument("--updates", type=int, default=5, help="runs of everything else")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gantry-bench-") as folder:
        app = copy_of_rocket(Path(folder))
        stack = Stack("bench", Path(folder), {"app": str(app), "healthPath": "/healthz", "watch": 0})
        try:
            rows = [boots(stack, options.boots), *updates(stack, app, options.updates)]
        finally:
            stack.destroy()
    print("| what | median, s | range, s | runs |\n| --- | --- | --- | --- |")
    print("\n".join(map(str, rows)))


def boots(stack: Stack, runs: int) -> Row:
    """From the base image to the first page, by way of the engine."""
    row = Row("first boot to first 200: `up`, base image there")
    for _ in range(runs):
        stack.destroy()
        row.time(lambda: (stack.up(), page(stack)))
    return row


def updates(stack: Stack, app: Path, runs: int) -> list[Row]:
    """No change, a changed app, and the same release by hand, in turn."""
    unchanged, changed = Row("`up` with no change"), Row("`up` with a changed app")
    by_hand = Row("the same release by hand: ssh, untar, uv from its cache, gunicorn, ask")
    source = app / "rocket.py"
    for number in range(runs):
        unchanged.time(stack.up)
        source.write_text(f"{source.read_text()}\n# {number}\n")
        changed.time(stack.up)
        page(stack)
        by_hand.time(partial(release_by_hand, stack.outputs(), app))
    return [unchanged, changed, by_hand]


def release_by_hand(outputs: dict[str, Any], app: Path) -> None:
    address = outputs["servers"][0]["address"]
    with tempfile.NamedTemporaryFile() as identity:
        identity.write(outputs["ssh_key"].encode())
        identity.flush()
        options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
        ssh = ["ssh", "-i", identity.name, *options, f"deploy@{address}", BY_HAND]
        with subprocess.Popen(["tar", "c", "-C", str(app), "."], stdout=subprocess.PIPE) as tar:
            subprocess.run(ssh, stdin=tar.stdout, check=True)


def page(stack: Stack) -> None:
    answer = get(stack.outputs()["url"])
    if answer.status != 200:
        raise SystemExit(f"the page answered {answer.status}")


if __name__ == "__main__":
    main()
