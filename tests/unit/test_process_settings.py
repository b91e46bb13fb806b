"""The settings ``processes``, ``singletons`` and ``cron``."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.app.source import Source
from host.cron import Entry
from tests.stack_settings import mistakes, read


@pytest.fixture
def with_worker(root: Path) -> Path:
    (root / "examples/rocket/Procfile").write_text("web: gunicorn a:b\nrelease: a\nworker: python worker.py\n")
    return root


def test_processes_and_cron_are_read(with_worker: Path):
    cron = [{"schedule": "@daily", "command": "a b"}]
    settings = read(with_worker, processes={"worker": 2}, cron=cron, stopTimeout=5)
    assert settings.processes == {"worker": 2}
    assert settings.cron == (Entry("@daily", "a b"),)
    assert (settings.release_timeout, settings.stop_timeout) == (600, 5)


@pytest.mark.parametrize(
    ("processes", "rule"),
    [
        ([], "processes must be a map"),
        ({"web": 2}, "the setting workers"),
        ({"release": 1}, "processes.release is no setting"),
        ({"verify": 1}, "remove it with: pulumi config rm --path processes.verify"),
        ({"wroker": 1}, "its Procfile has only worker"),
        ({"worker": -1}, "processes.worker is -1, but must be a whole number from 0 to 64"),
        ({"worker": True}, "must be a whole number from 0 to 64"),
        ({"worker": 65}, "must be a whole number from 0 to 64"),
    ],
)
def test_the_error_for_a_wrong_count_has_its_rule(with_worker: Path, processes: object, rule: str):
    assert rule in mistakes(with_worker, processes=processes)


def test_counts_are_checked_against_the_procfile_of_the_pinned_revision(
    with_worker: Path, monkeypatch: pytest.MonkeyPatch
):
    procfiles = {"v1": "web: gunicorn a:b\nmail: a\n", "v9": None, "3f2a91c0ffee": None}
    monkeypatch.setattr(Source, "procfile", lambda source: procfiles[source.setting])
    assert read(with_worker, release="v1", processes={"mail": 2}).processes == {"mail": 2}
    assert "its Procfile has only mail" in mistakes(with_worker, release="v1", processes={"worker": 2})
    for unknown in ("v9", "3f2a91c0ffee"):
        assert read(with_worker, release=unknown, processes={"mail": 2}).processes == {"mail": 2}


def test_singletons_are_the_usual_ones_or_those_of_the_list(with_worker: Path):
    assert read(with_worker).singletons == ("beat", "clock", "scheduler")
    assert read(with_worker, singletons=["worker"]).singletons == ("worker",)
    assert read(with_worker, singletons=[]).singletons == ()


def test_two_of_a_singleton_are_refused_with_both_remedies(with_worker: Path):
    (with_worker / "examples/rocket/Procfile").write_text("web: gunicorn a:b\nbeat: a\n")
    text = mistakes(with_worker, processes={"beat": 2})
    assert "processes.beat is 2, but all servers together run one beat" in text
    assert "`pulumi config rm --path processes.beat`" in text
    assert 'gantry:singletons: ["clock", "scheduler"] into Pulumi.<stack>.yaml' in text
    assert read(with_worker, processes={"beat": 2}, singletons=[]).processes == {"beat": 2}
    assert read(with_worker, processes={"beat": 0}).processes == {"beat": 0}


@pytest.mark.parametrize(
    ("singletons", "rule"),
    [
        ({}, "singletons must be a list"),
        (["ticker"], "singletons[0] is ticker, but the app's Procfile has only worker"),
        (["worker", "web"], "singletons[1] is 'web', but must be a process type"),
        (["a b"], "singletons[0] is 'a b', but must be a process type"),
        ([1], "pulumi config set --path 'singletons[0]' <process type>"),
    ],
)
def test_the_error_for_a_wrong_singleton_has_its_rule(with_worker: Path, singletons: object, rule: str):
    assert rule in mistakes(with_worker, singletons=singletons)


def test_all_mistakes_in_processes_and_cron_come_at_once(with_worker: Path):
    entries = [{"schedule": "daily", "command": "a"}, {"command": "a"}, {"schedule": "@daily", "command": "a\nb"}]
    text = mistakes(with_worker, processes={"web": 1, "clock": 1}, cron=entries)
    keys = [line.split()[1].rstrip(":") for line in text.splitlines()[1:]]
    assert keys == ["processes.web", "processes.clock", "cron[0]", "cron[1]", "cron[2]"]
    assert "cron must be a list" in mistakes(with_worker, cron={"schedule": "@daily"})


def test_cron_cannot_be_secret_because_previews_show_commands(root: Path):
    text = mistakes(root, secret=["cron"], cron=[{"schedule": "@daily", "command": "login hunter2"}])
    assert "hunter2" not in text
    assert "put secrets into env" in text
