"""Values of env without quotes in Pulumi.<stack>.yaml."""

from __future__ import annotations

from pathlib import Path

import pulumi
import pytest

from components.settings.reader import SettingsError
from components.settings.stack_file import changed
from tests.stack_settings import read


def changed_value(folder: Path, typed: str, value: object, key: str = "shop:env") -> bool:
    file = folder / "Pulumi.dev.yaml"
    file.write_text(f"config:\n  shop:app: x\n  {key}:\n    # numbers\n    OTHER: 1\n    VALUE: {typed}\n  shop:x: 1\n")
    return list(changed(file, "shop", {"OTHER": 1, "VALUE": value})) == ["VALUE"]


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("007", 7),
        ("010", 8),
        ("0x10", 16),
        ("0o17", 15),
        ("1_000", 1000),
        ("+49", 49),
        ("-07", -7),
        ("True", True),
        ("FALSE # really", False),
        ("2024-01-01", "2024-01-01 00:00:00 +0000 UTC"),
        ("2024-01-01 00:00:00 +0000 UTC", "2024-01-01 00:00:00 +0000 UTC"),
    ],
)
def test_a_value_that_yaml_turned_into_another_is_found(tmp_path: Path, typed: str, value: object):
    assert changed_value(tmp_path, typed, value)


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("7", 7),
        ("-7", -7),
        ("true", True),
        ("'007'", "007"),
        ('"True"', "True"),
        ("yes", "yes"),
        ("'2024-01-01 00:00:00 +0000 UTC'", "2024-01-01 00:00:00 +0000 UTC"),
        # The values of another file, such as one that --config-file names.
        ("8080", 9090),
        ("true", False),
    ],
)
def test_other_values_are_as_typed(tmp_path: Path, typed: str, value: object):
    assert not changed_value(tmp_path, typed, value)


def test_the_setting_may_be_written_without_the_projects_name(tmp_path: Path):
    assert changed_value(tmp_path, "007", 7, "env")
    assert not changed_value(tmp_path, "007", 7, "other:env")


def test_without_the_file_nothing_is_known(tmp_path: Path):
    assert list(changed(tmp_path / "none.yaml", "shop", {"A": 7})) == []


def test_the_error_names_the_file_and_doesnt_show_the_value(tmp_path: Path):
    (tmp_path / "app").mkdir()
    file = tmp_path / f"Pulumi.{pulumi.get_stack()}.yaml"
    file.write_text("config:\n  gantry:env:\n    PIN: 0042\n")
    with pytest.raises(SettingsError) as error:
        read(tmp_path, app="app", env={"PIN": 34})
    assert "env.PIN: without quotes" in str(error.value)
    assert f"put it in quotes in {file.name}" in str(error.value)
    assert "42" not in str(error.value)
