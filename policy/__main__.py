"""The policy pack: wraps the rules in the classes of Pulumi's policy SDK."""

from __future__ import annotations

from gantry_policy.pack import RULES
from gantry_policy.rules import Resource, Rule, Stack, StackRule
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
            # `up` checks again before it creates the resource. A notice for each unknown value would crowd a preview.
            args.not_applicable(error.message)

    return ResourceValidationPolicy(name=rule.name, description=rule.description, validate=validate)


def for_stacks(rule: StackRule) -> Policy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        for resource, message in rule.check(Stack([declared_resource(resource) for resource in args.resources])):
            report(message, resource.urn)

    return StackValidationPolicy(name=rule.name, description=rule.description, validate=validate)


def declared_resource(resource: PolicyResource) -> Resource:
    uses = {
        key: frozenset(used.urn for used in dependencies)
        for key, dependencies in resource.property_dependencies.items()
    }
    return Resource(
        urn=resource.urn,
        type=resource.resource_type,
        name=resource.name,
        props=resource.props,
        uses=uses,
        protected=resource.opts.protect,
    )


PolicyPack(
    name="gantry",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[for_resources(rule) if isinstance(rule, Rule) else for_stacks(rule) for rule in RULES],
)
