"""Stacks of the example app for the measurements."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from components import ssh
from tests.stack import ECHO_ROUTE, ROOT, Stack, copy_example_app, get
from tools.login import login_to

# Code that a load needs besides the app's own pages: a slow response, and a header that names the release.
LOAD_ROUTES = """

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
    """A stack before its first `up`; it is destroyed at the end."""
    with tempfile.TemporaryDirectory(prefix="gantry-bench-") as folder:
        app = copy_example_app(Path(folder))
        new = Stack(f"bench-{name}", Path(folder), {"app": str(app), "healthPath": "/healthz", "watch": 0, **settings})
        try:
            yield new
        finally:
            new.destroy()


def write_release(stack: Stack, number: int, extra: str = "") -> None:
    """Changes the app to release ``number``, which its page shows; ``extra`` is more code."""
    source = (ROOT / "examples/rocket/rocket.py").read_text().replace("Hello World!", page(number).strip())
    (stack.app / "rocket.py").write_text(source + ECHO_ROUTE + extra)


def page(number: int) -> str:
    return f"Hello from release {number}!\n"


def require_page(stack: Stack, number: int) -> None:
    """Fails unless the stack serves release ``number``: a time without the release would mean nothing."""
    response = get(stack.outputs()["url"])
    if (response.status, response.text) != (200, page(number)):
        raise SystemExit(
            f"{stack.name} serves another page than that of release {number}: {response.status} {response.text!r}"
        )


def login(stack: Stack) -> ssh.Login:
    """A login to the first server without the engine, whose start would add to the measured time."""
    outputs = stack.outputs()
    server = outputs["servers"][0]
    return login_to(server, outputs)
