from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from components.app.source import Source
from components.settings.common import MAX_SERVERS
from components.settings.declaration import default_text
from components.settings.reader import all_declarations
from components.targets import TARGETS
from host.cron import Entry
from tests.stack_settings import mistakes, read, settings
from tools.settings import page, schema

ROOT = Path(__file__).resolve().parents[2]
REGIONS = {"aws": "eu-central-1", "digitalocean": "fra1"}


def test_without_any_setting_the_example_app_goes_to_this_computer(root: Path):
    found = read(root)
    assert (found.target, found.app, found.domain, found.health_path) == ("local", root / "examples/rocket", None, "/")
    assert (found.workers, found.threads, found.of_target.network, found.release) == (None, 4, None, None)
    assert (found.health_status, found.health_timeout, found.watch) == (None, 30, 10)


def test_an_empty_string_and_zero_workers_mean_the_default(root: Path):
    found = read(root, domain="", network="", workers="0")
    assert (found.domain, found.of_target.network, found.workers) == (None, None, None)


def test_a_health_status_is_one_number_or_the_default_in_words(root: Path):
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
def test_a_value_that_cannot_work_is_named_with_its_rule_and_remedy(root: Path, key: str, value: str, rule: str):
    text = mistakes(root, None, **{key: value})
    assert f"{key} is {value!r}" in text
    assert rule in text
    assert f"pulumi config set {key}" in text


@pytest.mark.parametrize("target", TARGETS)
def test_fifty_servers_and_more_are_a_matter_of_one_setting(root: Path, target: str):
    cloud = {"region": REGIONS[target], "sshFrom": ["203.0.113.7/32"]} if target in REGIONS else {}
    for servers in (50, MAX_SERVERS):
        found = read(
            root, target=target, servers=servers, batch=servers, network="10.77.5.0/24" if not cloud else "", **cloud
        )
        assert (found.servers, found.batch, found.balancer) == (servers, servers, True)


@pytest.mark.parametrize(
    ("target", "network", "most"),
    [
        ("local", "10.77.5.0/28", 5),
        ("local", "10.77.5.0/24", 125),
        ("aws", "10.77.5.0/25", 18),
        ("aws", "10.77.5.0/27", 2),
    ],
)
def test_a_network_has_room_for_servers_that_are_all_replaced_at_once(target: str, network: str, most: int):
    def conflicts(servers: int, network: str | None) -> list[str]:
        stack_settings = settings(target=target, network=network, servers=servers)
        return [line for key, line in stack_settings.of_target.conflicts(stack_settings) if key == "servers"]

    assert conflicts(most, network) == []
    [mistake] = conflicts(most + 1, network)
    assert f"servers is {most + 1}, but network {network} has room for {most} " in mistake
    assert conflicts(most + 1, None) == []


def test_a_network_that_is_too_small_is_told_before_anything_is_touched(root: Path):
    assert "servers is 6, but network 10.77.5.0/28 has room for 5" in mistakes(
        root, servers="6", network="10.77.5.0/28"
    )


def test_all_mistakes_come_at_once(root: Path):
    text = mistakes(root, target="azure", domain="www.example.org", threads="-1")
    assert [line.split()[1] for line in text.splitlines()[1:]] == ["target", "domain", "threads"]


def test_the_interval_of_questions_is_left_open_or_given_in_seconds(root: Path):
    assert [read(root, healthInterval=each).health_interval for each in (0, "0.5", 60)] == [None, 0.5, 60.0]


def test_an_unknown_key_suggests_the_one_that_was_meant(root: Path):
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
def test_the_value_of_a_secret_is_never_shown_not_even_in_the_words_of_its_rule(root: Path, key: str, value: str):
    text = mistakes(root, secret=[key], **{key: value})
    assert "hunter2" not in text
    assert f"{key} is [secret]" in text


@pytest.fixture
def with_worker(root: Path) -> Path:
    (root / "examples/rocket/Procfile").write_text("web: gunicorn a:b\nrelease: a\nworker: python worker.py\n")
    return root


