"""requirements.txt as pip reads it, and as it is rewritten for uv."""

from __future__ import annotations

import codecs

import pytest

from host.packages.requirement_list import RequirementList, decode, files_for_uv, read_list


def listing(text: str, **others: str) -> RequirementList:
    contents = {"requirements.txt": text, **{f"{name}.txt": other for name, other in others.items()}}
    return read_list(lambda name: contents[name].encode() if name in contents else None)


@pytest.mark.parametrize(
    "content",
    [
        "flask # é\n".encode(),
        codecs.BOM_UTF8 + "flask # é\n".encode(),
        codecs.BOM_UTF16_LE + "flask # é\n".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "flask # é\n".encode("utf-16-be"),
        codecs.BOM_UTF32_LE + "flask # é\n".encode("utf-32-le"),
        "flask # é\n".encode("latin-1"),
    ],
)
def test_the_encoding_is_recognized_as_pip_does(content: bytes):
    assert decode(content) == "flask # é\n"


def test_a_coding_comment_names_the_encoding():
    assert "Ж" in decode("# -*- coding: koi8-r -*-\n# Ж\n".encode("koi8-r"))


def test_a_file_that_is_not_utf_8_is_rewritten_and_its_own_files_are_followed():
    contents = {"requirements.txt": codecs.BOM_UTF16_LE + "-r more/base.txt\r\n".encode("utf-16-le")}
    contents |= {"more/base.txt": b"-c pins.txt\nflask\n", "more/pins.txt": b"click==8.1\n"}
    found = read_list(contents.get)
    assert found.is_rewritten
    assert dict(files_for_uv(found, "/app")) == {
        "requirements.txt": "-r more/base.txt\n",
        "more/base.txt": "-c pins.txt\nflask\n",
        "more/pins.txt": "click==8.1\n",
    }


def test_a_plain_list_is_left_to_uv():
    assert not listing("flask>=3 # é\n-r base.txt\n", base="click\n").is_rewritten


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-e git+https://git.test/lib.git@main#egg=lib", "lib @ git+https://git.test/lib.git@main"),
        ("--editable=git+ssh://git@git.test/lib.git#egg=lib[x]", "lib[x] @ git+ssh://git@git.test/lib.git"),
        ("-e git+https://git.test/l.git#egg=lib&subdirectory=py", "lib @ git+https://git.test/l.git#subdirectory=py"),
        ("-e git+https://git.test/l.git#subdirectory=py&egg=lib", "lib @ git+https://git.test/l.git#subdirectory=py"),
        ("-e git+https://git.test/lib.git  # ours", "git+https://git.test/lib.git  # ours"),
        ("-e .", "."),
        ("-e.", "."),
        ("-e .[web]", ".[web]"),
        ("-e libs/core", "./libs/core"),
        ("lib @ git+https://git.test/lib.git@2.2.0", "lib @ git+https://git.test/lib.git@2.2.0"),
    ],
)
def test_editable_packages_become_ordinary_ones(line: str, expected: str):
    assert listing(f"flask\n{line}\n").texts["requirements.txt"] == f"flask\n{expected}\n"


def test_files_may_be_named_directly_behind_the_option():
    assert listing("-rbase.txt\n-cpins.txt\n", base="flask\n", pins="flask==3.1\n").texts == {
        "requirements.txt": "-r base.txt\n-c pins.txt\n",
        "base.txt": "flask\n",
        "pins.txt": "flask==3.1\n",
    }


def test_a_line_that_a_backslash_continues_becomes_one_and_the_numbers_stay():
    text = "flask==3.1.0 \\\n    ; python_version > '3.8'\nclick==8.1.8\n"
    assert listing(text).texts["requirements.txt"].splitlines() == [
        "flask==3.1.0     ; python_version > '3.8'",
        "",
        "click==8.1.8",
    ]


def test_hashes_on_lines_of_their_own_are_left_to_uv():
    assert not listing("flask==3.1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n").is_rewritten


def test_find_links_stays_relative_to_the_apps_folder():
    text = "-e git+https://git.test/lib.git#egg=lib\n--find-links wheels\n-f https://wheels.test\n"
    lines = dict(files_for_uv(listing(text), "/app"))["requirements.txt"].splitlines()
    assert lines[1:] == ["--find-links /app/wheels", "-f https://wheels.test"]


@pytest.mark.parametrize(
    "line", ["-r /etc/shadow", "-c ../base.txt", "-r more/../../base.txt", '-r"/etc/shadow"', "-r .."]
)
def test_a_file_outside_of_the_app_is_refused(line: str):
    # On a server, root would read it, and write a copy for uv over it.
    contents = {"requirements.txt": f"flask\n{line}\n".encode()}
    message = "requirements.txt, line 2: .* leaves the app's folder: move the file into it"
    with pytest.raises(ValueError, match=message):
        read_list(lambda name: contents.get(name, b"root\n"))
