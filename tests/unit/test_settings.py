from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pulumi
import pytest
import yaml

from components import settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "examples/rocket").mkdir(parents=True)
    return tmp_path


@pytest.fixture(autouse=True)
def no_config_left() -> Iterator[None]:
    yield
    pulumi.runtime.set_all_config({}, [])


def read(root: Path, secret: list[str] | None = None, **given: object) -> settings.Settings:
    config = {f"gantry:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}
    pulumi.runtime.set_all_config(config, [f"gantry:{key}" for key in secret or []])
    return settings.read(root, pulumi.Config("gantry"))


def mistakes(root: Path, secret: list[str] | None = None, **given: object) -> str:
    with pytest.raises(settings.SettingsError) as caught:
        read(root, secret, **given)
    return str(caught.value)


def test_without_any_setting_the_example_app_goes_to_this_computer(root: Path):
    found = read(root)
    assert (found.target, found.app, found.domain, found.health_path) == ("local", root / "examples/rocket", None, "/")
    assert (found.workers, found.threads, found.network) == (None, 4, None)


def test_an_empty_string_and_zero_workers_mean_the_default(root: Path):
    found = read(root, domain="", network="", workers="0")
    assert (found.domain, found.network, found.workers) == (None, None, None)


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("target", "azure", "must be one of: local"),
        ("app", "nowhere", "there is no folder"),
        ("domain", "www.example.org", r"bare domain (example.org)"),
        ("domain", "Example.org", "lower case"),
        ("domain", "localhost", "must be a domain"),
        ("domain", "example.org; }", "must be a domain"),
        ("healthPath", "healthz", "starts with /"),
        ("healthPath", "/a b", "no spaces"),
        ("workers", "many", "whole number from 0 to 64"),
        ("threads", "0", "whole number from 1 to 64"),
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


def test_all_mistakes_come_at_once(root: Path):
    text = mistakes(root, target="azure", domain="www.example.org", threads="-1")
    assert [line.split()[1] for line in text.splitlines()[1:]] == ["target", "domain", "threads"]


def test_an_unknown_key_suggests_the_one_that_was_meant(root: Path):
    assert "healtPath is no setting (did you mean healthPath?)" in mistakes(root, healtPath="/")


def test_the_value_of_a_secret_is_never_shown(root: Path):
    text = mistakes(root, secret=["domain"], domain="hunter2")
    assert "hunter2" not in text
    assert "domain is [secret]" in text


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


def test_every_setting_has_its_type_and_help_in_the_project_file_and_no_other_has():
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert set(declared) == settings.KEYS
    for key, schema in declared.items():
        assert schema["type"] in {"string", "integer", "boolean", "object"}, key
        assert schema["description"].endswith((".", ")")), key
        assert "default" in schema, f"{key}: without a default, Pulumi asks for a value"


def test_the_readme_lists_every_setting_with_the_project_files_own_words():
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    readme = (ROOT / "README.md").read_text()
    for key, schema in declared.items():
        assert f"| `{key}` | {schema['description']} |" in readme, key
