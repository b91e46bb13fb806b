"""The commands of `up` for the certificate: their order, what they send, and when they run again."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.output import UNKNOWN

from components.app_data import Resource
from components.rollout.certificate import Certificate, report, with_default
from components.settings.https import AUTO, OFF
from tests import mocks
from tests.mocks import AWS, DIGITALOCEAN, SITE, Recorder, build_fleet, is_secret
from tests.stack_settings import make_settings

ARCHIVE = {"files": {"accounts/a": "the account's key"}, "links": {}}
COMMANDS = "urn:pulumi:prod::gantry::gantry:release:Rollout$command:remote:Command"
TARGETS: list[dict[str, Any]] = [{"domain": "app.test"}, AWS, {**AWS, **SITE}, DIGITALOCEAN, {**DIGITALOCEAN, **SITE}]
IDS = ["local", "aws", "aws-zone", "digitalocean", "digitalocean-zone"]


def printed(*, https: bool = True, stale: float = 0.0, archive: object = ARCHIVE) -> str:
    """What `gantry certificate` prints."""
    return json.dumps({"https": https, "names": [], "stale": stale, "archive": archive, "problem": "", "missing": {}})


def build(
    folder: Path, target: dict[str, Any], *, state: dict[str, dict[str, Any]] | None = None, **changes: Any
) -> Recorder:
    return build_fleet(folder, make_settings(**{**target, "tls": AUTO, **changes}), state=state)


def state_of(stack: Recorder, *, stdout: str, kept: object = None, instance_id: str = "") -> dict[str, dict[str, Any]]:
    """The state after an earlier `up` with the inputs of ``stack``. ``kept`` is what its server was given."""
    state = dict[str, dict[str, Any]]()
    for name in ("prod-0-certificate", "prod-0-kept-certificate"):
        inputs = stack.one(":Command", name).inputs
        triggers = [instance_id] if instance_id else inputs["triggers"]
        stdin = json.dumps(kept) if "kept" in name else plain(inputs["stdin"])
        state[f"{COMMANDS}::{name}"] = {"outputs": {"triggers": triggers, "stdin": stdin, "stdout": stdout}}
    return state


def plain(value: Any) -> str:
    return str(value["value"] if is_secret(value) else value)


def restored(stack: Recorder) -> object:
    """The archive that the server is given."""
    return json.loads(plain(stack.one(":Command", "prod-0-kept-certificate").inputs["stdin"]))


def run_number(stack: Recorder) -> int:
    return int(json.loads(plain(stack.one(":Command", "prod-0-certificate").inputs["stdin"]))["run"])


@pytest.mark.parametrize("target", TARGETS, ids=IDS)
def test_the_kept_certificate_comes_after_the_configuration_and_before_the_release(
    target: dict[str, Any], tmp_path: Path
):
    stack = build(tmp_path, target)
    kept = stack.one(":Command", "prod-0-kept-certificate")
    assert "prod-0-configure" in kept.dependency_names
    assert "prod-0-kept-certificate" in stack.one(":Command", "prod-0-release").dependency_names
    assert kept.inputs["create"] == "sudo gantry restore-certificate"


@pytest.mark.parametrize("target", TARGETS, ids=IDS)
def test_the_request_comes_last_when_the_names_lead_to_the_server(target: dict[str, Any], tmp_path: Path):
    stack = build(tmp_path, target)
    request = stack.one(":Command", "prod-0-certificate")
    assert "prod-0-release" in request.dependency_names
    moved = [resource for end in (":EipAssociation", ":ReservedIpAssignment") for resource in stack.of_type(end)]
    moved += [*stack.of_type(":Record"), *stack.of_type(":DnsRecord")]
    assert {resource.name for resource in moved} <= request.dependency_names
    assert len(moved) == (0 if "target" not in target else 3 if "zone" in target else 1)


@pytest.mark.parametrize("target", TARGETS, ids=IDS)
def test_people_run_both_commands_as_admin_and_secrets_stay_secret(target: dict[str, Any], tmp_path: Path):
    stack = build(tmp_path, target)
    kept, request = (stack.one(":Command", f"prod-0-{role}") for role in ("kept-certificate", "certificate"))
    assert is_secret(kept.inputs["stdin"])
    assert "stdout" in request.request.additionalSecretOutputs
    for command in (kept, request):
        # Standard output of the request has the key, and `up` would show it.
        assert command.inputs["logging"] == "stderr"
        assert command.inputs["connection"]["value"]["user"] == "admin"
        assert command.inputs["triggers"] == [stack.output["servers"][0]["instance_id"]]


def test_the_names_are_those_of_the_settings_or_the_address_of_visitors(tmp_path: Path):
    named = build(tmp_path, DIGITALOCEAN, domain="example.org", aliases={"b.test": "serve", "a.test": "redirect"})
    command = named.one(":Command", "prod-0-certificate")
    assert command.inputs["create"] == "sudo gantry certificate example.org www.example.org a.test b.test"
    plain_stack = build(tmp_path, DIGITALOCEAN)
    command = plain_stack.one(":Command", "prod-0-certificate")
    address = plain_stack.one(":ReservedIpAssignment").inputs["ipAddress"]
    assert command.inputs["create"] == f"sudo gantry certificate {address}"
    assert json.loads(command.inputs["stdin"])["address"] == address


def test_the_authority_and_its_root_are_those_of_the_settings(tmp_path: Path):
    directory = "https://ca.test/dir"
    stack = build(tmp_path, {"domain": "app.test"}, acme_directory=directory, acme_root="PEM")
    document = json.loads(stack.one(":Command", "prod-0-certificate").inputs["stdin"])
    assert (document["directory"], document["root"]) == (directory, "PEM")


@pytest.mark.parametrize("target", TARGETS, ids=IDS)
def test_without_https_there_are_no_commands_and_nothing_of_the_site_changes(target: dict[str, Any], tmp_path: Path):
    off, auto = build(tmp_path, target, tls=OFF), build(tmp_path, target)
    added = {"prod-0-certificate", "prod-0-kept-certificate"}
    assert set(auto.custom_names()) - set(off.custom_names()) == added
    assert set(off.custom_names()) <= set(auto.custom_names())
    assert off.output["url"].startswith("http://")
    # The units of the timer are there, and do nothing.
    assert "include /etc/gantry/https.conf" not in off.one(":Command", "prod-0-configure").inputs["stdin"]
    assert "include /etc/gantry/https.conf" in auto.one(":Command", "prod-0-configure").inputs["stdin"]


def prints(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What the request prints in the next `up`."""
    usual: Callable[[str], str] = mocks.stdout_of
    monkeypatch.setattr(mocks, "stdout_of", lambda name: text if name == "prod-0-certificate" else usual(name))


