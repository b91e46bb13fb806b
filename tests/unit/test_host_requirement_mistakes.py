"""Lines of requirements.txt that are refused, with the line to write instead; and those that aren't."""

from __future__ import annotations

import pytest

from host.packages.requirement_mistakes import mistakes

DIGEST = "a" * 64


def found(text: str | bytes, **others: str) -> list[str]:
    contents = {"requirements.txt": text.encode() if isinstance(text, str) else text}
    contents |= {name: other.encode() for name, other in others.items()}
    return mistakes(contents.get)


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("flask=>3.1", "write flask>=3.1"),
        ("pip install flask", "write flask"),
        ("Flask      3.1.0", "write Flask==3.1.0"),
        ("flask, click", "one a line: flask and click"),
        ("flask click", "one a line: flask and click"),
        ("Package    Version", "pip list --format=freeze"),
        ('"flask==3.1.0"', "write flask==3.1.0,"),
        ("flask==3.1.0;", "write flask==3.1.0,"),
        ("\u200bflask==3.1.0", "write flask==3.1.0,"),
        ("flask ; python_version > \u201c3.8\u201d", 'write flask ; python_version > "3.8",'),
        ("WARNING: You should consider upgrading", "remove the line"),
        ("pkg_resources==0.0.0", "leave the line out"),
        ("distro-info===1.1build1", "leave the line out"),
        ("python==3.11", "a .python-version file with 3.11"),
        ("pywin32==306", "write pywin32==306 ; sys_platform == 'win32'"),
        ('uwsgi==2.0 --global-option="x"', "the option --global-option"),
        ("git://git.test/our/lib.git#egg=lib", "write git+https://git.test/our/lib.git#egg=lib"),
        ("-e git+git@git.test:our/lib#egg=lib", "write git+https://git.test/our/lib.git#egg=lib"),
        ("git+git://git.test/our/lib.git@v1", "write git+https://git.test/our/lib.git@v1"),
        ("flask @ file:/opt/flask", "write flask==<version>"),
        ("-e file:///home/me/lib#egg=lib", "add the package"),
        ("wheels/lib-1.0-py3-none-any.whl", "add the file"),
        ("-e .\\lib", "with slashes"),
        ("C:\\lib-1.0-py3-none-any.whl", "with slashes"),
        ("lib/", "add the package"),
    ],
)
def test_a_line_that_no_server_can_install_is_refused_with_its_number_and_the_remedy(line: str, remedy: str):
    (sentence,) = found(f"# ours\n{line}\n")
    assert sentence.startswith("requirements.txt, line 2: ")
    assert remedy in sentence


@pytest.mark.parametrize(
    "line",
    [
        "flask[async, dotenv]>=2.0,<4 ; python_version >= '3.8' and sys_platform == \"linux\"",
        "ruamel.yaml==0.18.*  # pinned",
        "flask (>=2,<4)",
        "flask>=2,",
        "lib==1!2.0+cpu.1",
        "flask\u00a0==3.1.0",
        f"flask==3.1.0 --hash=sha256:{DIGEST}",
        f"flask==3.1.0 ; python_version > '3.8' \\\n    --hash=sha256:{DIGEST}",
        "flask @ https://files.test/flask-3.1.0-py3-none-any.whl",
        "lib[x]@git+ssh://git@git.test:2222/our/lib.git@v1",
        "flask  # from git://git.test/flask",
        "--requirement=base.txt",
        "--no-binary=lxml",
        "--extra-index-url=https://packages.test/simple",
        "pywin32==306 ; sys_platform == 'win32'",
        "./lib",
    ],
)
def test_a_line_that_pip_installs_is_left_to_uv(line: str):
    assert not found(f"{line}\n", **{"base.txt": "flask\n", "lib/setup.py": ""})


def test_two_pins_of_one_package_that_differ_are_refused_with_both_lines():
    (sentence,) = found("-r base.txt\nFlask_Login==0.6.3\n", **{"base.txt": "flask-login==0.5\n"})
    assert "line 2: 'Flask_Login==0.6.3' and base.txt, line 1: 'flask-login==0.5'" in sentence


def test_pins_that_agree_or_are_for_different_versions_of_python_are_left_to_uv():
    assert not found("flask==3.1.0\nflask==3.1.0\nflask>=3\n")
    assert not found("numpy==1.26 ; python_version < '3.12'\nnumpy==2.1 ; python_version >= '3.12'\n")


def test_utf_16_without_a_byte_order_mark_is_refused():
    (sentence,) = found("flask\n".encode("utf-16-le"))
    assert sentence.startswith("requirements.txt, line 1: the file has NUL bytes")
