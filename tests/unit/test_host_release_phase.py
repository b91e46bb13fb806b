"""The release phase: its server, its output, its errors, and release phases that killed runs have started."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from host import oneshot, release_phase, systemd
from host.errors import ReleaseError
from host.processes import Plan
from tests.unit.host_server import run_as_oneself
from tests.unit.test_host_processes import NEW, OLD, FakeSystemd


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSystemd:
    run_as_oneself(monkeypatch)
    return FakeSystemd(tmp_path, monkeypatch)


@pytest.fixture
def migration(server: FakeSystemd, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bool], None]:
    """A function that sets what the release phase prints, and whether it succeeds."""

    def behave(output: str, success: bool) -> None:
        def succeeds(unit: str) -> bool:
            server.calls.append(("run", unit))
            print(output)
            return success

        monkeypatch.setattr(oneshot, "succeeds", succeeds)

    return behave


def test_only_the_first_server_runs_the_release_phase(server: FakeSystemd, migration: Callable[[str, bool], None]):
    migration("migrated", True)
    server.prepare(Plan())
    assert server.calls == []
    server.prepare(Plan(first=True))
    assert server.calls == [("run", f"gantry-release@{NEW.name}.service")]
    script = server.paths.deployments / NEW.name / "release"
    assert script.read_text() == "#!/bin/sh\nexec /bin/bash -c 'python migrate.py'\n"


def test_the_output_of_the_release_phase_is_printed_also_if_it_is_not_utf_8(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    programs = {"journalctl": "printf 'caf\\351 migrated\\n'", "systemctl": "exit 0"}
    for name, command in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{command}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert oneshot.succeeds("gantry-release@a.service")
    assert "  caf\ufffd migrated\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"Result": "timeout"}, "took longer than the setting releaseTimeout allows"),
        ({"Result": "exit-code", "ExecMainStatus": "3"}, "failed with exit status 3"),
    ],
)
def test_the_error_of_a_failed_release_phase_has_the_reason_and_the_last_lines(
    server: FakeSystemd,
    migration: Callable[[str, bool], None],
    monkeypatch: pytest.MonkeyPatch,
    properties: dict[str, str],
    reason: str,
):
    migration("no such table", False)
    monkeypatch.setattr(systemd, "show", lambda *_: properties)
    with pytest.raises(ReleaseError, match=rf"{reason}: python migrate.py\nlast lines"):
        server.prepare(Plan(first=True))


def test_the_error_of_a_command_that_takes_too_long_has_the_setting_with_a_longer_time(
    server: FakeSystemd, migration: Callable[[str, bool], None], monkeypatch: pytest.MonkeyPatch
):
    migration("waiting", False)
    monkeypatch.setattr(systemd, "show", lambda *_: {"Result": "timeout", "TimeoutStartUSec": "10min"})
    with pytest.raises(ReleaseError) as error:
        server.prepare(Plan(first=True))
    assert "`pulumi config set releaseTimeout 1200`" in error.value.advice


def test_a_release_phase_of_an_interrupted_run_ends_before_the_next_one_begins(
    server: FakeSystemd, migration: Callable[[str, bool], None], monkeypatch: pytest.MonkeyPatch
):
    migration("migrated", True)
    other = f"gantry-release@{OLD.name}.service"
    server.states[other] = "activating"

    def sleep(_: float) -> None:
        assert not any(words[0] == "run" for words in server.calls)
        server.states[other] = "inactive"

    monkeypatch.setattr(release_phase.time, "sleep", sleep)
    server.prepare(Plan(first=True))
    assert server.calls[-1][0] == "run"
    assert server.states[other] == "inactive"


def test_the_release_phase_may_write_into_a_copy_of_the_app_which_is_removed_and_says_what_it_wrote(
    server: FakeSystemd, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    copy, release = server.paths.phase_copies / NEW.name, server.paths.releases / NEW.release
    (release / "settings.py").write_text("before")

    def succeeds(unit: str) -> bool:
        assert (copy / "Procfile").read_text() == (release / "Procfile").read_text()
        for name in ("db.sqlite3", "static/a.css", "static/b/c.css", "__pycache__/a.pyc"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_text("written")
        (copy / "settings.py").write_text("after!")
        return True

    monkeypatch.setattr(oneshot, "succeeds", succeeds)
    server.prepare(Plan(first=True))
    assert "wrote db.sqlite3, settings.py and static/ into its own copy of the app" in capsys.readouterr().out
    assert (list(server.paths.phase_copies.iterdir()), (release / "settings.py").read_text()) == ([], "before")


def test_copies_of_killed_release_phases_are_removed_but_not_those_in_use(server: FakeSystemd):
    for deployment in (OLD, NEW):
        (server.paths.phase_copies / deployment.name / "static").mkdir(parents=True)
    server.states[f"gantry-release@{NEW.name}.service"] = "activating"
    release_phase.remove_copies(server.paths)
    assert [copy.name for copy in server.paths.phase_copies.iterdir()] == [NEW.name]
