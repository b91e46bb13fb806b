"""The settings that only the local target has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from components.settings import common, room, validators
from components.settings.common import CommonSettings, Conflict, TargetSettings
from components.settings.declaration import setting
from components.settings.https import AUTO, LETS_ENCRYPT


@dataclass(frozen=True, kw_only=True)
class LocalSettings(TargetSettings):
    """Machines on this computer need only an address range."""

    network: str | None = setting(
        validators.optional(validators.private_network("local", shortest=16, longest=28)),
        example="10.77.5.0/24",
        help="Private IPv4 network of the servers. Empty picks a free one.",
        group=common.SERVERS,
    )

    def conflicts(self, common: CommonSettings) -> Iterator[Conflict]:
        yield from room.no_room(common, self.network, room.without_subnets)
        if common.tls == AUTO and common.acme_directory == LETS_ENCRYPT:
            yield (
                ("tls", "acmeDirectory"),
                "tls is 'auto', but Let's Encrypt can't reach a machine on this computer, so it can't issue a"
                " certificate: name an authority of your own with: pulumi config set acmeDirectory <URL>; or turn it"
                " off with: pulumi config set tls off",
            )


SETTINGS = LocalSettings
