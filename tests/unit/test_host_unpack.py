"""Tests of unpacking an upload."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from host.paths import Paths
from host.unpack import unpack


def _upload(paths: Paths, *members: tuple[str, str]) -> str:
    """Upload a tarball with members of (name, link target); without a link target, a member is a file."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, link in members:
            entry = tarfile.TarInfo(name)
            if link:
                entry.type, entry.linkname = tarfile.SYMTYPE, link
            archive.addfile(entry, io.BytesIO())
    release = hashlib.sha256(stream.getvalue()).hexdigest()[:12]
    paths.incoming.mkdir(parents=True)
    paths.tarball(release).write_bytes(stream.getvalue())
    return release


@pytest.fixture(params=["with Python's filter", "without it"])
def paths(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    if request.param == "without it":
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    return Paths(tmp_path)


@pytest.mark.parametrize(
    "member", [("../outside", ""), ("a/../../outside", ""), ("link", "../outside"), ("a/link", "../../outside")]
)
def test_a_member_outside_of_the_releases_folder_is_refused_and_nothing_is_left(paths: Paths, member: tuple[str, str]):
    release = _upload(paths, ("app.py", ""), member)
    with pytest.raises(tarfile.TarError, match="outside"):
        unpack(paths, release)
    assert list(paths.releases.iterdir()) == []


def test_files_and_links_inside_of_the_releases_folder_are_unpacked(paths: Paths):
    release = _upload(paths, ("..data/app.py", ""), ("a/link", "../..data/app.py"))
    assert unpack(paths, release) == "2 files"
    assert (paths.releases / release / "a/link").resolve() == (paths.releases / release / "..data/app.py").resolve()
