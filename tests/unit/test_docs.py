from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_reliability_page_names_every_fault_test_and_no_test_that_is_not_there():
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs/reliability.md").read_text()))
    assert named - _defined("test_*.py") == set()
    assert _defined("test_faults_*.py") - named == set()


def _defined(files: str) -> set[str]:
    text = "\n".join(file.read_text() for file in (ROOT / "tests").glob(f"*/{files}"))
    return set(re.findall(r"^def (test_\w+)", text, re.MULTILINE))
