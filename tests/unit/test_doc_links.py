"""Links between pages lead somewhere, and the files that CONTRIBUTING names exist."""

from __future__ import annotations

import re
import string
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
)
_CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")
_PATH = re.compile(r"`((?:bench|bin|cloud-init|components|docs|host|policy|tests|tools|\.github|\.ci)/[\w./-]*)`")


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", _CODE.sub("", page.read_text()), re.MULTILINE)
    dropped = string.punctuation.replace("-", "").replace("_", "")
    return {heading.lower().translate(str.maketrans("", "", dropped)).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(page: Path):
    for link in _LINK.findall(_CODE.sub("", page.read_text())):
        name, _, anchor = link.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name}: {link} leads nowhere"
        assert not anchor or anchor in anchors(file), f"{page.name}: {link} names no heading"


def test_every_file_that_contributing_names_exists():
    names = _PATH.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert len(names) > 60
    # The example of a new target isn't there.
    assert [name for name in names if "hetzner" not in name and not (ROOT / name).exists()] == []


def test_the_readme_fits_on_a_few_screens():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
