"""Which files git takes for an app's: the walk without git finds the same, and so does packing with git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from components.app import git, ignore
from components.app.listing import app_files
from components.errors import UserError

# The content of .gitignore, and the names of files in the app's folder. Bytes, because git knows no characters.
CASES: dict[str, tuple[bytes, list[bytes]]] = {
    "a BOM and Windows line endings": (b"\xef\xbb\xbf.env\r\nvenv/\r\n", [b".env", b"venv/x", b"app.py"]),
    "spaces at the end": (b"a \nb\\ \nc\\  \nd  \r\n", [b"a", b"a ", b"b", b"b ", b"c ", b"c  ", b"d", b"d  "]),
    "spaces at the start": (b" a\n\tb\n", [b"a", b" a", b"b", b"\tb"]),
    "tabs at the end": (b"a\t\nb\t \n", [b"a", b"a\t", b"b", b"b\t"]),
    "escaped signs": (b"\\#a\n#b\n\\!c\nd\\\\\ne\\#\n", [b"#a", b"#b", b"!c", b"c", b"d\\", b"d", b"e#"]),
    "a backslash at the end": (b"a\\\n\\\nb\n", [b"a", b"a\\", b"\\", b"b"]),
    "UTF-8": ("é*\nvoilà\n".encode(), ["é1".encode(), "voilà".encode(), "voilÃ".encode(), b"e1"]),
    "Latin-1": (b"caf\xe9\n\xe9?\n", [b"caf\xe9", "café".encode(), b"\xe91", "é1".encode()]),
    "a question mark is one byte": (b"?.log\n", ["é.log".encode(), b"\xe9.log", b"e.log", b"ee.log"]),
    "a NUL": (b"aa\0b\n\0c\nd\n", [b"aa", b"b", b"c", b"d"]),
    "a carriage return inside": (b"a\rb\nc\n\f\n", [b"a\rb", b"a", b"b", b"c", b"\f"]),
    "brackets": (b"a[bc]\nz[!a]\nq[^a]\n[\nr[z-a]\ns[a-]\n", [b"ab", b"ad", b"za", b"zb", b"qb", b"[", b"rz", b"s-"]),
    "classes": (b"[[:digit:]_]x\n[^[:alpha:]]y\n[[:no:]]z\n", [b"1x", b"ax", b"_x", b"by", b"2y", b"az", b"nz"]),
    "brackets with special signs": (
        b"a[]]\nb[!]]\nc[]-a]\nd[\\]]\ne[\\\\-a]\nf[a-\ng[/]h\ni[-a]\nj[a/b]k/l\n[]\nk[!/]l\n",
        [b"a]", b"b]", b"bx", b"c^", b"d]", b"d\\]", b"e_", b"e\\", b"f[a-", b"g/h", b"i-", b"j/k/l", b"jak/l",
         b"k/l", b"kxl"],
    ),
    "stars in a row": (
        b"a**b\n/c/**d\n***/e\n/f/***/g\n**/**/h\ni/**/**/j\nk**/l\n**m/n\n",
        [b"axb", b"c/xd", b"c/x/d", b"e", b"x/e", b"x/y/e", b"f/x/g", b"f/x/y/g", b"x/h", b"h", b"i/j", b"i/x/y/j",
         b"kx/l", b"kx/y/l", b"xm/n", b"x/ym/n"],
    ),
    "two stars alone": (b"**\n!a\n!.gitignore\n", [b"a", b"b", b"d/a"]),
    "two stars and a slash": (b"**/\n", [b"a", b"d/a"]),
    "stars": (b"*.log\n/*.txt\nx/*.md\n", [b"a.log", b"d/b.log", b"a.txt", b"d/b.txt", b"x/a.md", b"x/y/b.md"]),
    "double stars": (
        b"**/deep\nfoo/**\n!foo/keep\na/**/b\nq**\n",
        [b"x/y/deep", b"deep", b"foo/keep", b"foo/k/x", b"a/b", b"a/x/y/b", b"qx/y", b"z/q/r"],
    ),
    "folders": (b"build/\n!logs/\n/tmp/\nd\n", [b"build/x", b"x/build/y", b"x/tmp/a", b"tmp/a", b"d/e", b"y/build"]),
    "a file in an ignored folder": (b"d\n!d/keep\n!/d/keep\n", [b"d/keep", b"d/x"]),
    "files of an ignored content": (b"d/*\n!d/keep\n", [b"d/keep", b"d/x", b"d/keep2/y"]),
    "everything but": (b"*\n!*/\n!*.py\n!.gitignore\n/logs/\n", [b"a.py", b"b.css", b"s/c.py", b"s/d.css", b"logs/e"]),
    "only slashes": (b"/\n!/\n//\n*/\n!*.py\n", [b"d/a.py", b"b.txt"]),
    "a slash in the middle": (b"a/b\n", [b"a/b", b"x/a/b"]),
    "capitals": (b"A\n", [b"a", b"A", b"x/A"]),
    "no newline at the end": (b"x", [b"x", b"y"]),
    "newlines in names": (b"a*\n*b\n", [b"a\nx", b"x\nb", b"c\nd"]),
}  # fmt: skip


def write(folder: Path, names: list[bytes], gitignore: bytes | None = None) -> Path:
    for name in names:
        path = folder / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    if gitignore is not None:
        (folder / ".gitignore").write_bytes(gitignore)
    return folder


def init(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    run(folder, "init", "--quiet")
    return folder


def run(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    command = ["git", *identity, *words]
    return subprocess.run(command, cwd=folder, env=git.variables(), check=True, capture_output=True, text=True).stdout


def lists_of(app: Path) -> tuple[list[str], list[str]]:
    """The app's files with git and without."""
    listing = app_files(app)
    assert not [note for note in listing.notes if "git can't" in note or "isn't installed" in note]
    return listing.names, sorted(ignore.walk(app))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tests of this file see only their own settings of git."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return folder


