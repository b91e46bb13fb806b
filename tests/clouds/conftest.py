"""Fixtures: an account at each cloud without machines, and a small engine that is connected to its provider."""

from __future__ import annotations

from collections.abc import Iterator

import pulumi  # noqa: F401  (before the offline plugin, which otherwise loads the SDK messages without the SDK)
import pytest

from tests.clouds.aws import SimulatedAws
from tests.clouds.digitalocean import SimulatedDigitalOcean
from tests.clouds.engine_client import EngineClient, connect_engine
from tests.clouds.simulated_cloud import token_of


@pytest.fixture
def aws() -> Iterator[SimulatedAws]:
    cloud = SimulatedAws()
    cloud.start()
    yield cloud
    cloud.stop()


@pytest.fixture
def aws_engine(aws: SimulatedAws) -> Iterator[EngineClient]:
    with connect_engine(aws) as engine:
        yield engine


@pytest.fixture
def digitalocean() -> SimulatedDigitalOcean:
    return SimulatedDigitalOcean()


@pytest.fixture
def digitalocean_engine(digitalocean: SimulatedDigitalOcean) -> Iterator[EngineClient]:
    with connect_engine(digitalocean) as engine:
        yield engine


@pytest.fixture
def vpc(digitalocean_engine: EngineClient) -> str:
    """The id of a VPC at DigitalOcean."""
    id, _ = digitalocean_engine.create(token_of("digitalocean", "index", "Vpc"), region="fra1")
    return id
