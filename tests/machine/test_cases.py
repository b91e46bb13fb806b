"""The cases in tests/cases/ on one real server: pages that they serve, and sentences with which releases fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app_cases import Case, cases, missing
from tests.machine.case_server import CaseServer

pytestmark = pytest.mark.machine
SERVER_CLASS = CaseServer
# Cases with the same settings follow each other, because the server is configured whenever they change.
CASES = sorted((case for case in cases() if case.released), key=lambda case: str(case.settings))


@pytest.mark.parametrize("case", [case for case in CASES if case.serves], ids=lambda case: case.id)
def test_an_app_serves_as_it_is(server: CaseServer, case: Case, tmp_path: Path):
    result = server.release(case, tmp_path)
    assert result.exit_code == 0, result.output
    status, page = server.get(case.get, case.host)
    assert status == case.status, page
    assert case.serves in page
    assert not missing(case.says, result.output), result.output


@pytest.mark.parametrize("case", [case for case in CASES if case.fails], ids=lambda case: case.id)
def test_a_release_that_fails_says_what_to_change_and_leaves_the_site_alone(
    server: CaseServer, case: Case, tmp_path: Path
):
    before = server.serving()
    result = server.release(case, tmp_path)
    assert result.exit_code == 1, result.output
    assert not missing(case.fails, result.output), result.output
    assert server.serving() == before