@pytest.mark.parametrize("case", CASES)
def test_patterns_exclude_the_same_files_with_git_and_without(tmp_path: Path, case: str):
    gitignore, names = CASES[case]
    app = write(init(tmp_path / "app"), names, gitignore)
    with_git, without_git = lists_of(app)
    assert with_git == without_git
    assert with_git


def test_the_case_with_a_bom_packs_no_env_file(tmp_path: Path):
    gitignore, names = CASES["a BOM and Windows line endings"]
    app = write(tmp_path / "app", names, gitignore)
    assert app_files(app).names == [".gitignore", "app.py"]


def test_the_release_is_the_same_before_and_after_git_init(tmp_path: Path, home: Path):
    (home / ".config/git").mkdir(parents=True)
    (home / ".config/git/ignore").write_text("*.swp\n")
    app = write(tmp_path / "app", [b"a.py", b"a.swp", b"x.log"], b"*.log\n")
    before = app_files(app).names
    init(app)
    assert app_files(app).names == before == [".gitignore", "a.py"]


def test_files_of_all_three_kinds_of_rules_are_excluded(tmp_path: Path, home: Path):
    (home / "my ignore").write_text("one\n")
    run(home, "config", "--global", "core.excludesFile", "~/my ignore")
    repository = write(init(tmp_path / "repository"), [b"apps/a/one", b"apps/a/two", b"apps/a/three", b"apps/a/four"])
    (repository / ".git/info/exclude").write_text("/apps/a/two\n")
    (repository / "apps/.gitignore").write_text("three\n!one\n")
    assert lists_of(repository / "apps/a") == (["four", "one"], ["four", "one"])


def test_a_tracked_file_is_part_of_the_app_even_if_a_pattern_matches_it(tmp_path: Path):
    app = write(init(tmp_path / "app"), [b"static/app.js", b"static/new.js", b"a.py"], b"static/\n")
    run(app, "add", "--force", "static/app.js")
    assert app_files(app).names == [".gitignore", "a.py", "static/app.js"]


def test_a_deleted_file_and_a_file_behind_a_new_link_are_left_out(tmp_path: Path):
    app = write(init(tmp_path / "app"), [b"a", b"b", b"d/x", b"e/x"])
    run(app, "add", ".")
    (app / "a").unlink()
    (app / "d/x").rename(app / "d/y")
    (app / "e/x").unlink()
    (app / "e").rmdir()
    (app / "e").symlink_to("d")
    assert lists_of(app) == (["b", "d/y", "e"], ["b", "d/y", "e"])


def test_what_is_checked_out_in_submodules_and_other_repositories_is_part_of_the_app(tmp_path: Path):
    library = write(init(tmp_path / "library"), [b"lib.py"], b"*.log\n")
    run(library, "add", ".")
    run(library, "commit", "--quiet", "--message=x")
    app = write(init(tmp_path / "app"), [b"a.py"], b"*.tmp\n")
    run(app, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "vendor/library")
    run(app, "clone", "--quiet", str(library), "other")
    for name in ("vendor/library", "other"):
        write(app / name, [b"x.log", b"x.tmp"])  # a repository doesn't see the rules of another one
    inner = (".gitignore", "lib.py", "x.tmp")
    expected = sorted(
        [".gitignore", ".gitmodules", "a.py", *(f"{n}/{i}" for n in ("other", "vendor/library") for i in inner)]
    )
    assert lists_of(app) == (expected, expected)


def test_in_a_linked_work_tree_the_rules_of_its_repository_count(tmp_path: Path):
    main = write(init(tmp_path / "main"), [b"a.py"])
    run(main, "add", ".")
    run(main, "commit", "--quiet", "--message=x")
    run(main, "worktree", "add", "--quiet", str(tmp_path / "linked"))
    (main / ".git/info/exclude").write_text("secret\n")
    linked = write(tmp_path / "linked", [b"secret", b"b.py"])
    assert lists_of(linked) == (["a.py", "b.py"], ["a.py", "b.py"])


def test_variables_of_a_hook_dont_lead_to_another_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    other = write(init(tmp_path / "other"), [b"wrong.py"])
    run(other, "add", ".")
    app = write(init(tmp_path / "app"), [b"a.py", b"b.log"], b"*.log\n")
    run(app, "add", "--force", "b.log")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    monkeypatch.setenv("GIT_TRACE", "1")
    assert app_files(app).names == [".gitignore", "a.py", "b.log"]


