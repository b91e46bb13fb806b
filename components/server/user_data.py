"""The user-data of a server: everything that the first SSH connection needs. A change of it replaces the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from components.server.templates import render, text
from components.ssh import DEPLOY
from host.paths import Paths

PATHS = Paths()

# The user of the first connection and of releases; the same on every target.
USER = DEPLOY
# cloud-init installs these first; install.sh adds Nginx and the firewall.
PACKAGES = ("python3-pip-whl",)


@dataclass(frozen=True)
class BootFile:
    """A file of cloud-init/ that the user-data writes on the server's disk."""

    path: str
    permissions: str
    source: str


FILES = tuple(
    BootFile(str(path), permissions, f"first-boot/{source}")
    for path, permissions, source in (
        ("/etc/ssh/sshd_config.d/gantry.conf", "0644", "sshd.conf"),
        (PATHS.firewall, "0755", "firewall.nft"),
        ("/etc/tmpfiles.d/gantry.conf", "0644", "tmpfiles.conf"),
        (PATHS.site, "0644", "placeholder.nginx.conf"),
        (PATHS.units / "gantry-host-key.service", "0644", "gantry-host-key.service"),
        (PATHS.units / "gantry-host-key.timer", "0644", "gantry-host-key.timer"),
        (PATHS.units / "nginx.service.d/gantry.conf", "0644", "nginx.service.conf"),
        (PATHS.gunicorn_requirements, "0644", "gunicorn.txt"),
        (PATHS.uv_requirements, "0644", "uv.txt"),
        (PATHS.gantry_command, "0755", "gantry.sh"),
        (PATHS.scripts / "host-key", "0755", "host-key.sh"),
        (PATHS.scripts / "install", "0755", "install.sh"),
        (PATHS.scripts / "ready", "0755", "ready.sh"),
    )
)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The values that differ between the user-data of two servers. ``host_private_key`` is a secret."""

    hostname: str
    public_key: str  # of the deploy user, in OpenSSH's format
    host_private_key: str  # of the host key that the first connection checks
    host_public_key: str


def user_data(identity: Identity, files: Sequence[BootFile] = FILES, packages: Sequence[str] = PACKAGES) -> str:
    """cloud-init's user-data of a server that waits for its first release. It is a secret."""
    return render(
        "user-data.yaml.j2",
        user=USER,
        packages=packages,
        files=[{"path": file.path, "permissions": file.permissions, "content": text(file.source)} for file in files],
        **vars(identity),
    )
