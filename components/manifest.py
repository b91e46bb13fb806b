"""What one server should be: its first boot, its configuration, and the command that releases. Pure functions."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shlex
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.generated import write_once
from components.leaving import LEAVING_FILE
from components.settings import Settings
from components.templates import render, text

# The login that delivers releases; the same on every target.
USER = "deploy"
# What the rest of the first boot begins with; install.sh adds Nginx and the firewall meanwhile.
PACKAGES = ("python3-pip-whl",)
SOCKET = "/var/lib/gantry/web.sock"
MAX_BODY = "32m"
# How long a request may go on after its release was replaced.
GRACEFUL_SECONDS = 30
# When a visitor may come back who met the maintenance page.
MAINTENANCE_RETRY_SECONDS = 300
HOST_PROGRAM = Path(__file__).resolve().parent.parent / "host"

# Where each file of cloud-init/first-boot goes, and who may do what with it.
FIRST_BOOT_FILES = (
    ("/etc/ssh/sshd_config.d/gantry.conf", "0644", "sshd.conf"),
    ("/etc/nftables.conf", "0755", "firewall.nft"),
    ("/etc/tmpfiles.d/gantry.conf", "0644", "tmpfiles.conf"),
    ("/etc/nginx/sites-available/gantry", "0644", "placeholder.nginx.conf"),
    ("/etc/systemd/system/gantry-host-key.service", "0644", "gantry-host-key.service"),
    ("/etc/systemd/system/gantry-host-key.timer", "0644", "gantry-host-key.timer"),
    ("/etc/systemd/system/nginx.service.d/gantry.conf", "0644", "nginx.service.conf"),
    ("/opt/gantry/gunicorn.txt", "0644", "gunicorn.txt"),
    ("/opt/gantry/uv.txt", "0644", "uv.txt"),
    ("/usr/local/bin/gantry", "0755", "gantry.sh"),
    ("/usr/local/lib/gantry/host-key", "0755", "host-key.sh"),
    ("/usr/local/lib/gantry/install", "0755", "install.sh"),
    ("/usr/local/lib/gantry/ready", "0755", "ready.sh"),
)


def user_data(hostname: str, public_key: str, host_private_key: str, host_public_key: str) -> str:
    """cloud-init's user-data: a server that waits for its first release. Secret, for the first contact's host key."""
    return first_boot(
        [(path, permissions, f"first-boot/{name}") for path, permissions, name in FIRST_BOOT_FILES],
        PACKAGES,
        hostname=hostname,
        public_key=public_key,
        host_private_key=host_private_key,
        host_public_key=host_public_key,
    )


def first_boot(files: Sequence[tuple[str, str, str]], packages: Sequence[str], **names: str) -> str:
    """User-data with ``files`` (path, permissions, and which of cloud-init/) and ``packages``."""
    written = [{"path": path, "permissions": mode, "content": text(source)} for path, mode, source in files]
    return render("user-data.yaml.j2", user=USER, packages=packages, files=written, **names)


@dataclass(frozen=True)
class Configuration:
    """The files and links of a server that may change while it runs, by absolute path."""

    files: dict[str, str]
    links: dict[str, str]

    def document(self) -> str:
        """As JSON with a line of text on a line of its own, so that a preview shows which lines change."""
        lines = {path: content.split("\n") for path, content in self.files.items()}
        return json.dumps({"files": lines, "links": self.links}, indent=1)

    def digest(self) -> str:
        """Six hex digits over what a web process starts with: a change of it is a release of its own."""
        starts_with = [self.files[path] for path in ("/etc/gantry/gunicorn.conf.py", WEB_UNIT)]
        return hashlib.sha256(json.dumps(starts_with).encode()).hexdigest()[:6]


UNITS = "/etc/systemd/system"
FIREWALL = "/etc/gantry/firewall"
WEB_UNIT = f"{UNITS}/gantry-web@.service"


def configuration(settings: Settings, host_program: str, balancer: Sequence[str] = ()) -> Configuration:
    """The configuration for ``settings``, run by the host program uploaded to ``host_program``.

    Behind a balancer, its addresses and ranges may ask for pages, and others too until the server is closed to them.
    """
    # Three workers on two cores served the most requests of the shapes that docs/performance.md compares.
    workers = settings.workers or "len(os.sched_getaffinity(0)) + 1"
    gunicorn = render(
        "gunicorn.conf.py.j2", workers=workers, threads=settings.threads, graceful_seconds=GRACEFUL_SECONDS
    )
    return Configuration(
        files={
            "/etc/nginx/sites-available/gantry": _site(settings, balancer),
            "/etc/nftables.conf": text("first-boot/firewall.nft"),
            **_firewall(balancer),
            "/etc/gantry/gunicorn.conf.py": gunicorn,
            **_units(settings),
            "/etc/systemd/system/gantry.service": text("gantry.service"),
        },
        links={
            "/etc/nginx/sites-enabled/gantry": "../sites-available/gantry",
            "/etc/systemd/system/multi-user.target.wants/gantry.service": "../gantry.service",
            "/opt/gantry/host.pyz": host_program,
        },
    )


def _firewall(balancer: Sequence[str]) -> dict[str, str]:
    """What /etc/nftables.conf includes, in the order of the names."""
    admitted = [f'ip saddr {source} tcp dport 80 ct state new accept comment "the balancer"\n' for source in balancer]
    # Behind a balancer it is the server's own affair: host/balancing.py, once visitors are led there.
    opened = {} if balancer else {f"{FIREWALL}/closed.nft": ""}
    return {f"{FIREWALL}/admitted.nft": "".join(admitted), **opened}


def _units(settings: Settings) -> dict[str, str]:
    """What runs the app's code: web and its release process by instance, the others each in a folder of its own."""
    instance = {"folder": "/opt/gantry/instances/%i", "environment": "/etc/gantry/environment/%i"}
    process = {"folder": "/opt/gantry/processes/%i", "environment": "/opt/gantry/processes/%i/environment"}
    stop = settings.stop_timeout
    return {
        WEB_UNIT: render("web.service.j2", **instance, graceful_seconds=GRACEFUL_SECONDS),
        f"{UNITS}/gantry-release@.service": render(
            "release.service.j2", **instance, release_seconds=settings.release_timeout
        ),
        f"{UNITS}/gantry-process@.service": render("process.service.j2", **process, stop_seconds=stop),
        f"{UNITS}/gantry-cron@.service": render("cron.service.j2", **process, stop_seconds=stop),
        f"{UNITS}/gantry-cron@.timer": text("cron.timer"),
    }


