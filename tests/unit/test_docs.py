from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_reliability_page_names_every_fault_test_and_only_tests_that_exist():
    names = set(re.findall(r"`(test_\w+)`", (ROOT / "docs/reliability.md").read_text()))
    assert names - _tests_in("test_*.py") == set()
    assert _tests_in("test_faults_*.py") - names == set()


def _tests_in(pattern: str) -> set[str]:
    text = "\n".join(file.read_text() for file in (ROOT / "tests").glob(f"*/{pattern}"))
    return set(re.findall(r"^def (test_\w+)", text, re.MULTILINE))
