"""Names of the site in a Route 53 zone, and the certificate for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pulumi
import pulumi_aws as aws

from components import names
from components.aws.network import Network
from components.target import site_names

TTL_SECONDS = 60
_Option = aws.acm.outputs.CertificateDomainValidationOption


class Zone:
    """A hosted zone that is there.

    Its records are nobody's children: so they are the same when something else comes in front of the servers.
    """

    def __init__(self, network: Network, name: str) -> None:
        self.zone_id = aws.route53.get_zone(name=name, private_zone=False, opts=network.invoke).zone_id
        self._opts = pulumi.ResourceOptions(provider=network.provider)

    def to_address(self, domain: str, address: pulumi.Input[str], after: Sequence[pulumi.Resource]) -> None:
        """Lead the site's names to an address."""
        opts = pulumi.ResourceOptions.merge(self._opts, pulumi.ResourceOptions(depends_on=after))
        for each in site_names(domain):
            aws.route53.Record(
                each, zone_id=self.zone_id, name=each, type="A", ttl=TTL_SECONDS, records=[address], opts=opts
            )

    def to_balancer(
        self, domain: str, balancer: aws.lb.LoadBalancer, after: Sequence[pulumi.Resource]
    ) -> list[pulumi.Resource]:
        """Lead the site's names to a load balancer, whose addresses change."""
        opts = pulumi.ResourceOptions.merge(self._opts, pulumi.ResourceOptions(depends_on=after))
        alias = aws.route53.RecordAliasArgs(
            name=balancer.dns_name, zone_id=balancer.zone_id, evaluate_target_health=False
        )
        return [
            aws.route53.Record(each, zone_id=self.zone_id, name=each, type="A", aliases=[alias], opts=opts)
            for each in site_names(domain)
        ]

    def certificate(self, domain: str) -> pulumi.Output[str]:
        """The ARN of a certificate for the site's names, once it is issued; AWS renews it while the records stay."""
        wanted = site_names(domain)
        certificate = aws.acm.Certificate(
            names.label(domain),
            domain_name=domain,
            subject_alternative_names=wanted[1:],
            validation_method="DNS",
            tags={"Name": domain},
            opts=self._opts,
        )
        records = [self._proof(each, certificate.domain_validation_options) for each in wanted]
        validation = aws.acm.CertificateValidation(
            names.label(domain),
            certificate_arn=certificate.arn,
            validation_record_fqdns=[record.fqdn for record in records],
            opts=self._opts,
        )
        return validation.certificate_arn

    def _proof(self, domain: str, options: pulumi.Output[Sequence[_Option]]) -> aws.route53.Record:
        return aws.route53.Record(
            f"{domain}-proof",
            zone_id=self.zone_id,
            name=options.apply(_of(domain, lambda option: option.resource_record_name)),
            type=options.apply(_of(domain, lambda option: option.resource_record_type)),
            records=[options.apply(_of(domain, lambda option: option.resource_record_value))],
            ttl=TTL_SECONDS,
            # It is the same for every certificate of the name in this account.
            allow_overwrite=True,
            opts=self._opts,
        )


def _of(domain: str, part: Callable[[_Option], str | None]) -> Callable[[Sequence[_Option]], str]:
    """The part of the option for ``domain``; they come in no order."""

    def pick(options: Sequence[_Option]) -> str:
        return next(part(option) or "" for option in options if option.domain_name == domain)

    return pick
