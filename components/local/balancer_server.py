"""The server that the local target's balancer runs on: its first boot and its configuration. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from components.server import commands, daemons, logins, pages, updates
from components.server import user_data as server_user_data
from components.server.configuration import PATHS, Configuration
from components.server.limits import (
    Limits,
    firewall,
    log_files,
    log_links,
    nginx_files,
    site_values,
    unlimited_rules,
)
from components.server.templates import render
from components.server.updates import Updates
from components.server.user_data import BootFile, Identity
from host import times
from host.local_balancer import PLACES

PACKAGES = ("nginx", "nftables", "python3")
# The balancer has the boot files of a server, without those for the app, and with another install script.
_ONLY_FOR_APPS = {"install.sh", "gunicorn.txt", "uv.txt", "tmpfiles.conf"}
FILES = (
    *(file for file in server_user_data.FILES if file.source.rpartition("/")[2] not in _ONLY_FOR_APPS),
    BootFile(f"{PATHS.scripts}/install", "0755", "balancer/install.sh"),
)


def user_data(identity: Identity) -> str:
    """cloud-init's user-data of a balancer that waits for its servers. It is a secret."""
    return server_user_data.user_data(identity, FILES, PACKAGES)


def configure_and_drain(limits: Limits) -> str:
    """The command that configures the balancer, and waits for the end of older connections.

    After that, a server that isn't listed gets no requests, and can be deleted.
    """
    seconds = max(limits.request_timeout, limits.drain_timeout)
    # With the default, the command of stacks that exist doesn't change.
    option = f" --limit {seconds}" if seconds != times.REQUEST_SECONDS else ""
    return f"{commands.CONFIGURE_AND_CONFIRM} && sudo gantry drain{option}"


def configuration(
    host_program: str,
    servers: Sequence[str],
    limits: Limits,
    update_settings: Updates,
) -> Configuration:
    """The configuration that distributes requests over the addresses of ``servers``.

    A change of ``servers`` changes only the firewall, so Nginx isn't reloaded.
    """
    placeholders = placeholder_addresses(len(servers))
    targets = {address: servers[index % len(servers)] for index, address in enumerate(placeholders)}
    return Configuration(
        files={
            str(PATHS.site): render(
                "balancer.nginx.conf.j2",
                placeholders=placeholders,
                paths=PATHS,
                pages_url=pages.URL,
                serves_app=False,
                unavailable=pages.UNAVAILABLE,
                timed_out=pages.UNAVAILABLE,
                idle_seconds=times.LOCAL_BALANCER_IDLE_SECONDS,
                connection_seconds=times.LOCAL_BALANCER_CONNECTION_SECONDS,
                request_seconds=limits.request_timeout,
                read_seconds=times.balancer_read_seconds(limits.request_timeout),
                # It stands behind no other balancer, and each server limits the rate of requests itself.
                balancer=(),
                requests_per_second=None,
                tls=False,
                domain=None,
                hsts=False,
                maintenance=False,
                **{
                    **site_values(limits),
                    "socket_seconds": times.balancer_idle_seconds(limits.request_timeout, limits.socket_timeout),
                },
            ),
            str(PATHS.firewall): render("balancer.nft.j2", targets=targets) + firewall(limits),
            **unlimited_rules(limits),
            **log_files(limits),
            **nginx_files(),
            **pages.files(),
            **daemons.files(),
            **updates.files(update_settings.of_balancer()),
            **logins.files([logins.READY]),
        },
        links={
            str(PATHS.site_link): "../sites-available/gantry",
            str(PATHS.host_program): host_program,
            **daemons.links(),
            **log_links(),
            **updates.links(),
        },
    )


def placeholder_addresses(servers: int) -> list[str]:
    """The addresses that stand for servers in Nginx's configuration: 12 for up to 12 servers, else 60 or 240.

    One, two, three, four or six servers get equal numbers of the 12 addresses, and so equal shares of the requests.
    A few more addresses aren't enough for more servers: one with two addresses would get twice the requests of others.
    """
    count = 12 if servers <= 12 else 60 if servers <= 20 else 240
    return [PLACES.format(number) for number in range(1, count + 1)]
