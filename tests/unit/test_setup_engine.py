from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tools.offline.go import INSTALL_GO
from tools.setup import download, engine, versions
from tools.setup.engine import Installed, fault_of, pulumi_on
from tools.setup.engine_install import choose_method
from tools.setup.paths import ENGINE_MODULES, ROOT
from tools.setup.report import SetupError

GOOD = Installed("/opt/pulumi", "v3.259.0", has_python_host=True)
NONE = "there is no pulumi on PATH"


def test_a_pulumi_on_path_of_the_sdks_version_or_later_is_used():
    assert fault_of(GOOD) is None
    assert fault_of(GOOD._replace(version="3.300.1")) is None


@pytest.mark.parametrize(
    ("installed", "why"),
    [
        (None, NONE),
        (GOOD._replace(version="v3.258.9"), "/opt/pulumi is v3.258.9, not 3.259.0 or a later 3.x"),
        (GOOD._replace(version="v4.0.0"), "/opt/pulumi is v4.0.0, not 3.259.0 or a later 3.x"),
        (GOOD._replace(version=""), "/opt/pulumi doesn't print its version"),
        (
            GOOD._replace(has_python_host=False),
            "/opt/pulumi has no pulumi-language-python beside it or on PATH",
        ),
    ],
)
def test_a_pulumi_on_path_that_does_not_fit_is_refused_with_the_reason(installed: Installed | None, why: str):
    assert fault_of(installed) == why


def test_the_official_release_is_preferred_to_a_build():
    method, why = choose_method(NONE, "linux-x64", lambda: True, "/usr/bin/go")
    assert (method, why) == ("download", f"Pulumi 3.259.0, the official release for linux-x64 ({NONE})")


def test_without_a_download_the_engine_is_built():
    method, why = choose_method(NONE, "linux-x64", lambda: False, "/usr/bin/go")
    assert method == "build"
    assert "Pulumi's downloads cannot be reached" in why


def test_a_platform_without_an_official_release_sends_no_request():
    method, why = choose_method(NONE, None, lambda: pytest.fail("a request was sent"), "/usr/bin/go")
    assert method == "build"
    assert "no official release fits this platform" in why


def test_without_download_and_go_the_error_says_what_to_install():
    with pytest.raises(SetupError, match=r"Install Go 1\.25\.11 or newer .*, or Pulumi 3\.259\.0"):
        choose_method(NONE, "linux-x64", lambda: False, None)


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_this_checkouts_own_pulumi_and_links_to_it_do_not_count_as_the_users(tmp_path: Path):
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "pulumi").symlink_to(ROOT / "bin" / "pulumi")
    users = executable(tmp_path / "users" / "pulumi")
    path = [ROOT / "bin", tmp_path / "links", tmp_path / "empty", users.parent]
    assert pulumi_on(os.pathsep.join(map(str, path))) == str(users)
    assert pulumi_on(os.pathsep.join(map(str, path[:3]))) is None


def test_the_language_host_is_found_beside_the_program_or_where_it_links_to(tmp_path: Path):
    real = executable(tmp_path / "opt" / "pulumi")
    link = tmp_path / "bin" / "pulumi"
    link.parent.mkdir()
    link.symlink_to(real)
    assert not engine.inspect_pulumi(str(link), "").has_python_host
    executable(real.with_name("pulumi-language-python"))
    assert engine.inspect_pulumi(str(link), "").has_python_host


def test_the_engine_is_chosen_again_when_the_pulumi_on_path_changes(tmp_path: Path):
    users = executable(tmp_path / "pulumi")
    environ = {"PATH": str(tmp_path)}
    before = engine.inputs(environ)
    assert engine.inputs(environ) == before
    os.utime(users, (1, 1))
    assert engine.inputs(environ) != before
    assert engine.inputs({"PATH": ""}) != before


def test_a_moved_go_module_does_not_cause_another_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pins = engine.pins()
    moved = shutil.copytree(ENGINE_MODULES, tmp_path / "moved")
    monkeypatch.setattr(engine, "ENGINE_MODULES", moved)
    assert engine.pins() == pins
    (moved / "language" / "go.sum").write_text("")
    assert engine.pins() != pins