def test_processes_are_counts_and_cron_is_a_list_of_entries(with_worker: Path):
    found = read(with_worker, processes={"worker": 2}, cron=[{"schedule": "@daily", "command": "a b"}], stopTimeout=5)
    assert found.processes == {"worker": 2}
    assert found.cron == (Entry("@daily", "a b"),)
    assert (found.release_timeout, found.stop_timeout) == (600, 5)


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ([], "processes must be a map"),
        ({"web": 2}, "the setting workers"),
        ({"release": 1}, "processes.release counts a process that the app doesn't have"),
        ({"wroker": 1}, "its Procfile has only worker"),
        ({"worker": -1}, "processes.worker is -1, but must be a whole number from 0 to 64"),
        ({"worker": True}, "must be a whole number from 0 to 64"),
        ({"worker": 65}, "must be a whole number from 0 to 64"),
    ],
)
def test_a_count_that_cannot_work_is_named_with_its_rule(with_worker: Path, given: object, rule: str):
    assert rule in mistakes(with_worker, processes=given)


def test_counts_are_for_the_processes_of_the_pinned_revision_not_of_the_folder(
    with_worker: Path, monkeypatch: pytest.MonkeyPatch
):
    pinned = {"v1": "web: gunicorn a:b\nclock: a\n", "v9": None, "3f2a91c0ffee": None}
    monkeypatch.setattr(Source, "procfile", lambda source: pinned[source.setting])
    assert read(with_worker, release="v1", processes={"clock": 2}).processes == {"clock": 2}
    assert "its Procfile has only clock" in mistakes(with_worker, release="v1", processes={"worker": 2})
    for unknown in ("v9", "3f2a91c0ffee"):
        assert read(with_worker, release=unknown, processes={"clock": 2}).processes == {"clock": 2}


def test_every_mistake_in_processes_and_cron_comes_at_once(with_worker: Path):
    entries = [{"schedule": "daily", "command": "a"}, {"command": "a"}, {"schedule": "@daily", "command": "a && b"}]
    text = mistakes(with_worker, processes={"web": 1, "clock": 1}, cron=entries)
    assert [line.split()[1].rstrip(":") for line in text.splitlines()[1:]] == [
        "processes.web", "processes.clock", "cron[0]", "cron[1]", "cron[2]",
    ]  # fmt: skip
    assert "cron must be a list" in mistakes(with_worker, cron={"schedule": "@daily"})


def test_cron_must_not_be_secret_because_commands_are_shown(root: Path):
    text = mistakes(root, secret=["cron"], cron=[{"schedule": "@daily", "command": "login hunter2"}])
    assert "hunter2" not in text
    assert "put secrets into env" in text


def test_variables_keep_their_text_and_scalars_become_text(root: Path):
    found = read(root, env={"A": 'x"$\n', "B": 3, "C": True})
    assert found.env == {"A": 'x"$\n', "B": "3", "C": "true"}


def test_a_variable_with_a_bad_name_is_refused_without_its_value(root: Path):
    text = mistakes(root, env={"MY-KEY": "hunter2"})
    assert "env.MY-KEY" in text
    assert "hunter2" not in text


def test_variables_that_are_no_map_are_refused_without_their_value(root: Path):
    text = mistakes(root, env='"hunter2"')
    assert "env must be a map" in text
    assert "hunter2" not in text


def test_the_schema_in_the_project_file_and_the_settings_page_are_those_of_the_declarations():
    project = (ROOT / "Pulumi.yaml").read_text()
    assert schema.project_file(project) == project, "write it anew with: python -m tools.settings"
    assert page.settings_page() == (ROOT / "docs/settings.md").read_text(), "write it with: python -m tools.settings"


def test_every_setting_has_a_type_a_default_and_a_help_in_the_project_file():
    config = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert set(config) == set(all_declarations())
    for key, entry in config.items():
        assert entry["type"] in {"string", "integer", "boolean", "object", "array"}, key
        assert entry["description"].endswith((".", ")")), key
        assert "default" in entry, f"{key}: without a default, Pulumi asks for a value"


@pytest.mark.parametrize("key", all_declarations())
def test_the_example_and_the_default_of_every_setting_keep_its_rule(key: str):
    for declaration in all_declarations()[key].values():
        example = default_text(declaration.example)
        value, mistakes = declaration.read(example)
        assert not mistakes and value != declaration.default_value, key
        if not declaration.required:
            assert declaration.read("") == (declaration.default_value, []), key


def test_targets_that_know_a_setting_agree_on_its_type():
    for key, by_owner in all_declarations().items():
        assert len({declaration.validator.type for declaration in by_owner.values()}) == 1, key
