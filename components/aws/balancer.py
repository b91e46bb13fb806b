"""A balancer on AWS: an Application Load Balancer."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from components import balancing, naming
from components.aws import access
from components.aws.dns import TTL_SECONDS, Zone
from components.aws.logs import AccessLogs
from components.aws.network import Network
from components.rollout.rollout import ReleasedServer
from components.target import BalancerArgs, BalancerMachine, KeepsServerAddresses
from host import times

# Load balancers and target groups have the shortest limit for names: 32 characters.
NAME_LIMIT = 32
# AWS reserves the prefix "internal-" for load balancers that aren't on the internet. The security group has the same
# name, so its reserved prefixes count, too.
RESERVED_PREFIXES = ("internal-", *access.RESERVED_PREFIXES)
# TLS 1.2 with forward secrecy, and TLS 1.3. Without `ssl_policy`, a listener made through the API gets a policy of
# 2016.
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"


class Balancer(KeepsServerAddresses, pulumi.ComponentResource):
    """One DNS name for all servers. A request goes to a server that passes its health checks."""

    address: pulumi.Output[str]
    url: pulumi.Output[str]
    # The address ranges that its requests come from.
    sender_ranges: pulumi.Output[list[str]]

    def __init__(self, name: str, args: BalancerArgs[Network], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:aws:Balancer", name, None, opts)
        self._args, self._label = args, naming.label(name, NAME_LIMIT, RESERVED_PREFIXES)
        self._child_opts = pulumi.ResourceOptions(parent=self, provider=args.network.provider)
        zone = args.network.settings.zone
        self._zone = Zone(args.network, zone) if zone else None
        certificate = self._zone.certificate(args.domain) if self._zone and args.domain else None
        self._balancer = self._load_balancer(self._security_group([80, 443] if certificate else [80]))
        self._targets = self._target_group()
        self._listen(certificate)
        self.address = self._balancer.dns_name
        scheme, host = ("https", args.domain) if certificate else ("http", self.address)
        self.url = pulumi.Output.format("{}://{}/", scheme, host)
        # The load balancer may use any address of its subnets.
        self.sender_ranges = args.network.ranges
        self.register_outputs({"address": self.address, "url": self.url})

    def attach(
        self, servers: Sequence[ReleasedServer], depends_on: Sequence[pulumi.Resource]
    ) -> BalancerMachine | None:
        child = pulumi.ResourceOptions(parent=self)
        healthy: list[pulumi.Resource] = [
            balancing.wait_until_healthy(
                server,
                balancer=self.sender_ranges,
                status=self._args.health_status,
                depends_on=[self._attachment(server, depends_on), *self._listeners],
                opts=child,
            )
            for server in servers
        ]
        dns_seconds = 0
        if self._zone and self._args.domain:
            healthy += self._zone.point_to_balancer(self._args.domain, self._balancer, healthy)
            dns_seconds = TTL_SECONDS
        balancing.close(servers, depends_on=healthy, opts=child, dns_seconds=dns_seconds)
        return None

    def _attachment(
        self, server: ReleasedServer, depends_on: Sequence[pulumi.Resource]
    ) -> aws.lb.TargetGroupAttachment:
        drain = balancing.ServerDrain(server, self._args.drain_seconds, pulumi.ResourceOptions(parent=self))
        return aws.lb.TargetGroupAttachment(
            f"{server.name}-attachment",
            target_group_arn=self._targets.arn,
            target_id=server.instance_id,
            port=80,
            # The attachment depends on the drain, so Pulumi deletes the attachment first.
            opts=pulumi.ResourceOptions.merge(
                self._child_opts, pulumi.ResourceOptions(depends_on=[*depends_on, drain])
            ),
        )

    def _security_group(self, ports: list[int]) -> pulumi.Output[str]:
        """The balancer's security group. Only its members may send HTTP requests to the servers."""
        label, servers = self._label, self._args.network.access.group_id
        group = aws.ec2.SecurityGroup(
            label,
            vpc_id=self._args.network.vpc_id,
            description=f"Balancer {label}",
            tags={"Name": label},
            opts=self._child_opts,
        )
        for port in ports:
            access.web_rule(f"{label}-{port}", group=group.id, port=port, opts=self._child_opts)
        aws.vpc.SecurityGroupEgressRule(
            f"{label}-out",
            security_group_id=group.id,
            ip_protocol="tcp",
            from_port=80,
            to_port=80,
            referenced_security_group_id=servers,
            description="The servers",
            tags={"Name": f"{label}-out"},
            opts=self._child_opts,
        )
        access.web_rule(f"{label}-in", group=servers, port=80, opts=self._child_opts, source_group=group.id)
        return group.id

    def _load_balancer(self, group: pulumi.Output[str]) -> aws.lb.LoadBalancer:
        args, settings = self._args, self._args.network.settings
        # The block is always set. Without it, only the provider would decide whether access logs are turned off.
        logs = aws.lb.LoadBalancerAccessLogsArgs(bucket="", enabled=False)
        if settings.access_logs:
            bucket = AccessLogs(f"{self._label}-logs", settings.protect, self._child_opts).bucket
            logs = aws.lb.LoadBalancerAccessLogsArgs(bucket=bucket, enabled=True)
        return aws.lb.LoadBalancer(
            self._label,
            load_balancer_type="application",
            internal=False,
            subnets=args.network.subnets,
            security_groups=[group],
            idle_timeout=times.balancer_idle_seconds(args.limits.request_timeout, args.limits.socket_timeout),
            drop_invalid_header_fields=True,
            desync_mitigation_mode="strictest",
            enable_deletion_protection=settings.protect,
            access_logs=logs,
            tags={"Name": self._label},
            opts=pulumi.ResourceOptions.merge(
                self._child_opts,
                # It can't move to the subnets of another network.
                pulumi.ResourceOptions(protect=settings.protect, replacement_trigger=args.network.vpc_id),
            ),
        )

    def _target_group(self) -> aws.lb.TargetGroup:
        args = self._args
        return aws.lb.TargetGroup(
            self._label,
            port=80,
            protocol="HTTP",
            target_type="instance",
            vpc_id=args.network.vpc_id,
            deregistration_delay=args.drain_seconds,
            health_check=aws.lb.TargetGroupHealthCheckArgs(
                protocol="HTTP",
                port="traffic-port",
                path=args.health_path,
                matcher=str(args.health_status or "200-399"),
                interval=times.CHECK_SECONDS,
                timeout=times.CHECK_TIMEOUT_SECONDS,
                healthy_threshold=times.CHECKS,
                unhealthy_threshold=times.CHECKS,
            ),
            tags={"Name": self._label},
            opts=self._child_opts,
        )

    def _listen(self, certificate: pulumi.Output[str] | None) -> None:
        forward = aws.lb.ListenerDefaultActionArgs(type="forward", target_group_arn=self._targets.arn)
        to_https = aws.lb.ListenerDefaultActionArgs(
            type="redirect",
            redirect=aws.lb.ListenerDefaultActionRedirectArgs(port="443", protocol="HTTPS", status_code="HTTP_301"),
        )
        plain = aws.lb.Listener(
            f"{self._label}-http",
            load_balancer_arn=self._balancer.arn,
            port=80,
            protocol="HTTP",
            default_actions=[to_https if certificate else forward],
            tags={"Name": f"{self._label}-http"},
            opts=self._child_opts,
        )
        self._listeners = [plain]
        if certificate:
            self._listeners.append(
                aws.lb.Listener(
                    f"{self._label}-https",
                    load_balancer_arn=self._balancer.arn,
                    port=443,
                    protocol="HTTPS",
                    ssl_policy=TLS_POLICY,
                    certificate_arn=certificate,
                    default_actions=[forward],
                    tags={"Name": f"{self._label}-https"},
                    opts=self._child_opts,
                )
            )