@pytest.mark.parametrize(
    ("target", "url"),
    [
        (AWS, f"https://{mocks.ELASTIC_IP}/"),
        ({**AWS, **SITE}, "https://shop.example.org/"),
        # The certificate of a domain isn't valid for the address.
        ({**AWS, "domain": "shop.example.org"}, "https://shop.example.org/"),
        ({**DIGITALOCEAN, **SITE}, "https://shop.example.org/"),
    ],
)
def test_the_url_has_https_once_that_works(
    target: dict[str, Any], url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    prints(monkeypatch, printed(https=False))
    assert build(tmp_path, target).output["url"].startswith("http://")
    prints(monkeypatch, printed(https=True))
    assert build(tmp_path, target).output["url"] == url


def test_a_server_keeps_its_input_and_a_new_one_gets_the_newest_certificate(tmp_path: Path):
    first = build(tmp_path, DIGITALOCEAN)
    assert restored(first) is None
    same = build(tmp_path, DIGITALOCEAN, state=state_of(first, stdout=printed(), kept={"old": 1}))
    assert restored(same) == {"old": 1}
    none = build(tmp_path, DIGITALOCEAN, state=state_of(first, stdout=printed(), kept=None))
    assert restored(none) is None
    replaced = build(
        tmp_path, DIGITALOCEAN, state=state_of(first, stdout=printed(), kept={"old": 1}, instance_id="another")
    )
    assert restored(replaced) == ARCHIVE


@pytest.mark.parametrize(
    "stdout", ["", "an error\n", "[]", "null", "7", '{"stale": "x"}', '{"https": true}', printed(archive=None)]
)
def test_an_output_without_a_certificate_gives_a_new_server_none(stdout: str, tmp_path: Path):
    first = build(tmp_path, DIGITALOCEAN)
    stack = build(tmp_path, DIGITALOCEAN, state=state_of(first, stdout=stdout, instance_id="another"))
    assert restored(stack) is None
    assert run_number(stack) == run_number(first) + 1


@pytest.mark.parametrize(("seconds", "added"), [(3600, 0), (1, 0), (0, 1), (-1, 1), (-1e9, 1)])
def test_the_server_is_asked_again_exactly_when_the_report_is_out_of_date(
    seconds: float, added: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    first = build(tmp_path, DIGITALOCEAN)
    again = build(tmp_path, DIGITALOCEAN, state=state_of(first, stdout=printed(stale=now + seconds)))
    assert run_number(again) == run_number(first) + added
    stdin = [plain(stack.one(":Command", "prod-0-certificate").inputs["stdin"]) for stack in (first, again)]
    assert (stdin[0] == stdin[1]) == (added == 0)


@pytest.mark.parametrize("stdin", ["", "null", "{}", '{"run": "x"}', "not JSON"])
def test_an_earlier_input_that_cant_be_read_counts_as_none(stdin: str, tmp_path: Path):
    state = {f"{COMMANDS}::prod-0-certificate": {"outputs": {"stdin": stdin, "stdout": printed()}}}
    assert run_number(build(tmp_path, DIGITALOCEAN, state=state)) == 1


@pulumi.runtime.test
def test_a_preview_knows_neither_the_server_nor_its_address_and_still_works():
    unknown = future(UNKNOWN), future(False), future(False)
    address: pulumi.Output[str] = pulumi.Output(set(), *unknown)
    commands = Certificate("prod-0", make_settings(**DIGITALOCEAN, tls=AUTO), [])
    kept, request = commands.before_release(address), commands.request(address)
    outputs = [pulumi.Output.from_input(value) for value in (kept.stdin, request.text, request.stdin)]

    async def check() -> None:
        for output in outputs:
            assert not await output.is_known()
        assert await outputs[0].is_secret()

    return pulumi.Output.from_input(check())


def future(value: Any) -> asyncio.Future[Any]:
    result = asyncio.get_event_loop().create_future()
    result.set_result(value)
    return result


def test_texts_of_another_kind_are_an_empty_report():
    for text in ("", "prod-0-certificate has run\n", "[1]", '{"stale": null, "https": 1, "archive": 1}'):
        assert report(text) == report("")
    assert not report("").https


def command_state(*names: str) -> list[Resource]:
    return [Resource(urn=f"{COMMANDS}::{name}", outputs={}) for name in names]


SERVER = Resource(
    urn="urn:pulumi:prod::gantry::gantry:aws:Server$aws:ec2/instance:Instance::prod-0", outputs={"id": "i"}
)


def test_a_new_cloud_server_gets_https_and_an_existing_one_stays_as_it_is():
    settings = make_settings(**AWS)
    assert with_default(settings, []).tls == AUTO
    assert with_default(settings, [SERVER, *command_state("prod-0-release")]).tls is None
    assert with_default(settings, [SERVER, *command_state("prod-0-release", "prod-0-certificate")]).tls == AUTO


def test_a_stack_whose_first_up_has_failed_is_still_a_new_one():
    settings = make_settings(**AWS)
    assert with_default(settings, [SERVER]).tls == AUTO
    assert with_default(settings, [SERVER, *command_state("prod-0-ready", "prod-0-configure")]).tls == AUTO


@pytest.mark.parametrize("changes", [{**AWS, "tls": OFF}, {}, {**AWS, "balancer": True}])
def test_a_choice_a_machine_on_this_computer_and_a_balancer_keep_their_setting(changes: dict[str, Any]):
    settings = make_settings(**changes)
    assert with_default(settings, []) == settings
