from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.local.settings import LocalSettings
from components.settings.common import MAX_SERVERS
from components.settings.declaration import default_text
from components.settings.reader import all_declarations
from components.targets import TARGETS
from tests.stack_settings import make_settings, mistakes, read, read_for_target
from tools.settings import page, schema

ROOT = Path(__file__).resolve().parents[2]
REGIONS = {"aws": "eu-central-1", "digitalocean": "fra1"}


def test_without_any_setting_the_example_app_runs_on_this_computer(root: Path):
    settings = read(root)
    assert (settings.target, settings.app) == ("local", root / "examples/rocket")
    assert (settings.domain, settings.health_path, settings.release) == (None, "/", None)
    assert (settings.workers, settings.threads) == (None, 4)
    assert (settings.health_status, settings.health_timeout, settings.watch) == (None, 30, 10)
    assert read_for_target(root, LocalSettings).network is None


def test_an_empty_text_and_zero_workers_mean_the_default(root: Path):
    settings = read(root, domain="", workers="0")
    assert (settings.domain, settings.workers) == (None, None)
    assert read_for_target(root, LocalSettings, network="").network is None


def test_a_health_status_is_a_number_or_the_words_of_the_default(root: Path):
    assert read(root, healthStatus="204").health_status == 204
    assert read(root, healthStatus="2xx or 3xx").health_status is None


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("target", "azure", "must be one of: local"),
        ("app", "nowhere", "there is no folder"),
        ("release", "-rf", "branch, tag or commit"),
        ("release", "main:app", "branch, tag or commit"),
        ("domain", "www.example.org", r"bare domain (example.org)"),
        ("domain", "Example.org", "lower case"),
        ("domain", "localhost", "must be a domain"),
        ("domain", "example.org; }", "must be a domain"),
        ("healthPath", "healthz", "starts with /"),
        ("healthPath", "/a b", "no spaces"),
        ("healthStatus", "1xx", "one status, such as 204"),
        ("healthStatus", "900", "one status, such as 204"),
        ("healthTimeout", "0", "whole number from 1 to 600"),
        ("healthInterval", "0.01", "a number from 0.1 to 60"),
        ("healthInterval", "61", "a number from 0.1 to 60"),
        ("healthInterval", "often", "a number from 0.1 to 60"),
        ("watch", "-1", "whole number from 0 to 600"),
        ("workers", "many", "whole number from 0 to 64"),
        ("threads", "0", "whole number from 1 to 64"),
        ("servers", "0", "whole number from 1 to 120"),
        ("servers", "121", "whole number from 1 to 120"),
        ("batch", "121", "whole number from 0 to 120"),
        ("network", "8.8.8.0/24", "a part of 10.0.0.0/8"),
        ("network", "127.0.0.0/24", "a part of 10.0.0.0/8"),
        ("network", "10.77.5.1/24", "host bits set"),
        ("network", "10.0.0.0/30", "at least /28"),
    ],
)
def test_the_error_for_a_wrong_value_has_key_value_rule_and_remedy(root: Path, key: str, value: str, rule: str):
    text = mistakes(root, **{key: value})
    assert f"{key} is {value!r}" in text
    assert rule in text
    assert f"pulumi config set {key}" in text


@pytest.mark.parametrize("target", TARGETS)
def test_fifty_or_more_servers_need_one_setting(root: Path, target: str):
    target_settings: dict[str, Any] = {"network": "10.77.5.0/24"}
    if target in REGIONS:
        target_settings = {"region": REGIONS[target], "sshFrom": ["203.0.113.7/32"]}
    for servers in (50, MAX_SERVERS):
        settings = read(root, target=target, servers=servers, batch=servers, **target_settings)
        assert (settings.servers, settings.batch, settings.balancer) == (servers, servers, True)


@pytest.mark.parametrize(
    ("target", "network", "capacity"),
    [
        ("local", "10.77.5.0/28", 5),
        ("local", "10.77.5.0/24", 125),
        ("aws", "10.77.5.0/25", 18),
        ("aws", "10.77.5.0/27", 2),
    ],
)
def test_a_network_must_have_room_to_replace_all_servers_at_once(target: str, network: str, capacity: int):
    def conflicts(servers: int, network: str | None) -> list[str]:
        settings = make_settings(target=target, network=network, servers=servers)
        return [line for keys, line in settings.target_settings.conflicts(settings) if keys[0] == "servers"]

    assert conflicts(capacity, network) == []
    [mistake] = conflicts(capacity + 1, network)
    assert f"servers is {capacity + 1}, but network {network} has room for {capacity} " in mistake
    assert conflicts(capacity + 1, None) == []


