"""Shared by the tests with Pulumi's mocks."""

from __future__ import annotations

import asyncio

import pytest


@pytest.fixture(autouse=True)
def hooks_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mocked engine can't call back, and so refuses hooks: https://github.com/pulumi/pulumi (_callbacks.py)."""

    def registered(hook: object) -> asyncio.Future[None]:
        future = asyncio.get_event_loop().create_future()
        future.set_result(None)
        return future

    monkeypatch.setattr("pulumi.resource_hooks.register_error_hook", registered)
