"""Shared by the tests with Pulumi's mocks, and by those of the settings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pulumi
import pytest


@pytest.fixture(autouse=True)
def hooks_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mocked engine can't call back, and so refuses hooks: https://github.com/pulumi/pulumi (_callbacks.py)."""

    def registered(hook: object) -> asyncio.Future[None]:
        future = asyncio.get_event_loop().create_future()
        future.set_result(None)
        return future

    monkeypatch.setattr("pulumi.resource_hooks.register_error_hook", registered)
    monkeypatch.setattr("pulumi.resource_hooks.register_resource_hook", registered)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "examples/rocket").mkdir(parents=True)
    return tmp_path


@pytest.fixture(autouse=True)
def no_config_left() -> Iterator[None]:
    yield
    pulumi.runtime.set_all_config({}, [])
