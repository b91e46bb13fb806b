"""What the machine of the local target's balancer should be: its first boot and its configuration. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from components.manifest import CONFIGURE_COMMAND, FIRST_BOOT_FILES, MAX_BODY, Configuration, first_boot
from components.templates import render

PACKAGES = ("nginx", "nftables", "python3")
# Of a server's first boot all but what is there for the app.
_OWN = ("/usr/local/lib/gantry/install", "0755", "balancer/install.sh")
_NOT_HERE = {"install.sh", "gunicorn.txt", "uv.txt", "tmpfiles.conf"}
# Once the connections of before have ended, a server that is no longer listed gets no request and may go.
SPREAD_COMMAND = f"{CONFIGURE_COMMAND} && sudo gantry drain"


def user_data(hostname: str, public_key: str, host_private_key: str, host_public_key: str) -> str:
    """cloud-init's user-data: a balancer that waits for its servers. Secret, for the first contact's host key."""
    shared = [(path, mode, f"first-boot/{name}") for path, mode, name in FIRST_BOOT_FILES if name not in _NOT_HERE]
    return first_boot(
        [*shared, _OWN],
        PACKAGES,
        hostname=hostname,
        public_key=public_key,
        host_private_key=host_private_key,
        host_public_key=host_public_key,
    )


def configuration(host_program: str, servers: Sequence[str]) -> Configuration:
    """The configuration that spreads requests over ``servers``, addresses; another list changes the firewall alone."""
    leads = {place: servers[number % len(servers)] for number, place in enumerate(places(len(servers)))}
    return Configuration(
        files={
            "/etc/nginx/sites-available/gantry": render("balancer.nginx.conf.j2", places=leads, max_body=MAX_BODY),
            "/etc/nftables.conf": render("balancer.nft.j2", leads=leads),
        },
        links={
            "/etc/nginx/sites-enabled/gantry": "../sites-available/gantry",
            "/opt/gantry/host.pyz": host_program,
        },
    )


def places(servers: int) -> list[str]:
    """Addresses that stand for servers in Nginx's configuration, twelve for as long as that is enough.

    From https://www.rfc-editor.org/rfc/rfc5737, as host/local_balancer.py knows.
    """
    # Each of one, two, three, four or six servers has equally many of twelve. With more, where each has one or two, one
    # server would get twice the requests of another.
    count = 12 if servers <= 12 else 60 if servers <= 20 else 240
    return [f"192.0.2.{number}" for number in range(1, count + 1)]
