"""One server with an address of its own, on a cloud with machines. The tests are one story, in this order."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.clouds import manual_changes
from tests.clouds.infrastructure import OPERATOR, STRANGER
from tests.clouds.simulated_stack import LARGER_SIZES
from tests.clouds.testbed import CloudTestbed, can_connect, clouds_under_test, new_testbed
from tests.machine.acme_authority import ORDER, Authority
from tests.machine.local_machines import LocalMachines, create_ssh_key
from tests.stack import get

pytestmark = [pytest.mark.machine, pytest.mark.cloud]

# The steps that undo the manual changes of the SSH rule and of the address.
REPAIR_STEPS = {
    "aws": {
        ("SecurityGroupIngressRule", "sim-ssh-198-51-100-7-32-cddcba", "update"),
        ("EipAssociation", "sim-address", "create"),
    },
    "digitalocean": {("Firewall", "sim", "update"), ("ReservedIpAssignment", "sim-address", "create")},
}


@pytest.fixture(scope="module", params=clouds_under_test("aws"))
def testbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudTestbed]:
    # HTTPS by default, with an authority that can't be reached yet.
    settings = {"tls": None, "acmeDirectory": "https://192.0.2.1/directory"}
    with new_testbed(request.param, tmp_path_factory.mktemp("cloud"), **settings) as testbed:
        yield testbed


@pytest.fixture(scope="module")
def authority(testbed: CloudTestbed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """A machine in the network of the stack, which is up."""
    with LocalMachines.temporary(create_ssh_key(tmp_path_factory.mktemp("key") / "id")) as machines:
        yield Authority.boot(machines, testbed.infrastructure.networks[-1].id)


def test_up_succeeds_on_a_slow_cloud_that_throttles_and_fails_some_calls(testbed: CloudTestbed):
    faults = testbed.cloud.faults
    faults.throttled_calls, faults.failing_calls = 2, 2
    faults.boot_delay_seconds, faults.metadata_delay_seconds = 2, 3
    testbed.stack.up()
    assert faults.retry_count >= 4
    assert get(testbed.stack.outputs()["url"]).text == "Hello World!\n"
    # The authority can't be reached, so the next `up` asks again.
    assert testbed.stack.steps() == {"sim-0-certificate": "update"}


def test_a_stranger_reaches_the_app_and_only_the_operator_reaches_ssh(testbed: CloudTestbed):
    address = testbed.servers()[0]["address"]
    assert can_connect(address, 22, OPERATOR)
    assert not can_connect(address, 22, STRANGER)
    assert can_connect(address, 80, STRANGER)


def test_the_server_reaches_its_metadata_and_the_users_of_app_builds_and_nginx_do_not(testbed: CloudTestbed):
    connect = "python3 -c 'import socket; socket.create_connection((\"169.254.169.254\", 80), 5)'"
    assert testbed.stack.ssh(f"sudo {connect}").returncode == 0
    for user in ("app", "gantry-build", "www-data"):
        result = testbed.stack.ssh(f"sudo runuser --user {user} -- {connect}", check=False)
        assert "refused" in result.stderr, user


def test_a_new_stack_gets_https_for_its_address_as_soon_as_the_authority_can_be_reached(
    testbed: CloudTestbed, authority: Authority
):
    plain = testbed.stack.outputs()["url"]
    assert plain.startswith("http://")
    roots = authority.root + authority.issuer
    testbed.stack.configure(acmeDirectory=authority.directory, acmeRoot=roots)
    testbed.stack.up()
    url = testbed.stack.outputs()["url"]
    assert url == plain.replace("http://", "https://")
    assert get(url, roots=roots).text == "Hello World!\n"
    assert get(plain).headers["Location"] == url
    assert testbed.stack.steps() == {}


def test_the_address_moves_to_a_new_server_once_that_serves(testbed: CloudTestbed, authority: Authority):
    url, [old_server] = testbed.stack.outputs()["url"], testbed.servers()
    testbed.stack.edit("Hello World!", "Hello Mars!")
    testbed.stack.configure(size=LARGER_SIZES[testbed.cloud.package])
    orders = authority.requests(ORDER)
    assert orders > 0
    with request_repeatedly(url, roots=authority.issuer) as results:
        testbed.stack.up()
        time.sleep(1)
    failures = {result: count for result, count in results.items() if not result.startswith("Hello")}
    assert {"Hello World!\n", "Hello Mars!\n"} <= set(results)
    # A request that is in flight to the old server when the address moves ends with that server: docs/clouds.md.
    assert sum(failures.values()) <= 1, failures
    assert testbed.stack.outputs()["url"] == url
    assert testbed.servers()[0]["instance_id"] != old_server["instance_id"]
    assert get(url, roots=authority.issuer).text == "Hello Mars!\n"
    # The new server has the certificate of the old one.
    assert authority.requests(ORDER) == orders


def test_a_new_release_serves_and_the_stack_can_roll_back_to_the_previous_one(
    testbed: CloudTestbed, authority: Authority
):
    outputs = testbed.stack.outputs()
    testbed.stack.edit("Hello Mars!", "Hello Venus!")
    testbed.stack.up()
    assert get(outputs["url"], roots=authority.issuer).text == "Hello Venus!\n"
    testbed.stack.configure(release=outputs["release"])
    testbed.stack.up()
    assert get(outputs["url"], roots=authority.issuer).text == "Hello Mars!\n"


def test_refresh_finds_manual_changes_and_up_undoes_them(testbed: CloudTestbed, authority: Authority):
    url, [server] = testbed.stack.outputs()["url"], testbed.servers()
    manual_changes.open_ssh_to_everybody(testbed.cloud)
    assert can_connect(server["address"], 22, STRANGER)
    manual_changes.detach_address(testbed.cloud)
    assert not can_connect(url.split("/")[2], 80, STRANGER)
    testbed.stack.pulumi("refresh", "--yes", "--skip-preview")
    assert testbed.stack.plan() >= REPAIR_STEPS[testbed.cloud.package]
    testbed.stack.up()
    assert get(url, roots=authority.issuer).text == "Hello Mars!\n"
    assert not can_connect(server["address"], 22, STRANGER)
    assert testbed.servers() == [server]
    assert testbed.stack.steps() == {}


def test_a_server_whose_address_was_released_manually_gets_another_one_with_a_certificate_for_it(
    testbed: CloudTestbed, authority: Authority
):
    url, [server] = testbed.stack.outputs()["url"], testbed.servers()
    manual_changes.release_address(testbed.cloud)
    if testbed.cloud.package == "digitalocean":
        # There the provider fails to read the assignment of the address, so a refresh fails.
        testbed.stack.recover()
    else:
        testbed.stack.pulumi("refresh", "--yes", "--skip-preview")
    testbed.stack.up()
    outputs = testbed.stack.outputs()
    assert outputs["url"] != url
    assert get(outputs["url"], roots=authority.issuer).text == "Hello Mars!\n"
    assert outputs["servers"][0]["instance_id"] == server["instance_id"]
    assert testbed.stack.ssh("hostname").stdout
    assert testbed.stack.steps() == {}


def test_the_first_server_goes_on_serving_when_a_second_one_cannot_be_set_up(
    testbed: CloudTestbed, authority: Authority
):
    url = testbed.stack.outputs()["url"]
    (testbed.stack.app / "requirements.txt").write_text("flask\nthere-is-no-such-package==1\n")
    testbed.stack.configure(servers=2, release=None)
    result = testbed.stack.up(check=False)
    assert "there-is-no-such-package" in result.stdout + result.stderr
    assert result.returncode != 0
    # The balancer has no certificate. So HTTPS, and the redirect to it, end when the server is configured for it.
    answer = get(url.replace("https://", "http://"))
    if answer.status == 308:
        answer = get(url, roots=authority.issuer)
    assert answer.text == "Hello Mars!\n"


def test_destroy_leaves_nothing_in_the_cloud(testbed: CloudTestbed, authority: Authority):
    authority.machines.destroy()
    testbed.stack.destroy()
    assert testbed.cloud.leftovers() == []


@contextmanager
def request_repeatedly(url: str, roots: str = "") -> Iterator[Counter[str]]:
    """Send one request after the other, each on a new connection with a timeout of two seconds.

    Counts the results: the text of a page, another status, or an error.
    """
    results, end = Counter[str](), threading.Event()

    def send_requests() -> None:
        while not end.wait(0.02):
            try:
                answer = get(url, timeout=2, roots=roots)
                results[answer.text if answer.status == 200 else str(answer.status)] += 1
            except OSError as error:
                results[repr(error)] += 1

    thread = threading.Thread(target=send_requests)
    thread.start()
    try:
        yield results
    finally:
        end.set()
        thread.join()
