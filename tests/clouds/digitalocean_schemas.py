"""DigitalOcean's resource types. What forces a replacement is the real provider's, version 4."""

from __future__ import annotations

from collections.abc import Mapping

from tests.clouds import digitalocean_balancing as fronts
from tests.clouds import digitalocean_resources as made
from tests.clouds.digitalocean import DigitalOcean
from tests.clouds.provider import Type
from tests.clouds.resource_schema import Kind, Name

_HOST_NAME = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"
_BACKUPS = {"plan": str, "weekday": str, "hour": int}
_RULE = {"protocol!": str, "portRange": str}
_INBOUND = {
    **_RULE,
    "sourceAddresses": [str],
    "sourceLoadBalancerUids": [str],
    "sourceTags": [str],
    "sourceDropletIds": [int],
}
_OUTBOUND = {**_RULE, "destinationAddresses": [str], "destinationLoadBalancerUids": [str], "destinationTags": [str]}
_FORWARDING = {
    "entryPort!": int, "entryProtocol!": str, "targetPort!": int, "targetProtocol!": str, "certificateName": str,
    "tlsPassthrough": bool,
}  # fmt: skip
_HEALTH = {
    "port!": int, "protocol!": str, "path": str, "checkIntervalSeconds": int, "responseTimeoutSeconds": int,
    "healthyThreshold": int, "unhealthyThreshold": int,
}  # fmt: skip


def types(cloud: DigitalOcean) -> Mapping[str, Type]:
    """Every type that this cloud knows, by its token."""
    kept: list[tuple[str, type[made.Kept], str, Kind]] = [
        ("vpc:Vpc", made.Vpcs, "vpc", Kind(
            inputs={"region!": str, "name": str, "ipRange": str, "description": str},
            outputs=("ipRange", "default", "vpcUrn"), replaces=("region", "ipRange"),
            name=Name(pattern=r"[A-Za-z0-9.-]+"),
        )),
        ("sshKey:SshKey", made.SshKeys, "ssh_key", Kind(
            inputs={"publicKey!": str, "name": str}, outputs=("fingerprint",), replaces=("publicKey",), name=Name(),
        )),
        ("droplet:Droplet", made.Droplets, "droplet", Kind(
            inputs={
                "image!": str, "size!": str, "region": str, "name": str, "sshKeys": [str], "userData": str,
                "tags": [str], "vpcUuid": str, "monitoring": bool, "dropletAgent": bool, "backups": bool,
                "backupPolicy": _BACKUPS, "ipv6": bool, "gracefulShutdown": bool, "resizeDisk": bool,
            },
            outputs=("ipv4Address", "ipv4AddressPrivate", "dropletUrn", "status", "locked"),
            replaces=("image", "region", "sshKeys", "userData", "vpcUuid", "monitoring", "dropletAgent"),
            name=Name(pattern=_HOST_NAME),
        )),
        ("reservedIp:ReservedIp", made.ReservedIps, "reserved_ip", Kind(
            inputs={"region!": str, "dropletId": int}, outputs=("ipAddress", "reservedIpUrn"), replaces=("region",),
        )),
        ("firewall:Firewall", made.Firewalls, "firewall", Kind(
            inputs={
                "name": str, "tags": [str], "dropletIds": [int], "inboundRules": [_INBOUND],
                "outboundRules": [_OUTBOUND],
            },
            outputs=("status",), name=Name(pattern=r"[A-Za-z0-9][A-Za-z0-9.-]*"),
        )),
        ("loadBalancer:LoadBalancer", fronts.Balancers, "load_balancer", Kind(
            inputs={
                "name": str, "region": str, "vpcUuid": str, "size": str, "sizeUnit": int, "type": str, "network": str,
                "networkStack": str, "dropletIds": [int], "dropletTag": str, "forwardingRules": [_FORWARDING],
                "healthcheck": _HEALTH, "redirectHttpToHttps": bool, "httpIdleTimeoutSeconds": int, "projectId": str,
                "enableBackendKeepalive": bool, "tlsCipherPolicy": str, "disableLetsEncryptDnsRecords": bool,
            },
            outputs=("ip", "status", "loadBalancerUrn", "projectId"),
            replaces=("region", "vpcUuid", "type", "network", "networkStack"),
            name=Name(pattern=r"[A-Za-z0-9][A-Za-z0-9.-]*"),
        )),
        ("certificate:Certificate", fronts.Certificates, "certificate", Kind(
            inputs={
                "name": str, "type": str, "domains": [str], "privateKey": str, "leafCertificate": str,
                "certificateChain": str,
            },
            outputs=("uuid", "state"),
            replaces=("name", "type", "domains", "privateKey", "leafCertificate", "certificateChain"), name=Name(),
        )),
        ("domain:Domain", fronts.Domains, "domain", Kind(
            inputs={"name!": str, "ipAddress": str}, outputs=("domainUrn", "ttl"), replaces=("name", "ipAddress"),
        )),
        ("dnsRecord:DnsRecord", fronts.Records, "record", Kind(
            inputs={"domain!": str, "type!": str, "value!": str, "name": str, "ttl": int},
            outputs=("fqdn",), replaces=("domain", "type"),
        )),
        ("project:Project", fronts.Projects, "project", Kind(
            inputs={"name": str, "description": str, "purpose": str, "environment": str},
            outputs=("ownerUuid", "createdAt"), name=Name(limit=175),
        )),
        ("projectResources:ProjectResources", fronts.Members, "project_resources", Kind(
            inputs={"project!": str, "resources!": [str]}, replaces=("project",),
        )),
        ("tag:Tag", fronts.Tags, "tag", Kind(inputs={"name": str}, replaces=("name",), name=Name(pattern=r"[\w:-]+"))),
    ]  # fmt: skip
    found: dict[str, Type] = {f"digitalocean:index/{token}": each(cloud, of, kind) for token, each, of, kind in kept}
    found["digitalocean:index/reservedIpAssignment:ReservedIpAssignment"] = made.Assignments(cloud)
    return found