def test_the_go_modules_and_the_sdk_have_the_engines_version():
    module = (ENGINE_MODULES / "pulumi" / "go.mod").read_text()
    required = dict(re.findall(r"(github\.com/pulumi/pulumi/\w+/v3) (v[\d.]+)", module))
    assert required == {
        "github.com/pulumi/pulumi/pkg/v3": f"v{versions.PULUMI}",
        "github.com/pulumi/pulumi/sdk/v3": f"v{versions.PULUMI}",
    }
    assert f"\npulumi=={versions.PULUMI} " in (ROOT / "requirements.txt").read_text()
    go = re.search(r"^go ([\d.]+)$", module, re.MULTILINE)
    assert go is not None
    assert f"Go {go[1]} " in INSTALL_GO


def test_a_checksum_is_found_by_the_whole_name_of_its_file():
    listing = f"{'a' * 64}  pulumi-v1-linux-x64.tar.gz\n{'B' * 64} *other.tar.gz\nshort  odd.tar.gz\n"
    assert download.checksum_in(listing, "pulumi-v1-linux-x64.tar.gz") == "a" * 64
    assert download.checksum_in(listing, "other.tar.gz") == "b" * 64
    assert download.checksum_in(listing, "linux-x64.tar.gz") is None
    assert download.checksum_in(listing, "odd.tar.gz") is None


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A download server with one release. Yields its folder, which the test can change."""
    folder = tmp_path / "server"
    (folder / "v3.259.0").mkdir(parents=True)
    with tarfile.open(folder / download.archive_name("3.259.0", "linux-x64"), "w:gz") as archive:
        for name in (
            "pulumi/pulumi",
            "pulumi/pulumi-language-python",
            "pulumi/pulumi-language-go",
            "../pulumi-python",
        ):
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    write_checksums(folder)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{serving.server_port}"
        monkeypatch.setattr(download, "ARCHIVES", address)
        monkeypatch.setattr(download, "CHECKSUMS", address)
        yield folder
        serving.shutdown()
        thread.join()


def write_checksums(folder: Path, digest: str | None = None) -> None:
    name = download.archive_name("3.259.0", "linux-x64")
    digest = digest or hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "v3.259.0" / "pulumi-3.259.0-checksums.txt").write_text(f"{digest}  {name}\n")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def test_of_a_release_only_the_engine_and_its_python_host_are_unpacked(server: Path, target: Path):
    download.release_into(target, "3.259.0", "linux-x64")
    assert sorted(file.name for file in target.iterdir()) == [
        "pulumi",
        "pulumi-language-python",
        "pulumi-python",
    ]
    assert os.access(target / "pulumi", os.X_OK)
    assert not (target.parent / "pulumi-python").exists(), (
        "a member with .. in its path was unpacked outside the folder"
    )


def test_a_release_with_another_checksum_is_not_unpacked(server: Path, target: Path):
    write_checksums(server, "0" * 64)
    with pytest.raises(SetupError, match="its published checksums say 0000"):
        download.release_into(target, "3.259.0", "linux-x64")
    assert not (target / "pulumi").exists()


def test_a_release_that_is_not_listed_is_not_unpacked(server: Path, target: Path):
    (server / "v3.259.0" / "pulumi-3.259.0-checksums.txt").write_text("")
    with pytest.raises(SetupError, match="its published checksums say nothing"):
        download.release_into(target, "3.259.0", "linux-x64")


def test_a_missing_release_is_a_download_error(server: Path, target: Path):
    with pytest.raises(download.DownloadError):
        download.release_into(target, "9.9.9", "linux-x64")


def test_a_server_is_reachable_if_it_answers_and_not_if_nothing_listens(server: Path):
    assert download.reachable(download.ARCHIVES)
    assert download.reachable(f"{download.ARCHIVES}/not-there")
    assert not download.reachable("http://127.0.0.1:9", seconds=1)