def test_no_program_that_the_settings_of_a_repository_name_is_started(tmp_path: Path):
    app = write(init(tmp_path / "app"), [b"a.py"])
    run(app, "add", ".")
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    program.chmod(0o755)
    run(app, "config", "core.fsmonitor", str(program))
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks/post-index-change").symlink_to(program)
    run(app, "config", "core.hooksPath", str(tmp_path / "hooks"))
    assert app_files(app).names == ["a.py"]
    assert not (tmp_path / "started").exists()
    run(app, "status")
    assert (tmp_path / "started").exists(), "git would start it"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository to another user")
def test_a_repository_of_another_user_is_read_as_under_sudo(tmp_path: Path):
    app = write(init(tmp_path / "app"), [b"a.py", b"b.log"], b"*.log\n")
    run(app, "add", "--force", "b.log")
    for path in (app, *app.rglob("*")):
        os.chown(path, 12345, 12345, follow_symlinks=False)
    assert app_files(app).names == [".gitignore", "a.py", "b.log"]


def test_a_repository_that_git_cannot_read_is_walked_and_said(tmp_path: Path):
    app = write(tmp_path / "app", [b"a.py", b"x.log"], b"*.log\n")
    (app / ".git").write_text("gitdir: /nowhere\n")
    listing = app_files(app)
    assert listing.names == [".gitignore", "a.py"]
    assert "not a git repository" in listing.notes[0]


def test_without_git_the_app_is_walked_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    app = write(init(tmp_path / "app"), [b"a.py", b"x.log"], b"*.log\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    listing = app_files(app)
    assert listing.names == [".gitignore", "a.py"]
    assert "git isn't installed" in listing.notes[0]


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16LE"),
        ("utf-16-be", "UTF-16BE"),
        ("utf-32", "UTF-32"),
        ("utf-32-be", "UTF-32BE"),
    ],
)
@pytest.mark.parametrize("in_repository", [True, False])
def test_a_gitignore_in_utf16_or_utf32_is_refused_because_git_uses_none_of_its_patterns(
    tmp_path: Path, encoding: str, shown: str, in_repository: bool
):
    app = write(tmp_path / "app", [b".env", b"a.py"], ".env\n".encode(encoding))
    if in_repository:
        init(app)
    with pytest.raises(UserError, match=rf"\.gitignore, line 1: the file is in {shown},.*iconv -f {shown} -t"):
        app_files(app)


def test_a_file_of_patterns_outside_of_the_app_in_utf16_is_refused_too(tmp_path: Path, home: Path):
    app = init(write(tmp_path / "app", [b".env", b"a.py"]))
    (app / ".git/info").mkdir(exist_ok=True)
    (app / ".git/info/exclude").write_bytes(".env\n".encode("utf-16"))
    with pytest.raises(UserError, match="info/exclude, line 1: the file is in UTF-16"):
        app_files(app)
    (app / ".git/info/exclude").unlink()
    (home / ".config/git").mkdir(parents=True)
    (home / ".config/git/ignore").write_bytes(".env\n".encode("utf-16"))
    with pytest.raises(UserError, match="git/ignore, line 1: the file is in UTF-16"):
        app_files(app)


def test_an_empty_submodule_is_said_with_the_command(tmp_path: Path):
    library = write(init(tmp_path / "library"), [b"lib.py"])
    run(library, "add", ".")
    run(library, "commit", "--quiet", "--message=x")
    app = write(init(tmp_path / "app"), [b"a.py"])
    run(app, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "library")
    assert not app_files(app).notes
    run(app, "submodule", "--quiet", "deinit", "--force", "library")
    (note,) = app_files(app).notes
    assert note.endswith("submodule update --init library")


@pytest.mark.parametrize("in_repository", [True, False])
def test_a_pattern_that_isnt_utf8_is_said_with_its_line(tmp_path: Path, in_repository: bool):
    app = write(tmp_path / "app", [b"a.py"], b"# caf\xe9\n\ncaf\xe9/\n")
    if in_repository:
        init(app)
    assert "line 3: the pattern isn't in UTF-8" in app_files(app).notes[0]


@pytest.mark.parametrize("in_repository", [True, False])
def test_a_pipe_is_refused_unless_it_is_ignored(tmp_path: Path, in_repository: bool):
    app = write(tmp_path / "app", [b"a.py", b"d/b.py"])
    if in_repository:
        init(app)
    os.mkfifo(app / "d/pipe")
    with pytest.raises(UserError, match="d/pipe is neither a file nor a folder"):
        app_files(app)
    (app / ".gitignore").write_text("pipe\n")
    assert "d/b.py" in app_files(app).names


def test_an_app_in_an_ignored_folder_is_refused_with_the_pattern(tmp_path: Path):
    repository = write(init(tmp_path / "repository"), [b"build/app/a.py"], b"x\nbuild/\n")
    with pytest.raises(UserError, match=r"git ignores the whole folder .* \.gitignore:2:build/"):
        app_files(repository / "build/app")
