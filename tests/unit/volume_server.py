"""A fake server with a volume, for tests of the host program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from host import app_units, data_move, files, mounts, resume, systemd, volume, volume_data
from host.errors import ReleaseError
from host.paths import Paths

SIZE = 20


class VolumeServer:
    """A server whose mounts are a set, and whose volume is a folder that is mounted already, as on the local target.

    A step in ``dies_at`` ends the run as after SIGKILL.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = Paths(root)
        self.mounted: set[Path] = {self.paths.volume}
        self.is_running = False
        self.dies_at = ""
        self.calls: list[str] = []
        # Tests replace them: one is called while the app stops, the other when a folder is written to the disk.
        self.while_it_stops: Callable[[], object] = lambda: None
        self.sync: Callable[[Path], object] = lambda _: None
        self.start_fails = False
        # Processes that aren't the app's, and a mount that stays.
        self.users: list[str] = []
        self.stays_mounted: Path | None = None
        self.paths.volume.mkdir(parents=True)
        self.paths.units.mkdir(parents=True)
        self.paths.disk_reserve.parent.mkdir(parents=True)
        monkeypatch.setattr(mounts, "find", lambda path: path in self.mounted or None)
        monkeypatch.setattr(mounts, "is_bound", lambda _folder, below, at: at in self.mounted and below in self.mounted)
        monkeypatch.setattr(systemd, "systemctl", self.systemctl)
        monkeypatch.setattr(systemd, "journal_lines", lambda *_, **__: "last lines")
        monkeypatch.setattr(mounts, "users", lambda *_: self.users)
        monkeypatch.setattr(mounts, "USE_SECONDS", 0)
        monkeypatch.setattr(app_units, "stop_all", self.stop)
        monkeypatch.setattr(resume, "serve_again", self.start)
        monkeypatch.setattr(volume.deployment, "is_active", lambda _: self.is_running)
        monkeypatch.setattr(files, "give", lambda *_: None)
        monkeypatch.setattr(files, "sync", lambda folder: self.sync(folder))
        monkeypatch.setattr(volume_data.shutil, "chown", lambda *_: None)
        monkeypatch.setattr(volume, "_own", lambda _: None)
        for module, name in ((data_move, "copy"), (volume_data, "_complete"), (mounts, "write_unit")):
            monkeypatch.setattr(module, name, self.step(name, getattr(module, name)))

    def step(self, name: str, function: Callable[..., object]) -> Callable[..., object]:
        def run(*arguments: object, **options: object) -> object:
            if self.dies_at == f"before {name}":
                raise KeyboardInterrupt
            result = function(*arguments, **options)
            if self.dies_at == f"after {name}":
                raise KeyboardInterrupt
            return result

        return run

    def systemctl(self, verb: str, *units: str, **_: object) -> object:
        for unit in units:
            if unit == systemd.DATA_MOUNT and verb == "start" and self.paths.volume_app_home.is_dir():
                self.mounted.add(self.paths.app_home)
            elif unit == systemd.DATA_MOUNT and verb == "stop" and self.stays_mounted != self.paths.app_home:
                self.mounted.discard(self.paths.app_home)
            elif unit == systemd.VOLUME_MOUNT and verb == "stop":
                self.mounted.discard(self.paths.volume)
        self.calls.append(" ".join([verb, *units]))
        return type("Result", (), {"returncode": 0})

    def run_app(self) -> None:
        """A release serves, and has data."""
        (self.paths.app_home / "media").mkdir(parents=True)
        (self.paths.app_home / "media/a.txt").write_text("a")
        (self.paths.app_home / "link").symlink_to("media/a.txt")
        self.paths.state.mkdir(parents=True, exist_ok=True)
        self.paths.current.symlink_to(self.paths.deployments / "aa-1")
        self.is_running = True

    def stop(self, _seconds: float) -> list[str]:
        was_running, self.is_running = self.is_running, False
        self.while_it_stops()
        return ["gantry-web@aa-1.service"] if was_running else []

    def start(self, _paths: Paths) -> None:
        # A unit of the app starts the mount that it needs.
        if mounts.has_unit(self.paths, systemd.DATA_MOUNT) and self.paths.app_home not in self.mounted:
            self.systemctl("start", systemd.DATA_MOUNT)
        assert self.paths.app_home in self.mounted or not volume.is_configured(self.paths), "without its volume"
        if self.start_fails:
            raise ReleaseError("the app doesn't start")
        self.is_running = True

    def mount(self) -> None:
        volume.mount(self.paths, self.paths.volume, SIZE)

    def names(self, folder: Path) -> list[str]:
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# The names in the folder of an app that runs.
DATA = ["link", "media", "media/a.txt"]
