"""A balancer on DigitalOcean: a Load Balancer."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_digitalocean as do

from components import balancing, naming
from components.digitalocean.dns import TTL_SECONDS, point_to
from components.digitalocean.network import Network, droplet_urn, show_in_project
from components.rollout.rollout import ReleasedServer
from components.target import BalancerArgs, BalancerMachine, KeepsServerAddresses, site_names
from host import times


class Balancer(KeepsServerAddresses, pulumi.ComponentResource):
    """One address for all servers. A request goes to a server that passes its health checks.

    It selects servers by their tag. A change of a list of droplets would replace all servers at once by new ones whose
    health it doesn't know yet: docs/decisions/0012-drain-a-server-by-failing-its-health-checks.md
    """

    address: pulumi.Output[str]
    url: pulumi.Output[str]
    # The address ranges that its requests come from.
    sender_ranges: pulumi.Output[list[str]]

    def __init__(self, name: str, args: BalancerArgs[Network], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:digitalocean:Balancer", name, None, opts)
        self._args, self._label = args, naming.label(name)
        self._child_opts = pulumi.ResourceOptions(parent=self)
        zone = args.network.settings.zone
        certificate = self._certificate(args.domain) if zone and args.domain else None
        self._balancer = self._load_balancer(certificate)
        self._web_firewall = self._firewall()
        self.address = self._balancer.ip
        scheme, host = ("https", args.domain) if certificate else ("http", self.address)
        self.url = pulumi.Output.format("{}://{}/", scheme, host)
        # It may use any address in the VPC.
        self.sender_ranges = args.network.cidr.apply(lambda cidr: [cidr])
        self.register_outputs({"address": self.address, "url": self.url})

    def attach(
        self, servers: Sequence[ReleasedServer], depends_on: Sequence[pulumi.Resource]
    ) -> BalancerMachine | None:
        args, network = self._args, self._args.network
        healthy: list[pulumi.Resource] = []
        for server in servers:
            balancing.ServerDrain(server, args.drain_seconds, self._child_opts)
            check = balancing.wait_until_healthy(
                server,
                balancer=self.sender_ranges,
                status=args.health_status,
                depends_on=[*depends_on, self._balancer, self._web_firewall],
                opts=self._child_opts,
            )
            healthy.append(check)
        dns_seconds = 0
        if network.settings.zone and args.domain:
            healthy += point_to(self.address, zone=network.settings.zone, domain=args.domain, depends_on=healthy)
            dns_seconds = TTL_SECONDS
        balancing.close(servers, depends_on=healthy, opts=self._child_opts, dns_seconds=dns_seconds)
        urns = [droplet_urn(server.instance_id) for server in servers]
        show_in_project(network, urns=urns)
        return None

    def _load_balancer(self, certificate: pulumi.Output[str] | None) -> do.LoadBalancer:
        args = self._args
        rules = [_rule(port=80, protocol="http")]
        if certificate:
            rules.append(_rule(port=443, protocol="https", certificate=certificate))
        return do.LoadBalancer(
            self._label,
            region=args.network.region,
            vpc_uuid=args.network.vpc_id,
            # Without this, each change of the balancer moves it back to the project that it was made in.
            project_id=args.network.project_id,
            droplet_tag=args.network.tag,
            forwarding_rules=rules,
            healthcheck=do.LoadBalancerHealthcheckArgs(
                protocol="http",
                port=80,
                path=args.health_path,
                check_interval_seconds=times.CHECK_SECONDS,
                response_timeout_seconds=times.CHECK_TIMEOUT_SECONDS,
                healthy_threshold=times.CHECKS,
                unhealthy_threshold=times.CHECKS,
            ),
            http_idle_timeout_seconds=times.balancer_idle_seconds(
                args.limits.request_timeout, args.limits.socket_timeout
            ),
            redirect_http_to_https=certificate is not None,
            # The minimum is TLS 1.2 in any case. The default policy also offers weaker ciphers.
            tls_cipher_policy="STRONG",
            # Gantry makes the records itself.
            disable_lets_encrypt_dns_records=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[args.network], protect=args.network.settings.protect),
        )

    def _certificate(self, domain: str) -> pulumi.Output[str]:
        """The name of a Let's Encrypt certificate. DigitalOcean gets it and renews it."""
        return do.Certificate(
            naming.label(domain), type="lets_encrypt", domains=site_names(domain), opts=self._child_opts
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
            opts=self._child_opts,
        )


def _rule(
    *, port: int, protocol: str, certificate: pulumi.Input[str] | None = None
) -> do.LoadBalancerForwardingRuleArgs:
    return do.LoadBalancerForwardingRuleArgs(
        entry_port=port,
        entry_protocol=protocol,
        target_port=80,
        target_protocol="http",
        certificate_name=certificate,
    )
