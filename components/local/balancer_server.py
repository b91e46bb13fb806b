"""The server that the local target's balancer runs on: its first boot and its configuration. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from components.server import commands
from components.server import user_data as server_user_data
from components.server.configuration import MAX_UPLOAD, PATHS, Configuration
from components.server.templates import render
from components.server.user_data import BootFile, Identity
from host import times
from host.local_balancer import PLACES

PACKAGES = ("nginx", "nftables", "python3")
# A server's first boot without what is there for the app, and with an install script of its own.
_ONLY_FOR_APPS = {"install.sh", "gunicorn.txt", "uv.txt", "tmpfiles.conf"}
FILES = (
    *(file for file in server_user_data.FILES if file.source.rpartition("/")[2] not in _ONLY_FOR_APPS),
    BootFile("/usr/local/lib/gantry/install", "0755", "balancer/install.sh"),
)
# When the older connections have ended, a server that is no longer listed gets no request and can be deleted.
CONFIGURE_AND_DRAIN = f"{commands.CONFIGURE_AND_CONFIRM} && sudo gantry drain"


def user_data(identity: Identity) -> str:
    """cloud-init's user-data of a balancer that waits for its servers. It is a secret."""
    return server_user_data.user_data(identity, FILES, PACKAGES)


def configuration(host_program: str, servers: Sequence[str]) -> Configuration:
    """The configuration that distributes requests over the addresses of ``servers``.

    Another list of servers changes only the firewall, so Nginx isn't reloaded.
    """
    placeholders = placeholder_addresses(len(servers))
    targets = {address: servers[index % len(servers)] for index, address in enumerate(placeholders)}
    return Configuration(
        files={
            str(PATHS.site): render(
                "balancer.nginx.conf.j2",
                placeholders=placeholders,
                max_upload=MAX_UPLOAD,
                access_log=PATHS.combined_log,
                idle_seconds=times.LOCAL_BALANCER_IDLE_SECONDS,
                connection_seconds=times.LOCAL_BALANCER_CONNECTION_SECONDS,
                read_seconds=times.BALANCER_READ_SECONDS,
            ),
            str(PATHS.firewall): render("balancer.nft.j2", targets=targets),
        },
        links={
            str(PATHS.site_link): "../sites-available/gantry",
            str(PATHS.host_program): host_program,
        },
    )


def placeholder_addresses(servers: int) -> list[str]:
    """The addresses that stand for servers in Nginx's configuration: twelve, as long as that is enough.

    With twelve, each of one, two, three, four or six servers gets equally many. With more servers, one that gets two
    addresses would get twice the requests of a server with one, so there are more addresses.
    """
    count = 12 if servers <= 12 else 60 if servers <= 20 else 240
    return [PLACES.format(number) for number in range(1, count + 1)]
