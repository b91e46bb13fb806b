"""The values of a stack's outputs: its servers, a balancer that is a machine, and the health check of `make up`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from components.settings.common import Settings
from components.settings.own_certificate import OwnCertificate
from components.target import Server


def health(settings: Settings) -> dict[str, Any]:
    """What `make up` asks the site: path, host (empty: the URL's), status (empty: any 2xx or 3xx) and maintenance.

    ``roots`` are certificates (PEM) that it trusts besides the usual ones.
    """
    roots = settings.acme_root
    if isinstance(settings.tls, OwnCertificate) and settings.tls.issued_by_itself:
        roots = settings.tls.chain
    described = {
        "path": settings.health_path,
        "host": settings.domain,
        "status": settings.health_status,
        "maintenance": settings.maintenance,
    }
    return {**described, "roots": roots} if roots else described


def new_servers(servers: Mapping[str, Server]) -> list[dict[str, Any]]:
    """The servers' outputs before the rollout."""
    return [
        machine(name, address=server.address, instance_id=server.instance_id, host_key=server.connection.host_key)
        | {"first_host_key": True}
        for name, server in servers.items()
    ]


def machine(
    name: str, *, address: pulumi.Input[str], instance_id: pulumi.Output[str], host_key: pulumi.Input[str] | None
) -> dict[str, Any]:
    """The output of a server or of a balancer that is a machine."""
    return {"name": name, "address": address, "instance_id": instance_id, "host_key": host_key}
