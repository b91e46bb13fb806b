"""`gantry check`: its walk over all layers, its repairs, and the copy of the configuration that they need."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from host import configure, lock
from host.configure import Configuration
from host.errors import ReleaseError
from host.layers import check, firewall
from host.layers.finding import Finding
from host.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


def walking(monkeypatch: pytest.MonkeyPatch, walk: Callable[[], list[Finding]]) -> None:
    monkeypatch.setattr(check, "walk", lambda *_: iter(walk()))


@pytest.mark.parametrize(
    ("holder", "layers"), [("its security updates", ["firewall"]), ("a release", ["socket", "Gunicorn", "firewall"])]
)
def test_what_an_update_restarts_is_not_broken(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], holder: str, layers: list[str]
):
    walking(
        monkeypatch,
        lambda: [Finding(layer=layer, problem="no") for layer in ("socket", "Gunicorn", "firewall")],
    )
    with lock.exclusive(paths.lock, holder):
        assert check.run(paths, repair=False, as_json=True) == 1
    report = json.loads(capsys.readouterr().out)
    assert [entry["layer"] for entry in report if entry["state"] == "broken"] == layers
    assert {entry["text"] for entry in report if entry["state"] == "ok"} <= {"an update is in progress"}
    assert lock.holder(paths.lock) == ""


def test_the_exit_status_says_whether_a_layer_is_broken(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    walking(
        monkeypatch, lambda: [Finding(layer="firewall"), Finding(layer="Nginx", problem="it is masked", remedy="x")]
    )
    assert check.run(paths, repair=False, as_json=False) == 1
    assert capsys.readouterr().out.splitlines() == [
        "firewall      ok",
        "Nginx         broken    it is masked",
        "              remedy: x",
    ]
    walking(monkeypatch, lambda: [Finding(layer="firewall")])
    assert check.run(paths, repair=False, as_json=False) == 0


def test_a_repair_goes_on_until_nothing_is_broken_and_names_what_it_repaired(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    broken = ["the rules differ", "it is masked"]

    def walk() -> list[Finding]:
        return [Finding(layer=f"layer {problem}", problem=problem, repair=broken.clear) for problem in broken[:1]] or [
            Finding(layer="firewall")
        ]

    walking(monkeypatch, walk)
    assert check.run(paths, repair=True, as_json=True) == 0
    report = json.loads(capsys.readouterr().out)
    assert [(entry["state"], entry["text"]) for entry in report] == [("repaired", "the rules differ"), ("ok", "")]


def test_a_repair_that_fails_is_tried_once_and_says_why(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    tries: list[None] = []

    def fail() -> None:
        tries.append(None)
        raise ReleaseError("the unit is gone")

    walking(monkeypatch, lambda: [Finding(layer="Nginx", problem="it is stopped", remedy="start it", repair=fail)])
    assert check.run(paths, repair=True, as_json=False) == 1
    assert "it is stopped; the repair failed: the unit is gone" in capsys.readouterr().out
    assert len(tries) == 1


def test_files_that_were_edited_after_the_configuration_are_named_and_restored(paths: Paths):
    calls: list[str] = []
    configuration = Configuration({"/etc/nginx/site": "right;\n"}, {"/etc/nginx/link": "site"})
    configure.configure(paths, configuration, lambda words: calls.append(words[0]))
    assert configure.edited(paths) == []
    (paths.root / "etc/nginx/site").write_text("wrong;\n")
    assert configure.edited(paths) == ["/etc/nginx/site"]
    recorded = configure.recorded(paths)
    assert recorded
    configure.apply(paths, recorded, lambda words: calls.append(words[0]))
    assert (paths.root / "etc/nginx/site").read_text() == "right;\n"


def test_a_server_of_an_earlier_version_has_no_copy_of_its_configuration(paths: Paths):
    assert (configure.recorded(paths), configure.edited(paths)) == (None, [])
    with pytest.raises(ReleaseError, match="run `make up` once"):
        firewall.restore_files(paths)
