from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.plugin.client import (
    COPY,
    LOCAL,
    REMOTE,
    SIGNATURE,
    UNKNOWN,
    Plugin,
    archive,
    asset,
    is_unknown,
    secret,
    text_asset,
    with_all_members,
)

DEFAULTS = {"user": "root", "port": 22, "dialErrorLimit": 10, "perDialTimeout": 15}


def test_a_connection_gets_its_defaults_and_becomes_secret(plugin: Plugin) -> None:
    inputs, failures = plugin.check(REMOTE, {"create": "true", "connection": {"host": "h"}})
    assert not failures
    assert inputs == {"create": "true", "connection": secret({"host": "h", **DEFAULTS})}


def test_a_secret_connection_is_not_wrapped_twice(plugin: Plugin) -> None:
    inputs, _ = plugin.check(REMOTE, {"connection": secret({"host": "h"})})
    assert inputs["connection"] == secret({"host": "h", **DEFAULTS})


def test_keys_and_passwords_are_secret_also_inside_a_secret_connection(plugin: Plugin) -> None:
    settings = {"host": "h", "password": "p", "privateKey": secret("k"), "privateKeyPassword": UNKNOWN}
    inputs, failures = plugin.check(
        REMOTE, {"connection": secret({**settings, "proxy": {"host": "p", "password": "q"}})}
    )
    assert not failures
    connection = inputs["connection"]["value"]
    assert (connection["password"], connection["privateKey"]) == (secret("p"), secret("k"))
    assert is_unknown(connection["privateKeyPassword"])
    assert connection["proxy"]["password"] == secret("q")


def test_settings_of_a_connection_replace_the_defaults(plugin: Plugin) -> None:
    settings = {"host": "h", "user": "u", "port": 1, "dialErrorLimit": -1, "perDialTimeout": 0, "hostKey": "k"}
    inputs, _ = plugin.check(REMOTE, {"connection": settings})
    assert inputs["connection"] == secret(settings)


def test_a_proxy_gets_the_same_defaults(plugin: Plugin) -> None:
    inputs, _ = plugin.check(REMOTE, {"connection": {"host": "h", "proxy": {"host": "p"}}})
    assert inputs["connection"]["value"]["proxy"] == {"host": "p", **DEFAULTS}


def test_an_unknown_host_stays_unknown(plugin: Plugin) -> None:
    inputs, failures = plugin.check(REMOTE, {"connection": secret({"host": UNKNOWN})})
    assert not failures
    assert inputs["connection"]["value"]["host"] == UNKNOWN


def test_an_unknown_connection_is_accepted(plugin: Plugin) -> None:
    _, failures = plugin.check(REMOTE, {"connection": UNKNOWN})
    assert not failures


def test_the_inputs_of_a_local_command_are_not_changed(plugin: Plugin) -> None:
    inputs: dict[str, Any] = {
        "create": "c",
        "update": "u",
        "delete": "d",
        "dir": "/",
        "interpreter": ["/bin/sh", "-c"],
        "environment": {"A": secret("a")},
        "stdin": secret("s"),
        "logging": "none",
        "triggers": ["a", 1, {"b": True}, UNKNOWN],
        "assetPaths": ["*"],
        "archivePaths": ["*"],
        "addPreviousOutputInEnv": False,
    }
    assert plugin.check(LOCAL, inputs) == (inputs, {})


def test_inputs_and_variables_without_a_value_are_left_out(plugin: Plugin) -> None:
    inputs = {"create": "c", "stdin": None, "triggers": None, "environment": {"A": None, "B": "b"}}
    assert plugin.check(LOCAL, inputs) == ({"create": "c", "environment": {"B": "b"}}, {})
    connection = {"host": "h", "user": None, "hostKey": None}
    assert plugin.check(REMOTE, {"connection": connection})[0]["connection"] == secret({"host": "h", **DEFAULTS})


def test_limits_of_a_connection_lose_their_fractions(plugin: Plugin) -> None:
    connection = {"host": "h", "dialErrorLimit": 1.5, "perDialTimeout": 2.5}
    checked = plugin.check(REMOTE, {"connection": connection})[0]["connection"]["value"]
    assert (checked["dialErrorLimit"], checked["perDialTimeout"]) == (1, 2)


def test_a_missing_connection_is_a_failure(plugin: Plugin) -> None:
    _, failures = plugin.check(REMOTE, {"create": "true"})
    assert list(failures) == ["connection"]


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        (LOCAL, {"create": 1}),
        (LOCAL, {"create": "true", "environment": {"A": ["list"]}}),
        (LOCAL, {"create": "true", "interpreter": "sh"}),
        (LOCAL, {"create": "true", "colour": "red"}),
        (REMOTE, {"connection": {"host": "h", "port": "ssh"}}),
        (REMOTE, {"connection": {"host": "h", "bastion": "b"}}),
        (REMOTE, {"connection": {"user": "root"}}),
    ],
)
def test_an_input_of_another_type_or_name_is_a_failure(plugin: Plugin, kind: str, inputs: dict[str, Any]) -> None:
    _, failures = plugin.check(kind, inputs)
    assert failures


def test_a_failure_inside_a_connection_names_a_path_so_that_the_engine_prints_no_key(
    offline_plugin_only: None, plugin: Plugin
) -> None:
    _, failures = plugin.check(REMOTE, {"connection": secret({"host": "h", "privateKey": "KEY", "ports": 1})})
    assert list(failures) == ["connection.ports"]
    assert "KEY" not in str(failures)


def _copy_failures(plugin: Plugin, source: Any) -> dict[str, str]:
    _, failures = plugin.check(COPY, {"connection": {"host": "h"}, "source": source, "remotePath": "/x"})
    return failures


def test_files_folders_and_texts_can_be_copied(plugin: Plugin, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for source in (asset(tmp_path / "file"), archive(tmp_path), text_asset("hello")):
        assert not _copy_failures(plugin, source)


@pytest.mark.parametrize("source", [asset("/a"), text_asset("hello"), archive("/a"), archive("/a", "")])
def test_a_checked_asset_has_all_members_and_those_without_a_value_are_empty(
    plugin: Plugin, source: dict[str, Any]
) -> None:
    for spelling in (source, with_all_members(source)):
        inputs, failures = plugin.check(COPY, {"connection": {"host": "h"}, "source": spelling, "remotePath": "/x"})
        assert not failures
        assert inputs["source"] == with_all_members(source)


def test_an_empty_text_cannot_be_copied(plugin: Plugin) -> None:
    assert "path-based file asset or a text asset" in str(_copy_failures(plugin, text_asset("")))


def test_a_composed_archive_cannot_be_copied(plugin: Plugin) -> None:
    composed = {SIGNATURE: archive("")[SIGNATURE], "hash": "1", "assets": {"a": text_asset("a")}}
    assert "archive must be a path" in str(_copy_failures(plugin, composed))


def test_a_remote_asset_cannot_be_copied(plugin: Plugin) -> None:
    remote = {SIGNATURE: asset("")[SIGNATURE], "hash": "1", "uri": "https://example.com/x"}
    assert "path-based file asset" in str(_copy_failures(plugin, remote))


def test_a_copy_needs_a_source(plugin: Plugin) -> None:
    _, failures = plugin.check(COPY, {"connection": {"host": "h"}, "remotePath": "/x"})
    assert failures


def test_an_unknown_source_is_accepted(offline_plugin_only: None, plugin: Plugin) -> None:
    assert not _copy_failures(plugin, UNKNOWN)
