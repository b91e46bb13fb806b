"""A balancer on DigitalOcean: a Load Balancer."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_digitalocean as do
from pulumi_command import remote

from components import membership, names
from components.digitalocean.dns import TTL_SECONDS, lead
from components.digitalocean.network import Network, droplet_urn, hold
from components.target import BalancerArgs, Member, Server, site_names


class Balancer(pulumi.ComponentResource):
    """One address for all servers: a request goes to one whose health checks are answered well.

    It knows the servers by their tag. A list of droplets would be replaced at one stroke: the new ones, whose health
    isn't known yet, for all of the old: docs/decisions/0012-drain-a-server-by-failing-its-health-checks.md
    """

    address: pulumi.Output[str]
    url: pulumi.Output[str]
    # Where its requests come from: addresses and ranges.
    source: pulumi.Output[list[str]]

    def __init__(self, name: str, args: BalancerArgs[Network], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:digitalocean:Balancer", name, None, opts)
        self._args, self._label = args, names.label(name)
        self._child = pulumi.ResourceOptions(parent=self)
        certificate = self._certificate(args.domain) if args.zone and args.domain else None
        self._balancer = self._load_balancer(certificate)
        self._admitted = self._firewall()
        self.address = self._balancer.ip
        scheme, host = ("https", args.domain) if certificate else ("http", self.address)
        self.url = pulumi.Output.format("{}://{}/", scheme, host)
        # From an address of its own in the VPC.
        self.source = args.network.cidr.apply(lambda cidr: [cidr])
        self.register_outputs({"address": self.address, "url": self.url})

    def reach(self, server: Server) -> remote.ConnectionArgs:
        return server.connection

    def attach(self, members: Sequence[Member], after: Sequence[pulumi.Resource]) -> pulumi.Output[str] | None:
        args, joined = self._args, list[pulumi.Resource]()
        for member in members:
            membership.Leaving(member, args.drain_seconds, self._child)
            there = [*after, self._balancer, self._admitted]
            joined.append(membership.join(member, self.source, args.health_status, there, self._child))
        patience = 0
        if args.zone and args.domain:
            joined += lead(args.zone, args.domain, self.address, joined)
            patience = TTL_SECONDS
        membership.close(members, joined, self._child, patience)
        hold(self._label, args.network, [droplet_urn(each.instance_id) for each in members], self._child)
        return None

    def _load_balancer(self, certificate: pulumi.Output[str] | None) -> do.LoadBalancer:
        args = self._args
        rules = [_rule(80, "http", None)]
        if certificate:
            rules.append(_rule(443, "https", certificate))
        return do.LoadBalancer(
            self._label,
            region=args.network.region,
            vpc_uuid=args.network.vpc_id,
            # Where it isn't said, each change of the balancer takes it back to the project that it was made in.
            project_id=args.network.project_id,
            droplet_tag=args.network.tag,
            forwarding_rules=rules,
            healthcheck=do.LoadBalancerHealthcheckArgs(
                protocol="http",
                port=80,
                path=args.health_path,
                check_interval_seconds=membership.CHECK_SECONDS,
                response_timeout_seconds=membership.ANSWER_SECONDS,
                healthy_threshold=membership.CHECKS,
                unhealthy_threshold=membership.CHECKS,
            ),
            http_idle_timeout_seconds=membership.IDLE_SECONDS,
            redirect_http_to_https=certificate is not None,
            # TLS begins at 1.2 in any case; by default its weaker ciphers are offered, too.
            tls_cipher_policy="STRONG",
            # The records are ours.
            disable_lets_encrypt_dns_records=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[args.network], protect=args.protect),
        )

    def _certificate(self, domain: str) -> pulumi.Output[str]:
        """The name of a certificate that DigitalOcean gets from Let's Encrypt, and renews."""
        return do.Certificate(
            names.label(domain), type="lets_encrypt", domains=site_names(domain), opts=self._child
        ).name

    def _firewall(self) -> do.Firewall:
        return do.Firewall(
            f"{self._label}-web",
            tags=[self._args.network.tag],
            inbound_rules=[
                do.FirewallInboundRuleArgs(
                    protocol="tcp", port_range="80", source_load_balancer_uids=[self._balancer.id]
                )
            ],
            opts=self._child,
        )


def _rule(port: int, protocol: str, certificate: pulumi.Input[str] | None) -> do.LoadBalancerForwardingRuleArgs:
    return do.LoadBalancerForwardingRuleArgs(
        entry_port=port,
        entry_protocol=protocol,
        target_port=80,
        target_protocol="http",
        certificate_name=certificate,
    )
