"""The user-data of a server: everything that the first SSH connection needs. A change of it replaces the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from components.server.templates import render, text

# The login that delivers releases; the same on every target.
USER = "deploy"
# cloud-init installs these first; install.sh adds Nginx and the firewall.
PACKAGES = ("python3-pip-whl",)


@dataclass(frozen=True)
class BootFile:
    """A file of cloud-init/ that the user-data writes on the server's disk."""

    path: str
    permissions: str
    source: str


FILES = (
    BootFile("/etc/ssh/sshd_config.d/gantry.conf", "0644", "first-boot/sshd.conf"),
    BootFile("/etc/nftables.conf", "0755", "first-boot/firewall.nft"),
    BootFile("/etc/tmpfiles.d/gantry.conf", "0644", "first-boot/tmpfiles.conf"),
    BootFile("/etc/nginx/sites-available/gantry", "0644", "first-boot/placeholder.nginx.conf"),
    BootFile("/etc/systemd/system/gantry-host-key.service", "0644", "first-boot/gantry-host-key.service"),
    BootFile("/etc/systemd/system/gantry-host-key.timer", "0644", "first-boot/gantry-host-key.timer"),
    BootFile("/etc/systemd/system/nginx.service.d/gantry.conf", "0644", "first-boot/nginx.service.conf"),
    BootFile("/opt/gantry/gunicorn.txt", "0644", "first-boot/gunicorn.txt"),
    BootFile("/opt/gantry/uv.txt", "0644", "first-boot/uv.txt"),
    BootFile("/usr/local/bin/gantry", "0755", "first-boot/gantry.sh"),
    BootFile("/usr/local/lib/gantry/host-key", "0755", "first-boot/host-key.sh"),
    BootFile("/usr/local/lib/gantry/install", "0755", "first-boot/install.sh"),
    BootFile("/usr/local/lib/gantry/ready", "0755", "first-boot/ready.sh"),
)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What differs between the user-data of two servers. ``host_private_key`` is a secret."""

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
        files=[{"path": each.path, "permissions": each.permissions, "content": text(each.source)} for each in files],
        **vars(identity),
    )
