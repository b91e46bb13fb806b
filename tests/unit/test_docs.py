from __future__ import annotations

import re
from pathlib import Path

from host import times
from host.nginx_limits import UPLOAD_MB

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


def test_the_page_about_apps_names_the_defaults_of_the_limits():
    page = (ROOT / "docs/your-app.md").read_text()
    for name, value in (
        ("size of an upload", f"{UPLOAD_MB} MB"),
        ("time for an answer", f"{times.REQUEST_SECONDS} s"),
        ("time for in-flight requests and WebSockets after a release", f"{times.DRAIN_SECONDS} s"),
    ):
        assert f"| {name} | {value} |" in page
