"""The cases in tests/cases/ without a machine: apps that are refused before anything is touched, and the others."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from components.errors import UserError
from tests.app_cases import UNDER_LOAD, Case, cases, cases_of, missing

CASES = [*cases(), *cases_of(UNDER_LOAD)]
REFUSED = [case for case in CASES if case.refused]
PACKED = [case for case in CASES if not case.refused]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_an_app_that_cannot_work_is_refused_with_the_line_to_change(case: Case, tmp_path: Path):
    case.write(tmp_path / "app")
    with pytest.raises(UserError) as error:
        case.pack(case.read_settings(tmp_path / "app"), tmp_path / "packed")
    assert not missing(case.refused, str(error.value)), error.value


@pytest.mark.parametrize("case", PACKED, ids=lambda case: case.id)
def test_an_app_that_a_server_can_judge_is_packed(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    printed = list[str]()
    for level in ("warn", "info"):
        monkeypatch.setattr(f"pulumi.log.{level}", printed.append)
    case.write(tmp_path / "app")
    release = case.pack(case.read_settings(tmp_path / "app"), tmp_path / "packed")
    assert release.tarball
    with tarfile.open(release.tarball) as archive:
        names = set(archive.getnames())
    assert not names & set(case.leaves_out)
    assert "Procfile" in names
    assert not missing(case.notes, "\n".join(printed)), printed
