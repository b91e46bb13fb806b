"""The settings that every target knows, one declaration each: those of servers here, the others in app.py and https.py.

A target's own are in components/<target>/settings.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from components.settings import linked_paths, proxies, timeouts, validators, volumes
from components.settings.declaration import setting
from components.settings.https import HttpsSettings
from host import nginx_limits, times
from host.paths import Paths

# The local target's usual network (/24) has room for this many servers and as many replacements. The clouds allow more:
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html,
# https://docs.digitalocean.com/products/networking/load-balancers/details/limits/
MAX_SERVERS = 120

# A mistake that shows only when several settings are read: their keys, and a sentence with the remedy.
Conflict = tuple[tuple[str, ...], str]

SERVERS = "Servers"


@dataclass(frozen=True, kw_only=True)
class TargetSettings:
    """Base of the settings that only one target knows."""

    def conflicts(self, common: CommonSettings) -> Iterator[Conflict]:
        """Mistakes between these settings and the common ones. The first key of each is the one to sort by."""
        yield from ()

    @property
    def has_zone(self) -> bool:
        """Whether the target makes the domain's DNS records, so that the URL has the domain."""
        return False

    @property
    def balancer_has_https(self) -> bool:
        """Whether a balancer on this target has a certificate, so that visitors use HTTPS."""
        return False


