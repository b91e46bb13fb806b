"""One server with an address of its own, on a cloud with machines. The tests are one story."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.clouds.site import LARGER, Site, chosen, connects, site_on
from tests.clouds.world import OPERATOR, STRANGER
from tests.stack import get

pytestmark = [pytest.mark.machine, pytest.mark.cloud]


@pytest.fixture(scope="module", params=chosen())
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_on(request.param, tmp_path_factory.mktemp("cloud")) as site:
        yield site


def test_up_with_a_cloud_that_throttles_fails_now_and_then_and_is_slow(site: Site):
    site.cloud.faults.throttled, site.cloud.faults.failing = 2, 2
    site.cloud.faults.slow_boot, site.cloud.faults.late_metadata = 2, 3
    site.stack.up()
    assert site.cloud.faults.retried >= 4
    assert get(site.stack.outputs()["url"]).text == "Hello World!\n"
    assert site.stack.steps() == {}


def test_ssh_from_elsewhere_is_refused_and_visitors_are_not(site: Site):
    address = site.servers()[0]["address"]
    assert connects(address, 22, OPERATOR)
    assert not connects(address, 22, STRANGER)
    assert connects(address, 80, STRANGER)


def test_the_address_moves_to_the_successor_when_that_serves(site: Site):
    url, [before] = site.stack.outputs()["url"], site.servers()
    site.edit("Hello World!", "Hello Mars!")
    site.stack.configure(size=LARGER[site.cloud.package])
    with visitors(url) as seen:
        site.stack.up()
        time.sleep(1)
    assert set(seen) == {"Hello World!\n", "Hello Mars!\n"}
    assert site.stack.outputs()["url"] == url
    assert site.servers()[0]["instance_id"] != before["instance_id"]
    assert get(url).text == "Hello Mars!\n"


def test_destroy_leaves_nothing_in_the_cloud(site: Site):
    site.stack.destroy()
    assert site.cloud.leftovers() == []


@contextmanager
def visitors(url: str) -> Iterator[Counter[str]]:
    """New visitors, one after the other: what each saw, or how it failed."""
    seen, done = Counter[str](), threading.Event()

    def visit() -> None:
        while not done.wait(0.02):
            try:
                answer = get(url)
                seen[answer.text if answer.status == 200 else str(answer.status)] += 1
            except OSError as error:
                seen[repr(error)] += 1

    thread = threading.Thread(target=visit)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()
