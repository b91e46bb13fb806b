"""System packages that failed builds and imports miss."""

from __future__ import annotations

import pytest

from host.explain import explain
from host.packages.missing_packages import of_build

FAILED = "  x Failed to build `{}`\n  ├─▶ The build backend returned an error\n"


@pytest.mark.parametrize(
    ("package", "output", "expected"),
    [
        (
            "mysqlclient==2.2.7",
            "Exception: Can not find valid pkg-config name.",
            "default-libmysqlclient-dev pkg-config",
        ),
        ("psycopg2==2.9.10", "Error: pg_config executable not found.", "libpq-dev"),
        ("psycopg2==2.9.10", "Error: pg_config executable not found.", "replace psycopg2 by psycopg2-binary"),
        (
            "lxml==5.3.0",
            "Error: Please make sure the libxml2 and libxslt development packages",
            "libxml2-dev libxslt1-dev",
        ),
        ("pillow==11.0.0", "The headers or library files could not be found for jpeg", "libjpeg-dev"),
        ("python-ldap==3.4.4", "fatal error: lber.h: No such file or directory", "libldap-dev libsasl2-dev"),
        ("pycairo==1.27", 'Dependency "cairo" not found', "libcairo2-dev"),
        ("regex==2024.1", "error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory", "build-essential"),
        ("regex==2024.1", "regex.c:48:10: fatal error: Python.h: No such file or directory", "python3-dev"),
        ("uwsgi==2.0.31", "Exception: you need a C compiler to build uWSGI", "build-essential"),
        ("mariadb==1.1.14", "OSError: mariadb_config not found.", "default-libmysqlclient-dev"),
        ("rare==1", "fatal error: rare/rare.h: No such file or directory", "apt-file search rare/rare.h"),
    ],
)
def test_a_failed_build_names_the_packages_and_the_setting(package: str, output: str, expected: str):
    sentence = of_build(FAILED.format(package) + output)
    assert expected in sentence
    assert "aptPackages" in sentence


def test_a_build_that_fails_for_another_reason_names_no_package():
    assert of_build(FAILED.format("lib==1") + "KeyError: 'version'") == ""
    assert of_build("error: no version of lxml==9999") == ""


@pytest.mark.parametrize(
    ("line", "package"),
    [
        ("ImportError: libGL.so.1: cannot open shared object file: No such file or directory", "libgl1"),
        ("ImportError: failed to find libmagic.  Check your installation", "libmagic1"),
        ("OSError: cannot load library 'libgobject-2.0-0': libgobject-2.0-0: cannot open shared", "libpango-1.0-0"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'ffmpeg'", "ffmpeg"),
        ("pytesseract.TesseractNotFoundError: tesseract is not installed or it's not in your PATH.", "tesseract-ocr"),
        ("PDFInfoNotInstalledError: Unable to get page count. Is poppler installed and in PATH?", "poppler-utils"),
        ("locale.Error: unsupported locale setting", "locales-all"),
        ("ImportError: librare.so.3: cannot open shared object file: No such file", "apt-file search librare.so.3"),
    ],
)
def test_the_last_words_of_an_app_name_the_package_that_it_misses(line: str, package: str):
    sentence = explain(line)
    assert package in sentence
    assert "aptPackages" in sentence
