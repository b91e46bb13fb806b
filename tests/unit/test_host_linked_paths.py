"""Linked paths: which there are, where they point, and what happens to data and to files of the release."""

from __future__ import annotations

from pathlib import Path

import pytest

from host import build, collectstatic, files, linked_paths
from host.deployment import Deployment
from host.errors import ReleaseError
from tests.unit.test_host_build import BuildServer

DATA = "media/a.txt", "db.sqlite3"


class LinkServer(BuildServer):
    """A server with the packages in ``packages``."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(root, monkeypatch)
        self.packages: set[str] = set()
        self.home = self.paths.app_home
        for module in (linked_paths, collectstatic):
            monkeypatch.setattr(module.venv, "has_package", lambda _, name: name in self.packages)

    def link(self, release: str, *linked: str, defaults: bool = False) -> Path:
        """Install an unpacked release with these linked paths; returns the folder that the app runs in."""
        options = Deployment(release, "s1", {}, linked, defaults)
        return build.ensure(self.paths, options, self.install(self.paths, self.paths.releases / release, {})[0]).app

    def ship(self, release: str, *names: str) -> None:
        """Add files to an unpacked release, each with its name as content."""
        for name in names:
            file = self.paths.releases / release / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(name)

    def links(self, app: Path) -> set[str]:
        return {str(path.relative_to(app)) for path in app.rglob("*") if path.is_symlink()}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LinkServer:
    return LinkServer(tmp_path, monkeypatch)


def test_a_linked_path_points_to_the_same_path_in_the_home_of_the_app(server: LinkServer):
    app = server.link(server.unpack("aa"), "media", "shop/db.sqlite3", "uploads.d/")
    assert (app / "media").readlink() == server.home / "media"
    # A program creates the file through the link, and its folder must exist.
    (app / "shop/db.sqlite3").write_text("rows")
    assert (server.home / "shop/db.sqlite3").read_text() == "rows"
    assert [(server.home / name).is_dir() for name in ("media", "uploads.d")] == [True, True]


def test_the_files_of_a_build_with_links_alone_are_those_of_the_release(server: LinkServer):
    app = server.link(server.unpack("aa", page="one"), "media")
    assert (app / "page").samefile(server.paths.releases / "aa/page")


def test_files_that_the_release_ships_seed_the_data_once_and_never_overwrite_it(
    server: LinkServer, capsys: pytest.CaptureFixture[str]
):
    for release in ("aa", "bb"):
        server.unpack(release)
        server.ship(release, *DATA)
    server.link("aa", "media", "db.sqlite3")
    assert [(server.home / name).read_text() for name in DATA] == list(DATA)
    assert f"media: copied from the release to {server.home / 'media'}" in capsys.readouterr().out
    (server.home / "media/visitor.txt").write_text("uploaded")
    server.link("bb", "media", "db.sqlite3")
    assert " stays as it is" not in capsys.readouterr().out
    (server.home / "db.sqlite3").write_text("rows")
    (server.home / "media/a.txt").unlink()
    server.link("bb", "media", "db.sqlite3")
    output = capsys.readouterr().out
    assert f"media: {server.home / 'media'} stays as it is, and differs" in output
    assert f"db.sqlite3: {server.home / 'db.sqlite3'} stays as it is, and differs" in output
    assert (server.home / "db.sqlite3").read_text() == "rows"
    assert (server.paths.releases / "aa/media/a.txt").read_text() == "media/a.txt"


def test_a_seed_that_was_killed_is_made_again(server: LinkServer, monkeypatch: pytest.MonkeyPatch):
    server.unpack("aa")
    server.ship("aa", *DATA)
    run_as = files.run_as

    def die_half_way(user: str, command: list[str], umask: int = 0o022) -> None:
        (server.home / "media.partial").mkdir()
        (server.home / "media.partial/half").touch()
        raise SystemError

    with monkeypatch.context() as patch:
        patch.setattr(files, "run_as", die_half_way)
        with pytest.raises(SystemError):
            server.link("aa", "media")
    assert files.run_as is run_as
    server.link("aa", "media")
    assert [file.name for file in server.home.rglob("*")] == ["media", "a.txt"]


def test_what_a_build_wrote_to_a_linked_path_is_said_and_hidden(server: LinkServer, capsys: pytest.CaptureFixture[str]):
    command = "mkdir instance; touch instance/shop.db"
    server.unpack("aa", Procfile=f"web: gunicorn a:b\nbuild: {command}\n")
    server.link("aa", "instance")
    assert "instance: the build wrote shop.db there" in capsys.readouterr().out
    assert list((server.home / "instance").iterdir()) == []


def test_a_linked_path_must_not_leave_the_app(server: LinkServer, tmp_path: Path):
    server.unpack("aa", Procfile=f"web: gunicorn a:b\nbuild: ln -s {tmp_path} out\n")
    with pytest.raises(ReleaseError, match="linked path out/media leaves the app"):
        server.link("aa", "out/media")
    assert not (tmp_path / "media").exists()


def test_a_folder_can_not_replace_a_file_of_the_data(server: LinkServer):
    server.home.mkdir(parents=True)
    (server.home / "media").touch()
    with pytest.raises(ReleaseError, match=r"media is a folder of the app, but .*/media is a file"):
        server.link(server.unpack("aa"), "media/")


def test_flasks_instance_folder_is_linked_on_a_single_server_without_a_setting(server: LinkServer):
    server.unpack("aa")
    assert server.links(server.link("aa", defaults=True)) == set()
    server.packages = {"flask"}
    assert server.links(server.link("aa", defaults=True)) == {"instance"}
    assert server.links(server.link("aa")) == set()
    assert (server.home / "instance").is_dir()


def test_flasks_instance_folder_is_where_flask_looks_for_it(server: LinkServer):
    server.packages = {"flask"}
    server.unpack("aa")
    server.ship("aa", "src/shop/__init__.py", "src/shop/web/__init__.py", "tests/conftest.py")
    for name in ("src/shop/web/__init__.py", "tests/conftest.py"):
        (server.paths.releases / "aa" / name).write_text("app = Flask(__name__)")
    assert server.links(server.link("aa", defaults=True)) == {"instance", "src/instance"}


def test_an_instance_folder_that_the_release_ships_stays_unless_a_setting_links_it(server: LinkServer):
    server.packages = {"flask"}
    server.unpack("aa")
    server.ship("aa", "instance/config.py")
    assert server.links(server.link("aa", defaults=True)) == set()
    assert server.links(server.link("aa", "instance", defaults=True)) == {"instance"}
    assert (server.home / "instance/config.py").read_text() == "instance/config.py"


def test_a_second_server_is_refused_while_the_first_has_data_in_an_instance_folder_that_it_would_lose(
    server: LinkServer,
):
    server.packages = {"flask"}
    app = server.link(server.unpack("aa"), defaults=True)
    deployment = server.paths.deployments / "aa-1"
    files.point(deployment / "app", app)
    files.point(server.paths.current, deployment)
    assert server.links(server.link("aa")) == set()
    (server.home / "instance/shop.db").touch()
    with pytest.raises(ReleaseError, match="pulumi config set linkedPathsPerServer true"):
        server.link("aa")
    assert server.links(server.link("aa", defaults=True)) == {"instance"}


def test_changed_linked_paths_are_another_deployment():
    before, after = Deployment("aa", "s1", {}), Deployment("aa", "s1", {}, ("media",))
    assert before.name != after.name
    # A server that has been upgraded keeps its deployment.
    assert before.name == "aa-501dfb"