def _site(settings: Settings, balancer: Sequence[str]) -> str:
    return render(
        "site.nginx.conf.j2",
        domain=settings.domain,
        socket=SOCKET,
        max_body=MAX_BODY,
        balancer=balancer,
        leaving_file=LEAVING_FILE,
        # Between the visitor and the balancer; between that and here it is always http.
        scheme="$visitors_scheme" if balancer else "$scheme",
        maintenance=settings.maintenance,
        health_path=settings.health_path,
        health_pattern=re.escape(settings.health_path.partition("?")[0]),
        retry_after=MAINTENANCE_RETRY_SECONDS,
    )


@dataclass(frozen=True)
class HostProgram:
    """The host program packed as a zip application; ``path`` is where it goes on a server."""

    content: bytes
    path: str

    def write(self, folder: Path) -> Path:
        """The program as a file in ``folder``."""
        file = folder / Path(self.path).name
        write_once(file, self.content)
        return file


def host_program() -> HostProgram:
    """The same bytes for the same sources: stored, sorted, and without times."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(_sources().items()):
            archive.writestr(zipfile.ZipInfo(name), content)
    content = stream.getvalue()
    return HostProgram(content, f"/opt/gantry/incoming/host-{hashlib.sha256(content).hexdigest()[:12]}.pyz")


def _sources() -> dict[str, bytes]:
    sources = {f"host/{path.name}": path.read_bytes() for path in HOST_PROGRAM.glob("*.py")}
    return {**sources, "__main__.py": sources["host/__main__.py"]}


# The first contact prints the server's own host key. The scripts came with the user-data, so that this text never
# changes: after the first contact its connection, pinned to the first host key, would no longer be accepted.
READY_COMMAND = "sudo /usr/local/lib/gantry/ready"
CONFIGURE_UNCONFIRMED = "sudo python3 -I {host_program} configure"
CONFIGURE_COMMAND = f"{CONFIGURE_UNCONFIRMED} && sudo /usr/local/lib/gantry/host-key confirm"
PREPARE_COMMAND = "sudo gantry prepare {release}"


def release_command(release: str, configuration: Configuration, settings: Settings) -> str:
    """The command that makes a server serve ``release``; its digests are what a preview shows as changing."""
    asked = ["--health", settings.health_path, "--host", settings.domain or "localhost"]
    asked += ["--timeout", str(settings.health_timeout), "--watch", str(settings.watch)]
    if settings.health_status:
        asked += ["--expect", str(settings.health_status)]
    if settings.health_interval:
        asked += ["--interval", f"{settings.health_interval:g}"]
    return shlex.join(["sudo", "gantry", "release", *_instance(release, configuration, settings), *asked])


def first_prepare_command(release: str, configuration: Configuration, settings: Settings) -> str:
    """The command that prepares ``release`` on the one of several servers that runs its release process."""
    return shlex.join(["sudo", "gantry", "prepare", *_instance(release, configuration, settings), "--first"])


def _instance(release: str, configuration: Configuration, settings: Settings) -> list[str]:
    """What runs, and beside it; the same input goes with it."""
    words = [release, "--settings", configuration.digest()]
    for name, count in sorted(settings.processes.items()):
        words += ["--process", f"{name}={count}"]
    for entry in settings.cron:
        words += ["--cron", entry.schedule, entry.command]
    return words


def release_input(variables: dict[str, str], release: str, stack: str, revision: str | None = None) -> str:
    """What goes to the commands' standard input, as JSON: the app's variables, secrets among them.

    And, for the history, the revision that it was made from.
    """
    given: dict[str, Any] = {"RELEASE": release, "GANTRY_STACK": stack, **variables}
    return json.dumps({"variables": given, "revision": revision})


def confirm_input(release_input: str, said: str) -> str:
    """The same for the confirmation of the one run that ``said`` so; no two runs on probation say the same."""
    return json.dumps({**json.loads(release_input), "confirms": hashlib.sha256(said.encode()).hexdigest()[:6]})
