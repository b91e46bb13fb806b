"""A balancer on AWS: an Application Load Balancer."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws
from pulumi_command import remote

from components import membership, names
from components.aws import access
from components.aws.dns import TTL_SECONDS, Zone
from components.aws.logs import AccessLogs
from components.aws.network import Network
from components.target import BalancerArgs, Member, Server

# Load balancers and target groups have the shortest names: 32 characters.
NAME_LIMIT = 32
# Of load balancers that aren't on the internet; and a group is named like the balancer.
RESERVED = ("internal-", *access.RESERVED)
# TLS 1.2 with forward secrecy, and TLS 1.3; what is made through the API gets one of 2016.
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"


class Balancer(pulumi.ComponentResource):
    """One name for all servers: a request goes to one whose health checks are answered well."""

    address: pulumi.Output[str]
    url: pulumi.Output[str]
    # Where its requests come from: addresses and ranges.
    source: pulumi.Output[list[str]]

    def __init__(self, name: str, args: BalancerArgs[Network], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:aws:Balancer", name, None, opts)
        self._args, self._label = args, names.label(name, NAME_LIMIT, RESERVED)
        self._child = pulumi.ResourceOptions(parent=self, provider=args.network.provider)
        self._zone = Zone(args.network, args.zone) if args.zone else None
        certificate = self._zone.certificate(args.domain) if self._zone and args.domain else None
        self._balancer = self._load_balancer(self._group([80, 443] if certificate else [80]))
        self._targets = self._target_group()
        self._listen(certificate)
        self.address = self._balancer.dns_name
        scheme, host = ("https", args.domain) if certificate else ("http", self.address)
        self.url = pulumi.Output.format("{}://{}/", scheme, host)
        # From any address of its own in its subnets.
        self.source = args.network.ranges
        self.register_outputs({"address": self.address, "url": self.url})

    def reach(self, server: Server) -> remote.ConnectionArgs:
        return server.connection

    def attach(self, members: Sequence[Member], after: Sequence[pulumi.Resource]) -> pulumi.Output[str] | None:
        joined: list[pulumi.Resource] = []
        for member in members:
            leaving = membership.Leaving(member, self._args.drain_seconds, pulumi.ResourceOptions(parent=self))
            attached = aws.lb.TargetGroupAttachment(
                f"{member.name}-attachment",
                target_group_arn=self._targets.arn,
                target_id=member.instance_id,
                port=80,
                opts=pulumi.ResourceOptions.merge(
                    # Taken out before the server begins to leave.
                    self._child,
                    pulumi.ResourceOptions(depends_on=[*after, leaving]),
                ),
            )
            there = [attached, *self._listeners]
            status, below = self._args.health_status, pulumi.ResourceOptions(parent=self)
            joined.append(membership.join(member, self.source, status, there, below))
        patience = 0
        if self._zone and self._args.domain:
            joined += self._zone.to_balancer(self._args.domain, self._balancer, joined)
            patience = TTL_SECONDS
        membership.close(members, joined, pulumi.ResourceOptions(parent=self), patience)
        return None

    def _group(self, ports: list[int]) -> pulumi.Output[str]:
        """The balancer's security group, the only one whose members may ask the servers for pages."""
        label, servers = self._label, self._args.network.access.group_id
        group = aws.ec2.SecurityGroup(
            label,
            vpc_id=self._args.network.vpc_id,
            description=f"Balancer {label}",
            tags={"Name": label},
            opts=self._child,
        )
        for port in ports:
            access.web_rule(f"{label}-{port}", group.id, port, self._child)
        aws.vpc.SecurityGroupEgressRule(
            f"{label}-out",
            security_group_id=group.id,
            ip_protocol="tcp",
            from_port=80,
            to_port=80,
            referenced_security_group_id=servers,
            description="The servers",
            tags={"Name": f"{label}-out"},
            opts=self._child,
        )
        access.web_rule(f"{label}-in", servers, 80, self._child, group.id)
        return group.id

    def _load_balancer(self, group: pulumi.Output[str]) -> aws.lb.LoadBalancer:
        args = self._args
        # Said even so: where the block is missing, the provider leaves them as they are.
        logs = aws.lb.LoadBalancerAccessLogsArgs(bucket="", enabled=False)
        if args.access_logs:
            bucket = AccessLogs(f"{self._label}-logs", args.protect, self._child).bucket
            logs = aws.lb.LoadBalancerAccessLogsArgs(bucket=bucket, enabled=True)
        return aws.lb.LoadBalancer(
            self._label,
            load_balancer_type="application",
            internal=False,
            subnets=args.network.subnets,
            security_groups=[group],
            idle_timeout=membership.IDLE_SECONDS,
            drop_invalid_header_fields=True,
            desync_mitigation_mode="strictest",
            enable_deletion_protection=args.protect,
            access_logs=logs,
            tags={"Name": self._label},
            opts=pulumi.ResourceOptions.merge(
                self._child,
                # It can't go to the subnets of another network.
                pulumi.ResourceOptions(protect=args.protect, replacement_trigger=args.network.vpc_id),
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
                interval=membership.CHECK_SECONDS,
                timeout=membership.ANSWER_SECONDS,
                healthy_threshold=membership.CHECKS,
                unhealthy_threshold=membership.CHECKS,
            ),
            tags={"Name": self._label},
            opts=self._child,
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
            opts=self._child,
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
                    opts=self._child,
                )
            )
