"""The settings maxUpload, requestTimeout and drainTimeout: files, resources and mistakes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from components import fleet
from components.local import balancer_server
from components.server.configuration import WEB_UNIT, configuration
from components.server.limits import limits
from components.targets import TARGETS
from host import times
from host.paths import Paths
from tests.mocks import AWS, DIGITALOCEAN, Recorder, build_stack
from tests.stack_settings import balancer_files, make_settings, mistakes, read

SITE, GUNICORN = str(Paths().site), str(Paths().gunicorn_settings)
# Settings requestTimeout, socketTimeout and drainTimeout.
VALUES = [(1, 1, 1), (10, 20, 30), (60, 60, 30), (60, 60, 300), (120, 300, 30), (300, 300, 100), (590, 590, 300)]
# The time after which Gunicorn's master finds a worker that hangs.
KILL_SECONDS = 2


def changes(values: tuple[int, int, int]) -> dict[str, Any]:
    return dict(zip(("request_timeout", "socket_timeout", "drain_timeout"), values, strict=True))


def number(pattern: str, text: str) -> int:
    [found] = re.findall(pattern, text, re.MULTILINE)
    return int(found)


def request_seconds(site: str) -> int:
    """Nginx's limit for an answer to an ordinary request."""
    found = re.findall(r"^proxy_read_timeout (\d+)s;", site, re.MULTILINE)
    return int(found[0]) if found else 60


def stream_seconds(site: str) -> int:
    return number(r"location @stream \{\n.*\n\s+proxy_read_timeout (\d+)s;", site)


@pytest.mark.parametrize("values", VALUES)
def test_nginx_answers_before_gunicorn_kills_a_worker_and_before_the_local_balancer_gives_up(
    values: tuple[int, int, int],
):
    files, balancer = configuration(make_settings(**changes(values)), "/h").files, balancer_files(**changes(values))
    nginx, worker = request_seconds(files[SITE]), number(r"^timeout = (\d+)$", files[GUNICORN])
    local = number(r"^    proxy_read_timeout (\d+)s;", balancer[SITE])
    assert nginx == values[0] <= worker
    assert nginx < local
    assert f"limit ({nginx} s)" in balancer[SITE]
    # A stream may be silent for longer than a request.
    assert nginx <= stream_seconds(files[SITE]) == values[1] < stream_seconds(balancer[SITE])


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize(
    ("target", "token", "key", "least", "most"),
    [
        # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html
        (AWS, ":LoadBalancer", "idleTimeout", 1, 4000),
        # https://docs.digitalocean.com/products/networking/load-balancers/details/limits/
        (DIGITALOCEAN, ":LoadBalancer", "httpIdleTimeoutSeconds", 30, 600),
    ],
)
def test_a_clouds_balancer_waits_longer_than_the_server_and_less_than_its_limit(
    tmp_path: Path, values: tuple[int, int, int], target: dict[str, Any], token: str, key: str, least: int, most: int
):
    stack = build_stack(tmp_path, **target, servers=2, balancer=True, **changes(values))
    idle = stack.one(token).inputs[key]
    assert least <= idle <= most
    server = configuration(make_settings(**changes(values)), "/h", ("10.0.0.0/8",)).files
    assert max(request_seconds(server[SITE]), stream_seconds(server[SITE])) + KILL_SECONDS < idle
    # The balancer closes an idle connection before the server does.
    assert idle < number(r"^    keepalive_timeout (\d+)s;", server[SITE])
    assert_drained(stack, values)


def assert_drained(stack: Recorder, values: tuple[int, int, int]) -> None:
    """A server that is deleted has nearly the time of the longest request, and that of WebSockets."""
    for drain in stack.of_type(":Leaving"):
        seconds = drain.inputs["seconds"] - times.SETTLE_SECONDS
        assert seconds == max(values[2], values[0] - 30)
    for group in stack.of_type(":TargetGroup"):
        assert group.inputs["deregistrationDelay"] == max(values[2], values[0] - 30)


