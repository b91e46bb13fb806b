"""Fixtures for tests with Pulumi's mocks, and for tests of the settings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pulumi
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir

# The same examples in each run: a test that sometimes fails is a defect. Times depend on what else runs.
settings.register_profile(
    "gantry",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("gantry")
set_hypothesis_home_dir(Path(__file__).parents[2] / ".gantry/cache/hypothesis")


@pytest.fixture(autouse=True)
def accept_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let programs register hooks: Pulumi's mocks refuse them, because they can't call back."""

    def register(hook: object) -> asyncio.Future[None]:
        future = asyncio.get_event_loop().create_future()
        future.set_result(None)
        return future

    monkeypatch.setattr("pulumi.resource_hooks.register_error_hook", register)
    monkeypatch.setattr("pulumi.resource_hooks.register_resource_hook", register)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project's folder with an empty example app."""
    (tmp_path / "examples/rocket").mkdir(parents=True)
    return tmp_path


@pytest.fixture(autouse=True)
def clear_config() -> Iterator[None]:
    """Remove the configuration that a test has set, so that no other test reads it."""
    yield
    pulumi.runtime.set_all_config({}, [])


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A folder with a small app."""
    folder = tmp_path / "app"
    (folder / "static").mkdir(parents=True)
    (folder / "requirements.txt").write_text("flask\n")
    (folder / "Procfile").write_text("web: gunicorn hello:app\n")
    (folder / "hello.py").write_text("app = None\n")
    (folder / "static/style.css").write_text("a {}")
    return folder
