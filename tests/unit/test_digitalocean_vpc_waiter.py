"""A VPC on DigitalOcean is deleted only when it has no members."""

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
    """How many members the VPC had at each wait. Each wait removes one."""
    counts: list[int] = []

    def sleep(_seconds: float) -> None:
        counts.append(len(cloud.vpc_members("v1")))
        cloud.documents("droplet").popitem()

    monkeypatch.setattr(vpc_waiter.time, "sleep", sleep)
    return counts


def add_droplets(cloud: SimulatedDigitalOcean, *ids: str) -> None:
    for id in ids:
        cloud.add("droplet", {"name": f"prod-{id}", "vpcUuid": "v1", "dropletUrn": f"do:droplet:{id}"}, id)


def test_it_waits_for_the_members_on_all_pages(cloud: SimulatedDigitalOcean, api: Api, waits: list[int]):
    add_droplets(cloud, "1", "2", "3")
    vpc_waiter.wait_until_empty(api, "v1")
    assert waits == [3, 2, 1]


def test_it_doesnt_wait_for_an_empty_or_a_deleted_vpc(api: Api, waits: list[int]):
    vpc_waiter.wait_until_empty(api, "v1")
    vpc_waiter.wait_until_empty(api, "v2")
    assert waits == []


def test_after_the_limit_the_error_lists_the_remaining_members(
    cloud: SimulatedDigitalOcean, api: Api, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(vpc_waiter, "LIMIT_SECONDS", -1)
    add_droplets(cloud, "1", "2")
    with pytest.raises(
        TimeoutError, match=r"the VPC v1 still has members: do:droplet:1 \(prod-1\), do:droplet:2 \(prod-2\)"
    ):
        vpc_waiter.wait_until_empty(api, "v1")


def test_every_status_other_than_404_is_an_error(api: Api):
    with pytest.raises(ApiError, match="401"):
        vpc_waiter.wait_until_empty(Api("wrong", api.url), "v1")


@pytest.mark.parametrize(
    ("config", "environ", "api"),
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
def test_the_account_is_the_one_that_the_stacks_provider_uses(
    config: dict[str, str], environ: dict[str, str], api: Api
):
    assert vpc_waiter.account(Config(config, "gantry"), environ) == api


def test_without_a_token_the_error_says_how_to_set_one():
    with pytest.raises(ApiError, match="set DIGITALOCEAN_TOKEN"):
        vpc_waiter.account(Config({}, "gantry"), {})


def test_deleting_the_resource_waits_for_the_members(
    cloud: SimulatedDigitalOcean, api: Api, waits: list[int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DIGITALOCEAN_API_URL", api.url)
    add_droplets(cloud, "1")
    provider = vpc_waiter.VpcWaiterProvider()
    provider.configure(ConfigureRequest(Config({"digitalocean:token": TOKEN}, "gantry")))
    provider.delete("v1", {"vpc_id": "v1"})
    assert waits == [1]


def test_only_another_vpc_replaces_the_waiter():
    provider = vpc_waiter.VpcWaiterProvider()
    assert provider.create({"vpc_id": "v1"}).id == "v1"
    assert provider.diff("v1", {"vpc_id": "v1"}, {"vpc_id": "v1", "__provider": "new"}).changes is False
    assert provider.diff("v1", {"vpc_id": "v1"}, {"vpc_id": "v2"}).replaces == ["vpc_id"]


def test_the_provider_process_of_every_up_imports_little():
    program = (
        "import sys, pulumi.dynamic, components.emptying, components.digitalocean.vpc_waiter; "
        "print([name for name in sys.modules if 'jinja' in name or 'pulumi_' in name])"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
