"""Fixtures for the tests with Pulumi's mocks and for those of the settings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pulumi
import pytest


@pytest.fixture(autouse=True)
def hooks_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulumi's mocks refuse hooks, because they can't call back: https://github.com/pulumi/pulumi (_callbacks.py)."""

    def register(hook: object) -> asyncio.Future[None]:
        future = asyncio.get_event_loop().create_future()
        future.set_result(None)
        return future

    monkeypatch.setattr("pulumi.resource_hooks.register_error_hook", register)
    monkeypatch.setattr("pulumi.resource_hooks.register_resource_hook", register)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "examples/rocket").mkdir(parents=True)
    return tmp_path


@pytest.fixture(autouse=True)
def config_is_reset() -> Iterator[None]:
    yield
    pulumi.runtime.set_all_config({}, [])
