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
    def processes(self) -> Path:
        """What the units beside web run: one folder a process."""
        return self.root / "opt/gantry/processes"

    @property
    def reserve(self) -> Path:
        """Room on the disk for going back when it is full."""
        return self.root / "opt/gantry/reserve"

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
    def units(self) -> Path:
        return self.root / "etc/systemd/system"

    @property
    def closed(self) -> Path:
        """What keeps visitors from coming past a balancer; empty on a server without one."""
        return self.root / "etc/gantry/firewall/closed.nft"

    @property
    def state(self) -> Path:
        return self.root / "var/lib/gantry"

    @property
    def current(self) -> Path:
        """The name of the instance that serves, as a symbolic link's target."""
        return self.state / "current"

    @property
    def proven(self) -> Path:
        """What a bad release goes back to, as a symbolic link's target: see serving.proven."""
        return self.state / "proven"

    @property
    def history(self) -> Path:
        """What was released, one JSON document a line."""
        return self.state / "history.jsonl"

    @property
    def releasing(self) -> Path:
        """The entry of the release that is going on; a killed one leaves it."""
        return self.state / "releasing.json"

    @property
    def requests(self) -> Path:
        """Nginx's log for the watch, see site.nginx.conf.j2."""
        return self.root / "var/log/nginx/gantry.log"

    @property
    def probation(self) -> Path:
        """There while a timer may return to the proven instance; holds the name of the one that is to replace it."""
        return self.state / "probation"

    @property
    def socket(self) -> Path:
        """The fixed path that Nginx connects to: a symbolic link to the serving instance's socket."""
        return self.state / "web.sock"

    @property
    def leaving(self) -> Path:
        """While it is there, a balancer's health checks get 503 and visitors are served: site.nginx.conf.j2."""
        return self.root / "run/gantry-leaving"

    @property
    def processes_record(self) -> Path:
        """The units beside web that should run, as a list in JSON."""
        return self.state / "processes.json"

    @property
    def processes_before(self) -> Path:
        """The same for the proven instance, which it names, while another one is on probation."""
        return self.state / "processes-before.json"

    @property
    def lock(self) -> Path:
        return self.state / "lock"

    def instance_socket(self, instance: str) -> Path:
        return self.root / "run/gantry" / f"{instance}.sock"
