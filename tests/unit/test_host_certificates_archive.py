"""The kept certificate: what `up` gets of it, and a server that it is given to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from host.certificates import archive, issued, obtain
from host.errors import ReleaseError
from host.paths import Paths
from tests.unit.certificate_server import (
    ACCOUNT,
    ALIAS,
    DAY,
    DOMAIN,
    CertificateServer,
    make_certificate,
    names_in,
    request,
    write_certbots,
)

LIVE = "live/gantry/privkey.pem"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CertificateServer:
    monkeypatch.setattr(archive, "_PAUSE_SECONDS", 0.0)
    return CertificateServer(tmp_path / "new", monkeypatch)


def kept(folder: Path, *names: str, versions: int = 3, days: float = 90) -> dict[str, Any]:
    """What `up` got from another server, as JSON and back."""
    old = Paths(folder / "old")
    for version in range(1, versions + 1):
        write_certbots(old, names or (DOMAIN,), version=version, days=days)
    document: dict[str, Any] = json.loads(json.dumps(archive.pack(old)))
    return document


def test_only_the_newest_certificate_its_key_its_settings_and_the_account_are_kept(tmp_path: Path):
    document = kept(tmp_path)
    kinds = ("cert", "chain", "fullchain", "privkey")
    assert sorted(document["files"]) == sorted(
        [ACCOUNT, "live/gantry/README", "renewal/gantry.conf", *(f"archive/gantry/{kind}3.pem" for kind in kinds)]
    )
    assert document["links"] == {f"live/gantry/{kind}.pem": f"../../archive/gantry/{kind}3.pem" for kind in kinds}


def test_another_server_gets_the_same_files_that_only_their_owner_can_read_and_serves_them(
    server: CertificateServer, tmp_path: Path
):
    document = kept(tmp_path, DOMAIN, ALIAS)
    assert obtain.restore(server.paths, document)
    assert archive.pack(server.paths) == document
    assert server.served == {DOMAIN, ALIAS}
    assert {path.stat().st_mode & 0o777 for path in server.paths.acme_config.rglob("*.pem")} == {0o600}
    assert server.paths.acme_config.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in server.paths.acme.iterdir() if path.name.startswith(".")] == []


def test_a_server_with_a_certificate_keeps_its_own(server: CertificateServer, tmp_path: Path):
    write_certbots(server.paths, [ALIAS])
    before = archive.pack(server.paths)
    assert not obtain.restore(server.paths, kept(tmp_path))
    assert archive.pack(server.paths) == before
    assert server.served == {ALIAS}


@pytest.mark.parametrize("rest", ["live/gantry/README", "archive/gantry/privkey1.pem", "renewal/gantry.conf"])
def test_what_a_killed_run_has_left_is_replaced(rest: str, server: CertificateServer, tmp_path: Path):
    path = server.paths.acme_config / rest
    path.parent.mkdir(parents=True)
    path.touch()
    (server.paths.acme / ".config.restored/live").mkdir(parents=True)
    assert obtain.restore(server.paths, kept(tmp_path))
    assert server.served == {DOMAIN}
    assert not (server.paths.acme_config / "archive/gantry/privkey1.pem").exists()


def hostile(document: dict[str, Any], change: str) -> dict[str, Any]:
    contents, links = document["files"], document["links"]
    outside = {"/etc/cron.d/x", "../x", "live/../../x", "other/x", "live", "", "."}
    if change in outside:
        contents[change] = "* * * * * root true"
    elif change.startswith("->"):
        links[LIVE] = change.removeprefix("->")
    elif change == "folder is a link":
        links["live/gantry"] = "../archive/gantry"
    elif change == "a number":
        contents[ACCOUNT] = 7
    elif change == "half a character":
        contents[ACCOUNT] = "\ud800"
    elif change == "no links":
        del document["links"]
    elif change == "another key":
        contents["archive/gantry/privkey3.pem"] = make_certificate([DOMAIN])[1]
    elif change == "no key":
        del links[LIVE]
    else:
        raise AssertionError(change)
    return document


@pytest.mark.parametrize(
    "change",
    [
        "/etc/cron.d/x", "../x", "live/../../x", "other/x", "live", "", ".",
        "->/etc/shadow", "->../../../../../etc/shadow", "->../../..", "->../../other/x",
        "folder is a link", "a number", "half a character", "no links", "another key", "no key",
    ],
)  # fmt: skip
def test_a_hostile_or_broken_archive_changes_nothing(change: str, server: CertificateServer, tmp_path: Path):
    document = hostile(kept(tmp_path), change)
    account = server.paths.acme_config / ACCOUNT
    account.parent.mkdir(parents=True)
    account.write_text("this server's own")
    server.paths.certificate_lock.parent.mkdir(parents=True)
    before = sorted(path for path in tmp_path.rglob("*") if not path.name.endswith(".lock"))
    with pytest.raises(ReleaseError, match="kept certificate"):
        obtain.restore(server.paths, document)
    assert sorted(path for path in tmp_path.rglob("*") if not path.name.endswith(".lock")) == before
    assert account.read_text() == "this server's own"


@pytest.mark.parametrize("document", [[], "text", 7, {"files": [], "links": {}}])
def test_another_document_is_no_archive(document: Any, server: CertificateServer):
    with pytest.raises(ReleaseError, match="has no files and links"):
        obtain.restore(server.paths, document)


def test_a_kept_certificate_that_has_ended_isnt_served_but_its_account_is_there(
    server: CertificateServer, tmp_path: Path
):
    document = kept(tmp_path)
    server.now += 91 * DAY
    assert obtain.restore(server.paths, document)
    assert server.served == set()
    assert (server.paths.acme_config / ACCOUNT).exists()
    assert obtain.obtain(server.paths, request(DOMAIN), wait=0).problem == ""
    assert server.served == {DOMAIN}


def test_a_kept_certificate_that_nginx_refuses_doesnt_stop_the_next_request(server: CertificateServer, tmp_path: Path):
    server.nginx_error = "nginx -t failed"
    with pytest.raises(ReleaseError, match="nginx -t failed"):
        obtain.restore(server.paths, kept(tmp_path))
    assert server.served == set()
    server.nginx_error = ""
    obtain.obtain(server.paths, request(DOMAIN), wait=0)
    assert server.served == {DOMAIN}


def test_without_a_certificate_there_is_nothing_to_keep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(archive, "_PAUSE_SECONDS", 0.0)
    paths = Paths(tmp_path)
    assert archive.pack(paths) is None
    write_certbots(paths, [DOMAIN])
    (paths.acme_config / LIVE).unlink()
    assert archive.pack(paths) is None


def test_a_certificate_that_is_replaced_while_it_is_packed_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(archive, "_PAUSE_SECONDS", 0.0)
    paths = Paths(tmp_path)
    write_certbots(paths, [DOMAIN])
    read, calls = archive._read, list[int]()  # pyright: ignore[reportPrivateUsage]

    def read_while_certbot_writes(top: Path) -> archive.Archive:
        document = read(top)
        calls.append(1)
        if len(calls) == 1:
            write_certbots(paths, [DOMAIN], version=2)
        return document

    monkeypatch.setattr(archive, "_read", read_while_certbot_writes)
    document = archive.pack(paths)
    assert document and "archive/gantry/privkey2.pem" in document["files"]


def test_files_outside_of_certbots_folders_are_never_kept(tmp_path: Path):
    secret = tmp_path / "shadow"
    secret.write_text("root's own")
    paths = Paths(tmp_path / "server")
    write_certbots(paths, [DOMAIN])
    (paths.acme_config / "accounts/link").symlink_to(secret)
    (paths.acme_config / "archive/gantry/link.pem").symlink_to(secret)
    (paths.acme_config / "live/gantry/link.pem").symlink_to("../../archive/gantry/link.pem")
    document = archive.pack(paths)
    assert document and "root's own" not in json.dumps(document)
    assert names_in(paths.acme_config / "live/gantry") == {DOMAIN}


def test_a_folder_of_certbot_that_is_a_link_to_elsewhere_is_not_kept(tmp_path: Path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root/id_ed25519").write_text("root's own")
    paths = Paths(tmp_path / "server")
    write_certbots(paths, [DOMAIN])
    for path in sorted((paths.acme_config / "accounts").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (paths.acme_config / "accounts").rmdir()
    (paths.acme_config / "accounts").symlink_to(tmp_path / "root")
    document = archive.pack(paths)
    assert document and "root's own" not in json.dumps(document)


def test_the_restored_certificate_is_the_one_that_certbot_goes_on_with(server: CertificateServer, tmp_path: Path):
    obtain.restore(server.paths, kept(tmp_path, *request().names))
    before = issued.read(server.paths.certificate)
    result = obtain.obtain(server.paths, request(), wait=0)
    assert (result.problem, result.missing) == ("", {})
    assert issued.read(server.paths.certificate) == before
    assert server.reloads == 1
