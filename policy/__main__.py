"""Gives the rules to Pulumi."""

from __future__ import annotations

from gantry_policy.pack import RULES
from gantry_policy.rule import Resource, Rule, Stack, StackRule
from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyPack,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError


def for_resources(rule: Rule) -> Policy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if args.resource_type not in rule.types:
            return
        try:
            for message in rule.check(args.props):
                report(message, None)
        except UnknownValueError as error:
            # `up` asks again before the resource is made; a notice for each would hide what matters in a preview.
            args.not_applicable(error.message)

    return ResourceValidationPolicy(name=rule.name, description=rule.promise, validate=validate)


def for_stacks(rule: StackRule) -> Policy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        for resource, message in rule.check(Stack([declared(each) for each in args.resources])):
            report(message, resource.urn)

    return StackValidationPolicy(name=rule.name, description=rule.promise, validate=validate)


def declared(given: PolicyResource) -> Resource:
    uses = {key: frozenset(each.urn for each in used) for key, used in given.property_dependencies.items()}
    return Resource(urn=given.urn, type=given.resource_type, name=given.name, props=given.props, uses=uses)


PolicyPack(
    name="gantry",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[for_resources(rule) if isinstance(rule, Rule) else for_stacks(rule) for rule in RULES],
)
