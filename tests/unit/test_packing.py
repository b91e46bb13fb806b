"""Packing an app: what is said about its files, and folders that can't be packed as they are."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pulumi
import pytest

from components.app import artifact, suspects, tarball
from components.app.listing import Listing, app_files
from components.app.source import Source
from components.errors import UserError
from host.paths import Paths
from host.unpack import unpack
from tests.packed_app import packed
from tests.unit.tarballs import members

ROOT = Path(__file__).resolve().parents[2]
LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def notes(app: Path) -> str:
    return "\n".join(artifact.contents(app)[1])


def test_secrets_and_databases_are_named_with_both_remedies_and_no_content(app: Path):
    for name in (".env", ".env.production", "certs/server.pem", "id_rsa", "conf/credentials.json", "KEY.P12"):
        (app / name).parent.mkdir(exist_ok=True)
        (app / name).write_text("hunter2")
    for name in (".env.example", ".env.sample", "sample.env", "keys.py", "Thumbs.db", "monkey.txt"):
        (app / name).write_text("")
    (app / "db.sqlite3").write_text("hunter2")
    secret, database = artifact.contents(app)[1]
    names = ".env, .env.production, KEY.P12, certs/server.pem, conf/credentials.json, id_rsa;"
    assert secret.startswith(f"these packed files look like secrets: {names}")
    assert ".gitignore" in secret
    assert "pulumi config set --path env.NAME --secret" in secret
    assert database.startswith("these packed files look like databases: db.sqlite3;")
    assert "/var/lib/app" in database
    assert "linkedPaths" in database
    assert "hunter2" not in secret + database


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("deploy_key", "-----BEGIN OPENSSH PRIVATE KEY-----\n"),
        ("gcp.json", '{\n  "type": "service_account",\n'),
        (".npmrc", "//npm.test/:_authToken=hunter2\n"),
        (".aws/credentials", "[default]\naws_secret_access_key = hunter2\n"),
    ],
)
def test_secrets_are_found_by_their_first_lines(app: Path, name: str, content: str):
    (app / name).parent.mkdir(exist_ok=True)
    (app / name).write_text(content)
    assert f"look like secrets: {name};" in notes(app)


def test_files_that_only_speak_of_secrets_are_not_named(app: Path):
    (app / "keys.py").write_text("BEGIN = '-----BEGIN PRIVATE KEY-----'\n")
    (app / ".npmrc").write_text("//npm.test/:_authToken=${NPM_TOKEN}\n")
    (app / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\n")
    assert "secrets" not in notes(app)


def test_many_names_are_counted_and_odd_names_are_escaped():
    names = [f"{number:02}.pem" for number in range(12)]
    assert suspects.listed(names).endswith("09.pem and 2 more")
    assert suspects.listed(["a\nb", "c\x1b", "d\udce9"]) == "a\\nb, c\\x1b, d\\udce9"


def test_pointers_of_git_lfs_are_named(app: Path):
    (app / "static/big.css").write_text(LFS_POINTER)
    assert "Git LFS in place of their content: static/big.css; get it with: git lfs pull" in notes(app)


def test_notes_are_shown_once_for_each_release(app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warnings.append)
    (app / ".env").write_text("TOKEN=hunter2\n")
    source = Source(app, None)
    first = source.pack(tmp_path / "out")
    assert ["look like secrets: .env" in warning for warning in warnings] == [True]
    assert source.pack(tmp_path / "out") == first
    assert len(warnings) == 1
    (app / "hello.py").write_text("app = 2\n")
    source.pack(tmp_path / "out")
    assert ["look like secrets: .env" in warning for warning in warnings] == [True, True]


def test_the_example_app_needs_no_note():
    assert notes(ROOT / "examples/rocket") == ""


@pytest.mark.parametrize("links", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "static/b", "static/b": "../a"}])
def test_a_link_that_leads_back_to_itself_is_refused(app: Path, links: dict[str, str]):
    for name, target in links.items():
        (app / name).symlink_to(target)
    with pytest.raises(UserError, match=r"/a is a symbolic link that leads back to itself .*: remove it"):
        packed(app)


def test_links_to_folders_above_them_are_kept_and_not_followed(app: Path):
    (app / "static/loop").symlink_to("..")
    (app / "here").symlink_to(".")
    packed_members = members(app)
    assert packed_members["static/loop"].linkname == ".."
    assert not [name for name in packed_members if name.startswith(("static/loop/", "here/"))]
    assert notes(app) == ""


def test_a_link_to_what_isnt_packed_is_said(app: Path):
    (app / ".gitignore").write_text("local.py\n")
    (app / "local.py").write_text("")
    (app / "settings.py").symlink_to("local.py")
    (app / "broken").symlink_to("nowhere/x")
    (app / "fine").symlink_to("static")
    said = notes(app)
    assert "broken leads to nowhere/x, which isn't packed" in said
    assert "settings.py leads to local.py, which isn't packed" in said
    assert "fine" not in said


def test_a_list_of_packages_that_is_a_link_is_packed_as_the_file_itself(app: Path):
    (app / "requirements").mkdir()
    (app / "requirements.txt").rename(app / "requirements/live.txt")
    (app / "requirements.txt").symlink_to("requirements/live.txt")
    before = members(app)["requirements.txt"]
    assert before.isfile()
    assert before.size == (app / "requirements/live.txt").stat().st_size
    assert notes(app) == ""


@pytest.mark.parametrize("name", ["Procfile", "app.json"])
def test_a_link_in_place_of_another_file_that_gantry_reads_is_refused(app: Path, name: str):
    (app / name).unlink(missing_ok=True)
    (app / name).symlink_to("requirements.txt")
    with pytest.raises(UserError, match=f"{name} is a symbolic link: replace it by the file itself"):
        packed(app)


def test_a_link_to_a_name_that_begins_with_two_dots_stays_in_the_app(app: Path):
    (app / "..data").write_text("")
    (app / "link").symlink_to("..data")
    assert members(app)["link"].linkname == "..data"


def test_a_socket_is_refused(app: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(app)  # the path of a socket has at most 107 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("app.sock")
        with pytest.raises(UserError, match=r"app\.sock is neither a file nor a folder: remove it or add it"):
            packed(app)


def test_names_with_any_bytes_are_packed_and_unpacked_unchanged(app: Path, tmp_path: Path):
    names = [b"new\nline", b"caf\xe9", "ü€😀".encode(), b"tab\t", b"quote'\"", b"-dash", b"x" * 255]
    names.append(b"y" * 120 + b"/" + b"z" * 120)
    for name in names:
        path = app / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name)
    paths = Paths(tmp_path / "server")
    paths.incoming.mkdir(parents=True)
    release = artifact.pack(app, paths.incoming).release
    unpack(paths, release)
    assert all((paths.releases / release / os.fsdecode(name)).read_bytes() == name for name in names)


def test_an_error_about_a_name_that_isnt_utf8_can_be_shown(app: Path):
    (app / os.fsdecode(b"caf\xe9")).symlink_to("/nowhere")
    with pytest.raises(UserError, match=r"caf.*leaves the app") as error:
        packed(app)
    assert str(error.value).encode().isascii()


def write_as_much(path: Path) -> None:
    path.write_text("b {}")
    os.utime(path, (1, 1))  # two writes in one tick of the kernel's clock have the same time


@pytest.mark.parametrize("change", [Path.unlink, lambda path: os.truncate(path, 1), write_as_much])
def test_a_file_that_changes_while_it_is_packed_is_named(app: Path, change: Callable[[Path], object]):
    found, *_ = artifact.contents(app)
    change(app / "static/style.css")
    with pytest.raises(UserError, match=r"static/style\.css changed while the app was packed: run the command again"):
        tarball.write(found, lambda _: None)


def test_a_file_that_vanishes_after_it_was_listed_is_named(app: Path, tmp_path: Path):
    def files(folder: Path) -> Listing:
        listing = app_files(folder)
        (app / "hello.py").unlink()
        return listing

    with pytest.raises(UserError, match=r"hello\.py changed while the app was packed"):
        artifact.pack(app, tmp_path / "out", files=files)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user, who can't read the file")
@pytest.mark.parametrize("name", ["hello.py", "static", "requirements.txt", ".gitignore"])
@pytest.mark.parametrize("in_repository", [True, False])
def test_what_cannot_be_read_is_named(app: Path, name: str, in_repository: bool, monkeypatch: pytest.MonkeyPatch):
    # Only root can reach the folders of pytest.
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("HOME", folder)
        Path(folder).chmod(0o755)
        app = app.rename(Path(folder) / "app")
        (app / ".gitignore").touch()
        if in_repository:
            subprocess.run(["git", "init", "--quiet"], cwd=app, check=True)
        (app / name).chmod(0)
        os.setresuid(65534, 65534, 0)
        try:
            with pytest.raises(UserError, match=rf"{name}.*[Pp]ermission denied.*permissions"):
                packed(app)
        finally:
            os.setresuid(0, 0, 0)


@pytest.mark.parametrize("name", ["app.json", "pyproject.toml", "uv.lock", "Pipfile.lock"])
@pytest.mark.parametrize("content", ["\n\n# é".encode("latin-1"), b"\n\n" + b"\xff"])
def test_a_file_that_must_be_in_utf8_is_refused_with_its_line(app: Path, name: str, content: bytes):
    (app / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{name}, line 3: a character isn't in UTF-8: save the file as UTF-8"):
        packed(app)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_an_app_module_in_another_encoding_is_refused_with_its_line(app: Path, encoding: str):
    (app / "Procfile").unlink()
    (app / "app.py").write_bytes("app = 'é'\n".encode(encoding))
    with pytest.raises(UserError, match=r"no Python can read app\.py \(line 1: "):
        packed(app)


def test_a_full_disk_is_said_and_leaves_nothing(app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tarball, "write", full)
    with pytest.raises(UserError, match=r"1 MB can't be written to .*: No space left on device; free some space"):
        artifact.pack(app, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_tarball_of_the_same_size_isnt_taken_for_the_same(app: Path, tmp_path: Path):
    first = artifact.pack(app, tmp_path / "out")
    (app / "hello.py").write_text((app / "hello.py").read_text()[::-1])
    second = artifact.pack(app, tmp_path / "out")
    assert first.path.stat().st_size == second.path.stat().st_size
    for kept in (first, second):
        assert hashlib.sha256(kept.path.read_bytes()).hexdigest().startswith(kept.release)


def test_an_unchanged_app_is_not_written_again(app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = artifact.pack(app, tmp_path / "out")
    monkeypatch.setattr(artifact, "_write", lambda *_: pytest.fail("it was written again"))
    assert artifact.pack(app, tmp_path / "out") == first


def test_a_large_app_is_packed_without_holding_it_in_memory(app: Path, tmp_path: Path):
    with (app / "large.bin").open("wb") as stream:
        stream.truncate(300_000_000)  # a sparse file
    program = "import sys; from pathlib import Path; from components.app import artifact; print(0)\n"
    pack = "artifact.pack(Path(sys.argv[1]), Path(sys.argv[2]))\n"
    peaks = [peak_of(program), peak_of(program + pack, str(app), str(tmp_path / "out"))]
    (tarball_path,) = (tmp_path / "out").iterdir()
    assert tarball_path.stat().st_size > 300_000_000
    tarball_path.unlink()
    assert peaks[1] - peaks[0] < 20_000_000


def peak_of(program: str, *words: str) -> int:
    """The most memory that a Python program had, in bytes."""
    program += "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    result = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return int(result.stdout.split()[-1]) * (1 if sys.platform == "darwin" else 1024)


def test_the_web_line_that_stands_for_a_missing_procfile_is_returned_once(app: Path, tmp_path: Path):
    assert artifact.pack(app, tmp_path / "packed").web_line == ""
    (app / "Procfile").unlink()
    (app / "wsgi.py").write_text("from hello import app\n")
    assert artifact.pack(app, tmp_path / "packed").web_line == "web: gunicorn wsgi:app"
    assert artifact.pack(app, tmp_path / "packed").web_line == ""