def test_a_network_that_is_too_small_is_one_of_the_mistakes(root: Path):
    text = mistakes(root, servers="6", network="10.77.5.0/28")
    assert "servers is 6, but network 10.77.5.0/28 has room for 5" in text


def test_all_mistakes_come_at_once(root: Path):
    text = mistakes(root, target="azure", domain="www.example.org", threads="-1")
    assert [line.split()[1] for line in text.splitlines()[1:]] == ["target", "domain", "threads"]


def test_the_interval_of_health_checks_is_in_seconds_and_0_means_automatic(root: Path):
    assert [read(root, healthInterval=value).health_interval for value in (0, "0.5", 60)] == [None, 0.5, 60.0]


def test_the_error_for_an_unknown_key_suggests_a_similar_one(root: Path):
    assert "healtPath is no setting (did you mean healthPath?)" in mistakes(root, healtPath="/")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("domain", "hunter2"),
        ("domain", "www.hunter2.org"),
        ("app", "hunter2"),
        ("network", "hunter2"),
        ("threads", "hunter2"),
    ],
)
def test_no_error_shows_the_value_of_a_secret_setting(root: Path, key: str, value: str):
    text = mistakes(root, secret=[key], **{key: value})
    assert "hunter2" not in text
    assert f"{key} is [secret]" in text


def test_variables_keep_their_text_and_scalars_become_text(root: Path):
    settings = read(root, env={"A": 'x"$\n', "B": 3, "C": True})
    assert settings.env == {"A": 'x"$\n', "B": "3", "C": "true"}


def test_the_error_for_a_wrong_name_of_a_variable_doesnt_show_its_value(root: Path):
    text = mistakes(root, env={"MY-KEY": "hunter2"})
    assert "env.MY-KEY" in text
    assert "hunter2" not in text


def test_the_error_for_variables_that_are_no_map_doesnt_show_them(root: Path):
    text = mistakes(root, env='"hunter2"')
    assert "env must be a map" in text
    assert "hunter2" not in text


def test_the_schema_in_the_project_file_and_the_settings_page_match_the_declarations():
    project = (ROOT / "Pulumi.yaml").read_text()
    assert schema.project_file(project) == project, "write it with: python -m tools.settings"
    assert page.settings_page() == (ROOT / "docs/settings.md").read_text(), "write it with: python -m tools.settings"


def test_every_setting_has_a_type_a_default_and_a_help_in_the_project_file():
    config = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert set(config) == set(all_declarations())
    for key, entry in config.items():
        # The engine would refuse a word or a map.
        assert key == "tls" or entry["type"] in {"string", "integer", "boolean", "object", "array"}, key
        assert entry["description"].endswith((".", ")")), key
        assert "default" in entry, f"{key}: without a default, Pulumi asks for a value"


@pytest.mark.parametrize("key", all_declarations())
def test_the_example_and_the_default_of_every_setting_follow_its_rule(key: str):
    for declaration in all_declarations()[key].values():
        example = default_text(declaration.example)
        value, mistakes = declaration.read(example)
        assert not mistakes and value != declaration.default_value, key
        if not declaration.required:
            assert declaration.read("") == (declaration.default_value, []), key


def test_targets_with_the_same_setting_agree_on_its_type():
    for key, by_owner in all_declarations().items():
        assert len({declaration.validator.type for declaration in by_owner.values()}) == 1, key


def test_the_variables_are_not_in_the_representation_of_the_settings():
    assert "hunter2" not in repr(make_settings(env={"TOKEN": "hunter2"}))


def test_a_broken_value_is_not_also_reported_as_a_conflict(root: Path):
    text = mistakes(
        root,
        target="aws",
        region="eu-central-1",
        sshFrom=["203.0.113.7/32"],
        domain="www.example.org",
        zone="example.org",
    )
    assert [line.split()[1] for line in text.splitlines()[1:]] == ["domain"]
    assert "bare domain" in text


def test_values_that_no_target_takes_are_reported_even_if_the_target_is_unknown(root: Path):
    text = mistakes(root, target="azure", network="10.0.0.0/29", sshFrom=["0.0.0.0/0"], region="fra1")
    assert [line.split()[1] for line in text.splitlines()[1:]] == ["target", "network", "sshFrom[0]"]
