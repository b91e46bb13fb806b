"""A VPC on DigitalOcean goes when nothing is in it any more."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from pulumi.dynamic import Config, ConfigureRequest

from components.digitalocean import vpc_waiter
from components.digitalocean.api import Api, ApiError
from tests.clouds.digitalocean import SimulatedDigitalOcean
from tests.clouds.digitalocean_api import TOKEN, serve_api
from tests.stack import ROOT


@pytest.fixture
def cloud() -> SimulatedDigitalOcean:
    cloud = SimulatedDigitalOcean()
    cloud.add("vpc", {"name": "prod"}, "v1")
    return cloud


@pytest.fixture
def api(cloud: SimulatedDigitalOcean) -> Iterator[Api]:
    with serve_api(cloud, page_size=1) as url:
        yield Api(TOKEN, url)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch, cloud: SimulatedDigitalOcean) -> list[int]:
    """How many were there at each wait, after which one more is gone."""
    seen: list[int] = []

    def sleep(_seconds: float) -> None:
        seen.append(len(cloud.vpc_members("v1")))
        cloud.documents("droplet").popitem()

    monkeypatch.setattr(vpc_waiter.time, "sleep", sleep)
    return seen


def fill(cloud: SimulatedDigitalOcean, *ids: str) -> None:
    for id in ids:
        cloud.add("droplet", {"name": f"prod-{id}", "vpcUuid": "v1", "dropletUrn": f"do:droplet:{id}"}, id)


def test_it_waits_until_the_last_one_on_whatever_page_has_left(
    cloud: SimulatedDigitalOcean, api: Api, waits: list[int]
):
    fill(cloud, "1", "2", "3")
    vpc_waiter.wait_until_empty(api, "v1")
    assert waits == [3, 2, 1]


def test_what_is_empty_or_gone_is_not_waited_for(api: Api, waits: list[int]):
    vpc_waiter.wait_until_empty(api, "v1")
    vpc_waiter.wait_until_empty(api, "v2")
    assert waits == []


def test_after_the_limit_it_says_what_still_is_there(
    cloud: SimulatedDigitalOcean, api: Api, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(vpc_waiter, "LIMIT_SECONDS", -1)
    fill(cloud, "1", "2")
    with pytest.raises(
        TimeoutError, match=r"the VPC v1 still has members: do:droplet:1 \(prod-1\), do:droplet:2 \(prod-2\)"
    ):
        vpc_waiter.wait_until_empty(api, "v1")


def test_another_answer_than_that_it_is_gone_is_an_error(api: Api):
    with pytest.raises(ApiError, match="401"):
        vpc_waiter.wait_until_empty(Api("wrong", api.url), "v1")


@pytest.mark.parametrize(
    ("config", "environ", "found"),
    [
        ({}, {"DIGITALOCEAN_TOKEN": "a"}, Api("a", "https://api.digitalocean.com")),
        ({}, {"DIGITALOCEAN_ACCESS_TOKEN": "b", "DIGITALOCEAN_API_URL": "http://it"}, Api("b", "http://it")),
        (
            {"digitalocean:token": "c", "digitalocean:apiEndpoint": "http://own"},
            {"DIGITALOCEAN_TOKEN": "a", "DIGITALOCEAN_API_URL": "http://it"},
            Api("c", "http://own"),
        ),
    ],
)
def test_the_account_is_that_of_the_stacks_own_provider(config: dict[str, str], environ: dict[str, str], found: Api):
    assert vpc_waiter.account(Config(config, "gantry"), environ) == found


def test_without_a_token_it_says_how_to_set_it():
    with pytest.raises(ApiError, match="set DIGITALOCEAN_TOKEN"):
        vpc_waiter.account(Config({}, "gantry"), {})


def test_the_deletion_of_the_resource_is_the_wait(
    cloud: SimulatedDigitalOcean, api: Api, waits: list[int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DIGITALOCEAN_API_URL", api.url)
    fill(cloud, "1")
    provider = vpc_waiter.VpcWaiterProvider()
    provider.configure(ConfigureRequest(Config({"digitalocean:token": TOKEN}, "gantry")))
    provider.delete("v1", {"vpc_id": "v1"})
    assert waits == [1]


def test_only_another_vpc_is_another_emptying():
    provider = vpc_waiter.VpcWaiterProvider()
    assert provider.create({"vpc_id": "v1"}).id == "v1"
    assert provider.diff("v1", {"vpc_id": "v1"}, {"vpc_id": "v1", "__provider": "new"}).changes is False
    assert provider.diff("v1", {"vpc_id": "v1"}, {"vpc_id": "v2"}).replaces == ["vpc_id"]


def test_the_provider_process_of_every_up_imports_little():
    asked = (
        "import sys, pulumi.dynamic, components.emptying, components.digitalocean.vpc_waiter; "
        "print([name for name in sys.modules if 'jinja' in name or 'pulumi_' in name])"
    )
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
