"""Stacks to measure, of the example app."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from components import ssh
from tests.stack import ECHO_ROUTE, ROOT, Stack, copy_example_app, get

# What the load needs besides: an answer that takes 5 s, and a mark that says which release answered.
MARKED = """

import time

RELEASE = "{number}"


@app.route("/slow", methods=["GET", "POST"])
def slow():
    time.sleep({seconds})
    return request.get_data() or "slow\\n"


@app.after_request
def mark(response):
    response.headers["Release"] = RELEASE
    return response
"""


@contextmanager
def stack(name: str, **settings: object) -> Generator[Stack]:
    """A stack that is destroyed afterwards; nothing of it is up yet."""
    with tempfile.TemporaryDirectory(prefix="gantry-bench-") as folder:
        app = copy_example_app(Path(folder))
        made = Stack(f"bench-{name}", Path(folder), {"app": str(app), "healthPath": "/healthz", "watch": 0, **settings})
        try:
            yield made
        finally:
            made.destroy()


def edit(stack: Stack, number: int, more: str = "") -> None:
    """Make the app another release, whose page says its number."""
    source = (ROOT / "examples/rocket/rocket.py").read_text().replace("Hello World!", page(number).strip())
    (stack.app / "rocket.py").write_text(source + ECHO_ROUTE + more)


def page(number: int) -> str:
    return f"Hello from release {number}!\n"


def require_page(stack: Stack, number: int) -> None:
    """What was measured must have happened."""
    found = get(stack.outputs()["url"])
    if (found.status, found.text) != (200, page(number)):
        raise SystemExit(f"the page of {stack.name} isn't that of release {number}: {found.status} {found.text!r}")


def login(stack: Stack) -> ssh.Login:
    """On the first server, without the engine, whose start would be a part of what is timed."""
    outputs = stack.outputs()
    server = outputs["servers"][0]
    return ssh.Login(server["address"], "deploy", server["host_key"], outputs["ssh_key"])
