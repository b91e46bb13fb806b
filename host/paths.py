"""Where things lie on a server. Every module asks here, so that a test can move the whole tree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """The tree of a server below ``root`` (``/`` on a real one)."""

    root: Path = Path("/")

    @property
    def incoming(self) -> Path:
        """Uploads of the deploy user: ``<digest>.tar``."""
        return self.root / "opt/gantry/incoming"

    @property
    def program(self) -> Path:
        """This program: a symbolic link to the upload that was configured last."""
        return self.root / "opt/gantry/host.pyz"

    @property
    def releases(self) -> Path:
        """Unpacked apps, one folder a digest, never changed once they are there."""
        return self.root / "opt/gantry/releases"

    @property
    def venvs(self) -> Path:
        """Virtual environments, one folder a set of requirements."""
        return self.root / "opt/gantry/venvs"

    @property
    def venv_links(self) -> Path:
        """Which virtual environment each release uses: symbolic links by the release's name."""
        return self.root / "opt/gantry/venv-of"

    @property
    def instances(self) -> Path:
        """What the units run: one folder for each release with its environment."""
        return self.root / "opt/gantry/instances"

    @property
    def gunicorn(self) -> Path:
        """The locked requirements of Gunicorn, whose wheels user-data put into uv's cache."""
        return self.root / "opt/gantry/gunicorn.txt"

    @property
    def gunicorn_settings(self) -> Path:
        return self.root / "etc/gantry/gunicorn.conf.py"

    @property
    def uv(self) -> Path:
        return self.root / "opt/gantry/venv/bin/uv"

    @property
    def environments(self) -> Path:
        """Environment files of the instances: root's, 0600."""
        return self.root / "etc/gantry/environment"

    @property
    def state(self) -> Path:
        return self.root / "var/lib/gantry"

    @property
    def current(self) -> Path:
        """The name of the instance that serves, as a symbolic link's target."""
        return self.state / "current"

    @property
    def confirmed(self) -> Path:
        """The name of the instance that the whole fleet has agreed on, as a symbolic link's target."""
        return self.state / "confirmed"

    @property
    def probation(self) -> Path:
        """There while a timer may run that returns to the confirmed instance."""
        return self.state / "probation"

    @property
    def socket(self) -> Path:
        """The fixed path that Nginx connects to: a symbolic link to the serving instance's socket."""
        return self.state / "web.sock"

    @property
    def lock(self) -> Path:
        return self.state / "lock"

    def instance_socket(self, instance: str) -> Path:
        return self.root / "run/gantry" / f"{instance}.sock"
