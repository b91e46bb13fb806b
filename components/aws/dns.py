"""The site's names in a Route 53 zone, and their certificate."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pulumi
import pulumi_aws as aws

from components import naming
from components.aws.network import Network
from components.target import site_names

TTL_SECONDS = 60
_Option = aws.acm.outputs.CertificateDomainValidationOption


class Zone:
    """An existing hosted zone.

    Its records have no parent, so they stay the same resources when another entrypoint takes over.
    """

    def __init__(self, network: Network, name: str) -> None:
        self.zone_id = aws.route53.get_zone(name=name, private_zone=False, opts=network.invoke).zone_id
        self._opts = pulumi.ResourceOptions(provider=network.provider)

    def point_to_address(
        self, domain: str, address: pulumi.Input[str], depends_on: Sequence[pulumi.Resource]
    ) -> list[pulumi.Resource]:
        """Point the site's names to an address."""
        opts = pulumi.ResourceOptions.merge(self._opts, pulumi.ResourceOptions(depends_on=depends_on))
        return [
            aws.route53.Record(
                name, zone_id=self.zone_id, name=name, type="A", ttl=TTL_SECONDS, records=[address], opts=opts
            )
            for name in site_names(domain)
        ]

    def point_to_balancer(
        self, domain: str, balancer: aws.lb.LoadBalancer, depends_on: Sequence[pulumi.Resource]
    ) -> list[pulumi.Resource]:
        """Point the site's names to a load balancer, whose addresses change."""
        opts = pulumi.ResourceOptions.merge(self._opts, pulumi.ResourceOptions(depends_on=depends_on))
        alias = aws.route53.RecordAliasArgs(
            name=balancer.dns_name, zone_id=balancer.zone_id, evaluate_target_health=False
        )
        return [
            aws.route53.Record(name, zone_id=self.zone_id, name=name, type="A", aliases=[alias], opts=opts)
            for name in site_names(domain)
        ]

    def certificate(self, domain: str) -> pulumi.Output[str]:
        """The ARN of the site's certificate, known once it is issued. AWS renews it while the records stay."""
        domains = site_names(domain)
        certificate = aws.acm.Certificate(
            naming.label(domain),
            domain_name=domain,
            subject_alternative_names=domains[1:],
            validation_method="DNS",
            tags={"Name": domain},
            opts=self._opts,
        )
        records = [self._validation_record(name, certificate.domain_validation_options) for name in domains]
        validation = aws.acm.CertificateValidation(
            naming.label(domain),
            certificate_arn=certificate.arn,
            validation_record_fqdns=[record.fqdn for record in records],
            opts=self._opts,
        )
        return validation.certificate_arn

    def _validation_record(self, domain: str, options: pulumi.Output[Sequence[_Option]]) -> aws.route53.Record:
        return aws.route53.Record(
            f"{domain}-proof",
            zone_id=self.zone_id,
            name=options.apply(_option_part(domain, lambda option: option.resource_record_name)),
            type=options.apply(_option_part(domain, lambda option: option.resource_record_type)),
            records=[options.apply(_option_part(domain, lambda option: option.resource_record_value))],
            ttl=TTL_SECONDS,
            # Every certificate of the name in this account has the same record.
            allow_overwrite=True,
            opts=self._opts,
        )


def _option_part(domain: str, part: Callable[[_Option], str | None]) -> Callable[[Sequence[_Option]], str]:
    """Picks a part of the option for ``domain``; the options come in no order."""

    def pick(options: Sequence[_Option]) -> str:
        return next(part(option) or "" for option in options if option.domain_name == domain)

    return pick
