from __future__ import annotations

import re
from pathlib import Path

from host.nginx_limits import MAX_UPLOAD_MB

ROOT = Path(__file__).resolve().parents[2]


def test_the_reliability_page_names_every_fault_test_and_only_tests_that_exist():
    names = set(re.findall(r"`(test_\w+)`", (ROOT / "docs/reliability.md").read_text()))
    assert names - _tests_in("test_*.py") == set()
    assert _tests_in("test_faults_*.py") - names == set()


def _tests_in(pattern: str) -> set[str]:
    text = "\n".join(file.read_text() for file in (ROOT / "tests").glob(f"*/{pattern}"))
    return set(re.findall(r"^def (test_\w+)", text, re.MULTILINE))


def test_the_page_about_own_programs_shows_the_example_with_another_resource():
    page, example = ROOT / "docs/own-program.md", ROOT / "examples/with-bucket/__main__.py"
    [code] = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    shown = [line for line in code.splitlines() if "queue" not in line]
    assert len(shown) == 5
    assert set(shown) <= {line.strip() for line in example.read_text().splitlines()}


def test_the_page_about_apps_names_the_upload_limit():
    assert f"| size of an upload | {MAX_UPLOAD_MB} MB |" in (ROOT / "docs/your-app.md").read_text()
