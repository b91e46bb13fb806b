from __future__ import annotations

from pathlib import Path

import pytest

from components.local import apt
from components.local.computer import LocalError

SECURITY = "deb http://mirror.test/debian-security trixie-security main\n"

DEB822 = """\
Types: deb
# A comment between the fields.
URIs: http://mirror.test/debian/
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main contrib
"""


def mirror_from(text: str = "", deb822: str = "") -> apt.Mirror:
    return apt.choose_mirror([*apt.parse_one_line(text), *apt.parse_deb822(deb822)])


def assert_no_mirror(text: str = "", deb822: str = "") -> None:
    with pytest.raises(LocalError, match="no mirror of debian and debian-security"):
        mirror_from(text, deb822)


def test_the_mirror_of_a_deb822_file_is_used_with_any_suite_of_the_computer():
    assert mirror_from(deb822=DEB822) == apt.Mirror(
        archive="http://mirror.test/debian", security="http://mirror.test/debian-security"
    )


def test_the_mirror_of_one_line_sources_is_used():
    text = "# old\ndeb [arch=amd64 signed-by=/a b] https://m.test/debian stable main contrib # note\n"
    text += "deb-src https://other.test/debian stable main\ndeb https://s.test/debian-security trixie-security main\n"
    assert mirror_from(text) == apt.Mirror(archive="https://m.test/debian", security="https://s.test/debian-security")


def test_a_value_may_continue_in_the_next_line():
    folded = DEB822.replace("http://mirror.test/debian/", "\n http://one.test/debian\n http://two.test/debian")
    assert mirror_from(deb822=folded).archive == "http://one.test/debian"


def test_a_dated_snapshot_is_an_archive():
    archive = "http://snapshot.test/archive/debian/20250520T000000Z"
    assert mirror_from(f"deb {archive} trixie main\n{SECURITY}").archive == archive


def test_disabled_sources_are_not_used():
    assert_no_mirror(deb822="Enabled: no\n" + DEB822.split("\n\n")[0])


def test_archives_of_third_parties_are_not_used_as_debians():
    text = """
    deb https://download.tool.test/linux/debian bookworm stable
    deb https://apt.tool.test bookworm main
    deb https://apt.tool.test/debian cloud-bookworm main
    deb http://archive.test/ubuntu noble main
    """
    assert_no_mirror(text)


def test_without_a_mirror_the_error_names_the_missing_archive_and_the_file_for_it():
    assert_no_mirror()
    with pytest.raises(LocalError, match=r"no mirror of debian-security\..*sources\.list\.d"):
        mirror_from("deb http://mirror.test/debian trixie main")


def test_a_list_of_mirrors_is_read(tmp_path: Path):
    (tmp_path / "sources.list.d").mkdir()
    listing = tmp_path / "mirrors.list"
    listing.write_text("# the first is the best\nhttps://near.test/debian/ priority:1\nhttps://far.test/debian\n")
    (tmp_path / "sources.list").write_text(f"deb mirror+file:{listing} trixie main\n{SECURITY}")
    assert apt.computer_mirror(tmp_path).archive == "https://near.test/debian"


def test_a_machines_sources_name_trixie_its_updates_and_its_security_fixes():
    sources = list(apt.parse_deb822(mirror_from(deb822=DEB822).sources()))
    assert [(source.uris, source.suites) for source in sources] == [
        (("http://mirror.test/debian",), ("trixie", "trixie-updates")),
        (("http://mirror.test/debian-security",), ("trixie-security",)),
    ]