@dataclass(frozen=True, kw_only=True)
class CommonSettings(HttpsSettings):
    """The settings of an app and of its servers, whatever the target."""

    servers: int = setting(
        validators.whole(1, MAX_SERVERS),
        default=1,
        example=3,
        help="How many servers serve the app. More than one get a balancer.",
        group=SERVERS,
    )
    balancer: bool = setting(
        validators.flag(),
        default=False,
        example=True,
        help="Whether a single server gets a balancer, too. Then its address stays when more servers come.",
        group=SERVERS,
    )
    storage: int | None = setting(
        validators.whole_or_automatic(volumes.MAX_GB),
        default=0,
        example=20,
        help=f"GB of a volume for {Paths().app_home}. 0 means no volume: the data is deleted with its server.",
        group=SERVERS,
        secret="refused",
    )
    delete_storage: bool = setting(
        validators.flag(),
        default=False,
        example=True,
        help="Whether the volume may be deleted with its data: by destroy, without storage, or for another region.",
        group=SERVERS,
    )
    lose_data: tuple[str, ...] = setting(
        validators.ids(),
        example="i-0a1b2c3d",
        help=f"Ids of servers whose {Paths().app_home} may be deleted with them, separated by commas. `up` names them.",
        group=SERVERS,
        secret="refused",
    )
    memory_limit: int = setting(
        validators.whole(30, 95),
        default=85,
        example=70,
        help="Percent of a server's memory that all processes of the app together may use.",
        group=SERVERS,
    )
    swap: int | None = setting(
        validators.gigabytes_or_auto(16),
        default="auto",
        example="4",
        help="GB of a swap file on each server. auto makes one on servers with at most 2 GB of memory. 0 means none.",
        group=SERVERS,
    )
    connections_per_address: int | None = setting(
        validators.whole_or_automatic(65535),
        default=500,
        example=2000,
        help="Connections that one address may have to a server, not to a cloud's balancer. 0 means no limit.",
        group=SERVERS,
    )
    requests_per_second: int | None = setting(
        validators.whole_or_automatic(100_000),
        default=0,
        example=20,
        help="Requests that each server answers one address a second, with bursts of 10 s. 0 means no limit.",
        group=SERVERS,
    )
    trusted_proxies: tuple[str, ...] = setting(
        proxies.networks(),
        default=[],
        example=["192.0.2.0/24"],
        help="Networks of a CDN in front of the site: no limit of connections, and they name the visitor's address.",
        group=SERVERS,
        secret="refused",
        command="pulumi config set --path 'trustedProxies[0]' <network>",
    )
    socket_timeout: int = setting(
        validators.whole(1, times.MAX_SOCKET_SECONDS),
        default=times.REQUEST_SECONDS,
        example=300,
        help="Seconds for which a WebSocket or an event stream may be silent. At least requestTimeout.",
        group=SERVERS,
    )
    request_timeout: int = setting(
        validators.whole(1, times.MAX_SOCKET_SECONDS),
        default=times.REQUEST_SECONDS,
        example=30,
        help="Seconds that the app may take for an answer. Then the visitor gets 504.",
        group=SERVERS,
    )
    drain_timeout: int = setting(
        validators.whole(1, times.MAX_DRAIN_SECONDS),
        default=times.DRAIN_SECONDS,
        example=120,
        help="Seconds after a release until the old web process is told to stop, although a WebSocket is open.",
        group=SERVERS,
    )
    max_upload: int = setting(
        validators.whole(1, nginx_limits.MOST_UPLOAD_MB),
        default=nginx_limits.UPLOAD_MB,
        example=200,
        help="MB that the body of a request may have, such as an upload. A larger one gets 413.",
        group=SERVERS,
    )
    log_days: int = setting(
        # With 1, the log of a day would be deleted at its end.
        validators.whole(2, 3650),
        default=14,
        example=7,
        help="Days after which a server deletes its logs, which have the visitors' addresses.",
        group=SERVERS,
    )
    update_window: str | None = setting(
        validators.update_window(),
        default="03:00-05:00",
        example="22:30-00:30",
        help="When servers install security updates each day, one after the other, in UTC. none leaves them to you.",
        group=SERVERS,
    )
    update_reboots: str = setting(
        validators.one_of(("balanced", "always", "never")),
        default="balanced",
        example="always",
        help="Reboots for updates, in updateWindow: balanced (only if other servers serve meanwhile), always or never.",
        group=SERVERS,
    )
    canary: bool = setting(
        validators.flag(),
        default=True,
        example=False,
        help="Whether the first of several servers gets a release alone, before the others.",
        group=SERVERS,
    )
    batch: int | None = setting(
        validators.whole_or_automatic(MAX_SERVERS),
        default=0,
        example=5,
        help="Servers that get a release at a time. 0 means one by one up to 3, else a third; without canary all.",
        group=SERVERS,
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Mistakes between these settings. The first key of each is the one to sort by."""
        yield from super().conflicts()
        yield from linked_paths.conflicts(self.servers, self.linked_paths, per_server=self.linked_paths_per_server)
        yield from volumes.conflicts(self.servers, self.storage)
        yield from timeouts.conflicts(self.request_timeout, self.socket_timeout)


@dataclass(frozen=True, kw_only=True)
class Settings(CommonSettings):
    """All settings of a stack: the common ones, and those of its target."""

    target_settings: TargetSettings = field(default_factory=TargetSettings)

    @property
    def https(self) -> bool:
        """Whether visitors use HTTPS: to a balancer with a certificate, or to a server with one."""
        by_balancer = self.balancer and bool(self.domain) and self.target_settings.balancer_has_https
        return by_balancer or self.server_has_https

    def conflicts(self) -> Iterator[Conflict]:
        """Mistakes between all these settings, except those that only the target knows."""
        yield from super().conflicts()
        if self.balancer and self.server_has_https:
            value = repr(self.tls) if isinstance(self.tls, str) else "a certificate"
            yield (
                ("tls", "balancer", "servers"),
                f"tls is {value}, but must be off with a balancer: visitors connect to the balancer, and see its"
                " certificate, which a cloud's balancer gets with the setting zone; set it with: pulumi config set tls"
                " off",
            )
        if self.hsts and not self.https:
            yield (
                ("hsts", "tls", "balancer", "servers", "domain", "zone"),
                "hsts is true, but visitors use HTTP, where browsers ignore it: get HTTPS with: pulumi config set tls"
                " auto; or turn it off with: pulumi config set hsts false",
            )
