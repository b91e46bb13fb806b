from __future__ import annotations

from typing import Any

import pytest

from tests.plugin.client import (
    COPY,
    COPY_FILE,
    LOCAL,
    REMOTE,
    UNKNOWN,
    Plugin,
    archive,
    asset,
    secret,
    text_asset,
    with_all_members,
)

OUTPUTS = {"stdout": "out", "stderr": ""}
CONNECTION = secret({"host": "h", "port": 22, "user": "root"})


def test_equal_inputs_are_no_change(plugin: Plugin) -> None:
    inputs = {"create": "true", "connection": CONNECTION, "triggers": ["a", {"b": 1}]}
    assert plugin.diff(REMOTE, {**inputs, **OUTPUTS}, inputs) == {}


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        pytest.param({"create": "a"}, {"create": "b"}, {"create": "UPDATE"}, id="another command"),
        pytest.param({"create": "a"}, {"create": "a", "update": "u"}, {"update": "ADD"}, id="a new one"),
        pytest.param({"create": "a", "stdin": "x"}, {"create": "a"}, {"stdin": "DELETE"}, id="one less"),
        pytest.param({"delete": "a"}, {"delete": "b"}, {"delete": "UPDATE"}, id="another delete"),
        pytest.param({"logging": "none"}, {"logging": "stdout"}, {"logging": "UPDATE"}, id="logging"),
        pytest.param({"stdin": secret("a")}, {"stdin": secret("b")}, {"stdin": "UPDATE"}, id="a secret"),
        pytest.param({"stdin": secret("a")}, {"stdin": "a"}, {"stdin": "UPDATE"}, id="no secret any more"),
        pytest.param({"stdin": "a"}, {"stdin": UNKNOWN}, {"stdin": "UPDATE"}, id="not known yet"),
        pytest.param(
            {"environment": {"A": "1", "B": "2", "C": "3"}},
            {"environment": {"A": "1", "B": "x", "D": "4"}},
            {"environment.B": "UPDATE", "environment.C": "DELETE", "environment.D": "ADD"},
            id="variables",
        ),
        pytest.param(
            {"interpreter": ["sh", "-c"]},
            {"interpreter": ["bash", "-c", "-e"]},
            {"interpreter[0]": "UPDATE", "interpreter[2]": "ADD"},
            id="the interpreter",
        ),
    ],
)
def test_a_changed_input_is_an_update(
    plugin: Plugin, old: dict[str, Any], new: dict[str, Any], changes: dict[str, str]
) -> None:
    assert plugin.diff(LOCAL, {**old, **OUTPUTS}, new) == changes


def test_a_state_with_other_marks_inside_its_connection_has_no_change(
    offline_plugin_only: None, plugin: Plugin
) -> None:
    """Earlier versions of the offline plugin left the marks out. The official one then updates the connections once."""
    connection = {"host": "h", "port": 22, "user": "root", "dialErrorLimit": 10, "perDialTimeout": 15}
    plain = {"create": "c", "connection": secret({**connection, "privateKey": "k", "password": "p"})}
    marked = {"create": "c", "connection": secret({**connection, "privateKey": secret("k"), "password": secret("p")})}
    other = {"create": "c", "connection": secret({**connection, "privateKey": secret("l"), "password": secret("p")})}
    for state, inputs in ((plain, marked), (marked, plain)):
        assert plugin.diff(REMOTE, {**state, "stdout": "s", "stderr": ""}, inputs) == {}
        assert plugin.update(REMOTE, {**state, "stdout": "s", "stderr": ""}, inputs, preview=True)["stdout"] == "s"
    assert plugin.diff(REMOTE, plain, other) == {"connection": "UPDATE"}


def test_another_connection_is_an_update_of_the_secret_as_a_whole(plugin: Plugin) -> None:
    state = {"create": "a", "connection": CONNECTION, **OUTPUTS}
    other = secret({"host": "other", "port": 22, "user": "root"})
    assert plugin.diff(REMOTE, state, {"create": "a", "connection": other}) == {"connection": "UPDATE"}


def test_a_changed_trigger_is_an_update_since_the_engine_itself_replaces_for_it(plugin: Plugin) -> None:
    changes = plugin.diff(LOCAL, {"triggers": ["a", "b"], **OUTPUTS}, {"triggers": ["a", "c", "d"]})
    assert changes == {"triggers[1]": "UPDATE", "triggers[2]": "ADD"}


def test_first_triggers_replace_the_resource(plugin: Plugin) -> None:
    assert plugin.diff(LOCAL, OUTPUTS, {"triggers": ["a"]}) == {"triggers": "ADD_REPLACE"}


def test_removing_all_triggers_replaces_the_resource(plugin: Plugin) -> None:
    assert plugin.diff(LOCAL, {"triggers": ["a"], **OUTPUTS}, {}) == {"triggers": "DELETE_REPLACE"}


def test_an_ignored_change_is_no_change(plugin: Plugin) -> None:
    changes = plugin.diff(LOCAL, {"create": "a", **OUTPUTS}, {"create": "b"}, ignore=["create"])
    assert changes == {}


def _copy(**changes: Any) -> dict[str, Any]:
    return {"connection": CONNECTION, "source": asset("/a", "1"), "remotePath": "/x", **changes}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({"source": asset("/a", "2")}, {"source": "UPDATE"}, id="other content"),
        pytest.param({"source": asset("/b", "1")}, {}, id="the same content at another path"),
        pytest.param({"source": text_asset("t", "3")}, {"source": "UPDATE"}, id="a text"),
        pytest.param({"remotePath": "/y"}, {"remotePath": "UPDATE"}, id="another place"),
        pytest.param({"triggers": ["a"]}, {"triggers": "ADD_REPLACE"}, id="the first trigger"),
    ],
)
def test_a_copy_is_updated_for_other_content_or_another_path(
    plugin: Plugin, change: dict[str, Any], expected: dict[str, str]
) -> None:
    assert plugin.diff(COPY, _copy(), _copy(**change)) == expected


@pytest.mark.parametrize("source", [asset("/a"), text_asset("hello"), archive("/a")])
def test_the_members_of_an_asset_that_are_not_set_make_no_change(plugin: Plugin, source: dict[str, Any]) -> None:
    """An earlier version of the offline plugin may have written the state, with fewer members."""
    short, long = _copy(source=source), _copy(source=with_all_members(source))
    for state, inputs in ((short, long), (long, short)):
        assert plugin.diff(COPY, state, inputs) == {}
        # It would fail to connect if it copied.
        assert plugin.update(COPY, state, inputs)["source"] == with_all_members(source)
        assert plugin.diff(COPY, state, {**inputs, "source": {**inputs["source"], "hash": "2"}}) == {"source": "UPDATE"}


def test_each_change_of_the_older_copy_replaces_it(plugin: Plugin) -> None:
    old = {"connection": CONNECTION, "localPath": "/a", "remotePath": "/x"}
    assert plugin.diff(COPY_FILE, old, {**old, "localPath": "/b"}) == {"localPath": "UPDATE_REPLACE"}