@pytest.mark.parametrize("values", VALUES)
def test_after_a_release_requests_have_all_of_their_time_and_the_process_ends_before_it_is_killed(
    values: tuple[int, int, int],
):
    files = configuration(make_settings(**changes(values)), "/h").files
    unit = files[str(WEB_UNIT)]
    wait = re.findall(r"wait-until-idle %i ?(\d*)$", unit, re.MULTILINE)
    drain = int(wait[0] or times.DRAIN_SECONDS)
    graceful = number(r"^graceful_timeout = (\d+)$", files[GUNICORN])
    assert drain == values[2]
    assert drain + graceful >= values[0]
    assert number(r"^TimeoutStopSec=(\d+)$", unit) > max(drain, graceful)


def test_a_rollout_has_room_for_the_end_of_a_deployment_that_is_still_being_drained():
    def seconds(**changes: Any) -> int:
        return fleet.server_seconds(make_settings(**changes))

    assert seconds(request_timeout=10, drain_timeout=10) == seconds()
    # The drain, and the stop with its ten seconds: 200 + 210 instead of 30 + 40.
    assert seconds(drain_timeout=200) == seconds() + 340


def test_the_local_balancer_waits_for_the_longest_request_and_for_websockets():
    def command(**changes: Any) -> str:
        return balancer_server.configure_and_drain(limits(make_settings(**changes)))

    assert command().endswith(" && sudo gantry drain")
    assert command(request_timeout=120).endswith(" && sudo gantry drain --limit 120")
    assert command(drain_timeout=300).endswith(" && sudo gantry drain --limit 300")


def test_the_largest_upload_is_the_same_on_servers_and_on_the_local_balancer():
    for site in (configuration(make_settings(max_upload=200), "/h").files[SITE], balancer_files(max_upload=200)[SITE]):
        # The pages of Nginx have no limit of their own: they also answer what was too large.
        assert re.findall(r"client_max_body_size (\S+);", site)[0] == "200m"
        assert set(re.findall(r"client_max_body_size (\S+);", site)) <= {"200m", "0"}


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_a_request_that_may_take_longer_than_a_stream_may_be_silent_is_refused(root: Path, target: str):
    regions = {"aws": "eu-central-1", "digitalocean": "fra1"}
    required: dict[str, Any] = {}
    if target in regions:
        required = {"region": regions[target], "sshFrom": ["203.0.113.7/32"]}
    text = mistakes(root, target=target, **required, requestTimeout="120")
    assert "requestTimeout is 120, but must be at most socketTimeout, which is 60: " in text
    assert "pulumi config set socketTimeout 120; or " in text
    assert "pulumi config set requestTimeout 60" in text
    settings = read(root, target=target, **required, requestTimeout="120", socketTimeout="120")
    assert (settings.request_timeout, settings.socket_timeout) == (120, 120)


def test_a_short_socket_timeout_needs_a_short_request_timeout(root: Path):
    assert "requestTimeout is 60, but must be at most socketTimeout, which is 10: " in mistakes(
        root, socketTimeout="10"
    )
    assert read(root, socketTimeout="10", requestTimeout="10").socket_timeout == 10


@pytest.mark.parametrize(
    ("key", "value", "most"),
    [
        ("requestTimeout", "591", 590),
        ("requestTimeout", "0", 590),
        ("socketTimeout", "591", 590),
        ("drainTimeout", "301", 300),
        ("drainTimeout", "0", 300),
        ("maxUpload", "10001", 10000),
        ("maxUpload", "32m", 10000),
    ],
)
def test_a_limit_out_of_its_range_is_named_with_the_rule_and_the_command(root: Path, key: str, value: str, most: int):
    [line] = mistakes(root, **{key: value}).splitlines()[1:]
    assert line.startswith(f"  - {key} is '{value}', but must be a whole number from 1 to {most}")
    assert f"pulumi config set {key}" in line
