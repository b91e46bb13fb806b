"""Versions, constraints and markers, compared with the rules of PEP 440, PEP 508 and Poetry."""

from __future__ import annotations

import pytest

from host.packages.dependency import need_of
from host.packages.markers import applies
from host.packages.versions import parse, satisfies

ENVIRONMENT = {"python_version": "3.13", "python_full_version": "3.13.5", "sys_platform": "linux", "os_name": "posix"}


def test_versions_are_ordered_as_pep_440_says():
    versions = ["1.0.dev1", "1.0a1.dev1", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1.0.post1", "1.0.1", "1.10", "2", "1!0.1"]
    assert sorted(versions, key=lambda version: parse(version) or ()) == versions
    assert parse("1.0") == parse("1") == parse("v1.0.0+cpu")
    assert parse("latest") is None


@pytest.mark.parametrize(
    ("constraint", "fitting", "others"),
    [
        ("^3.0", "3.0 3.9.1", "2.9 4.0"),
        ("^0.2.3", "0.2.3 0.2.9", "0.3 1.0"),
        ("^0.0.3", "0.0.3", "0.0.4"),
        ("~1.2", "1.2 1.2.9", "1.3"),
        ("~1", "1.0 1.9", "2.0"),
        ("~=1.4.2", "1.4.2 1.4.9", "1.5 1.4.1"),
        ("~=1.4", "1.4 1.9", "2.0"),
        ("1.*", "1.0 1.9.3", "2.0"),
        ("!=1.4.*", "1.5 1.3", "1.4 1.4.2"),
        (">=1.0,<2.0 || >3", "1.5 3.1", "2.5 3"),
        ("(>=3.0,<4.0)", "3.1", "4.0"),
        (">= 1.0 , < 2", "1.1", "2"),
        ("1.2", "1.2 1.2.0", "1.3"),
        ("*", "1.2", ""),
        ("", "1.2", ""),
        ("==2.1.0", "2.1.0+cpu", "2.1.1"),
    ],
)
def test_a_constraint_allows_these_versions_and_no_others(constraint: str, fitting: str, others: str):
    assert [version for version in fitting.split() if not satisfies(constraint, version)] == []
    assert [version for version in others.split() if satisfies(constraint, version)] == []


@pytest.mark.parametrize(("constraint", "version"), [("^x", "1.0"), (">=1", "unknown"), ("===", "1")])
def test_a_constraint_that_cannot_be_read_decides_nothing(constraint: str, version: str):
    assert satisfies(constraint, version) is None


@pytest.mark.parametrize(
    ("marker", "extras", "expected"),
    [
        ("", (), True),
        ("python_version < '3.9'", (), False),
        ("python_version >= '3.9' and sys_platform != \"win32\"", (), True),
        ("os_name == 'nt' or python_full_version >= '3.13.2'", (), True),
        ("os_name == 'nt' and (os_name == 'nt' or os_name == 'posix')", (), False),
        ("sys_platform in 'linux darwin'", (), True),
        ("sys_platform not in 'linux darwin'", (), False),
        ("'linux' == sys_platform", (), True),
        ("extra == 'Some_Extra'", ("some-extra",), True),
        ("extra == 'socks'", (), False),
        ("extra == 'socks' and os_name == 'posix'", ("other", "socks"), True),
    ],
)
def test_a_marker_is_evaluated(marker: str, extras: tuple[str, ...], expected: bool):
    assert applies(marker, ENVIRONMENT, extras) is expected


@pytest.mark.parametrize(
    "marker", ["python_version", "nonsense == 'a'", "os_name == 'a' 'b'", "os_name ? 'a'", "(os_name == 'a'"]
)
def test_a_marker_that_cannot_be_read_is_an_error(marker: str):
    with pytest.raises(ValueError, match="can't be read"):
        applies(marker, ENVIRONMENT)


def test_a_dependency_is_split_into_its_parts():
    need = need_of("requests[socks, security] (>=2.31,<3) ; python_version < '3.12'")
    assert (need.name, need.extras, need.constraint) == ("requests", ("socks", "security"), ">=2.31,<3")
    assert need.marker == "python_version < '3.12'"
    assert need_of("lib @ git+https://git.test/lib.git@main").constraint == ""
    assert need_of("lib @ https://files.test/lib.zip ; os_name == 'nt'").marker == "os_name == 'nt'"
