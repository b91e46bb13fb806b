"""Rules about the resources of a stack on AWS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from gantry_policy.iam import excessive_statements, statements_that_read_all_secrets
from gantry_policy.open_ports import WITHOUT_PORTS, OpenPorts, add_rules
from gantry_policy.rules import Props, Resource, Rules, Stack, lower, mapping, mappings, texts, unless, unprotected
from gantry_policy.secrets import user_data_holds_no_secret, user_data_of

RULES = Rules("aws")

BALANCER = "aws:lb/loadBalancer:LoadBalancer"
BUCKET = "aws:s3/bucket:Bucket"
INSTANCE = "aws:ec2/instance:Instance"
LISTENER = "aws:lb/listener:Listener"
SNAPSHOTS = "aws:dlm/lifecyclePolicy:LifecyclePolicy"
VOLUME = "aws:ebs/volume:Volume"
# The rules of a security group are properties of the group, or resources of one of two types.
GROUPS = ("aws:ec2/securityGroup:SecurityGroup", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
GROUP_RULES = (
    "aws:ec2/securityGroupRule:SecurityGroupRule",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
)
DATABASES = ("aws:rds/instance:Instance", "aws:rds/cluster:Cluster")

USER_DATA_BYTES = 16 * 1024
# The policies with TLS 1.2 or newer and forward secrecy:
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
TLS_POLICIES = {
    f"ELBSecurityPolicy-TLS13-{versions}-{date}"
    for versions in ("1-2", "1-2-Res", "1-3")
    for date in ("2021-06", "PQ-2025-09", "FIPS-2023-04", "FIPS-PQ-2025-09")
}
# Types that contain a policy or attach one.
TYPES_WITH_POLICIES = (
    "aws:iam/role:Role",
    "aws:iam/policy:Policy",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/groupPolicy:GroupPolicy",
    "aws:iam/userPolicy:UserPolicy",
    "aws:iam/policyAttachment:PolicyAttachment",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive",
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment",
)
EXCESSIVE_POLICIES = ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess")
# Amazon's policies that read all parameters or all secrets.
READING_POLICIES = (
    "AmazonSSMManagedInstanceCore",
    "AmazonEC2RoleforSSM",
    "AmazonSSMReadOnlyAccess",
    "AmazonSSMFullAccess",
    "ReadOnlyAccess",
    "SecretsManagerReadWrite",
)


def open_ports(props: Props) -> Iterator[OpenPorts]:
    """The ports that a security group, or one of its rules, opens; ICMP has none."""
    if props.get("type") == "egress":
        return
    for rule in mappings(props, "ingress") or [props]:
        protocol = lower(rule, "protocol") or lower(rule, "ipProtocol")
        # A group whose rules are resources has no protocol itself.
        if not protocol or protocol in WITHOUT_PORTS:
            continue
        single = [str(rule[key]) for key in ("cidrIpv4", "cidrIpv6") if rule.get(key)]
        addresses = (*texts(rule, "cidrBlocks"), *texts(rule, "ipv6CidrBlocks"), *single)
        if protocol in ("tcp", "udp", "6", "17"):
            yield OpenPorts(int(rule["fromPort"]), int(rule["toPort"]), addresses)
        else:
            # For any other protocol EC2 ignores the range and opens all ports:
            # https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html
            yield OpenPorts(0, 65535, addresses)


add_rules(RULES, *GROUPS, *GROUP_RULES, open_ports=open_ports)


@RULES.across
def pages_only_through_the_balancer(stack: Stack) -> Iterator[tuple[Resource, str]]:
    """If there is a balancer, servers accept HTTP and HTTPS only from it."""
    balancers = stack.with_types(BALANCER)
    if not balancers:
        return
    balancer_groups = stack.urns_used_by(balancers, "securityGroups")
    server_groups = stack.urns_used_by(stack.with_types(INSTANCE), "vpcSecurityGroupIds")
    for resource in stack.with_types(*GROUPS, *GROUP_RULES):
        if resource.urn not in server_groups and not stack.urns_used_by([resource], "securityGroupId") & server_groups:
            continue
        # Only rules that are resources have sources by URN. After a refresh the group lists the same rules by id.
        sources = stack.urns_used_by([resource], "referencedSecurityGroupId", "sourceSecurityGroupId")
        allows_other_group = resource.type in GROUP_RULES and not (sources and sources <= balancer_groups)
        for ports in open_ports(resource.props):
            if ports.includes_http() and (ports.addresses or allows_other_group):
                source = ", ".join(ports.addresses) or "another group"
                yield resource, f"{ports} is open to {source}: allow only the balancer's security group"


@RULES.about(INSTANCE)
def metadata_needs_a_token(props: Props) -> Iterator[str]:
    """An instance's metadata service requires a token, and only the instance itself can get one."""
    options = mapping(props, "metadataOptions")
    for key, value in (("httpTokens", "required"), ("httpPutResponseHopLimit", 1)):
        for message in unless(options, key, value=value):
            yield f"metadataOptions.{message}"


@RULES.about(INSTANCE)
def disks_are_encrypted(props: Props) -> Iterator[str]:
    """Every disk of an instance is encrypted."""
    for message in unless(mapping(props, "rootBlockDevice"), "encrypted", value=True):
        yield f"rootBlockDevice.{message}"
    for device in mappings(props, "ebsBlockDevices"):
        if device.get("encrypted") is not True:
            yield f"the disk {device.get('deviceName')} isn't encrypted: set its encrypted to true"


RULES.require(VOLUME, "encrypted", value=True, name="volumes-are-encrypted", description="Every volume is encrypted.")


@RULES.across
def volumes_are_protected(stack: Stack) -> Iterator[tuple[Resource, str]]:
    """No volume is deleted by accident."""
    return unprotected(stack, VOLUME)


@RULES.across
def volumes_have_snapshots(stack: Stack) -> Iterator[tuple[Resource, str]]:
    """Every volume gets snapshots by a schedule."""
    selected = [
        set(mapping(details, "targetTags").items())
        for policy in stack.with_types(SNAPSHOTS)
        if (details := mapping(policy.props, "policyDetails"))
    ]
    for volume in stack.with_types(VOLUME):
        if not any(set(mapping(volume.props, "tags").items()) & tags for tags in selected):
            yield volume, "no LifecyclePolicy selects one of its tags: add one, as components/aws/volume.py does"


RULES.about(INSTANCE)(user_data_holds_no_secret)


@RULES.about(INSTANCE)
def user_data_fits(props: Props) -> Iterator[str]:
    """User-data isn't larger than the 16 KiB that EC2 accepts."""
    size = len(user_data_of(props))
    if size > USER_DATA_BYTES:
        yield f"the user-data has {size} bytes, and EC2 accepts {USER_DATA_BYTES}: deliver a part of it over SSH"


@RULES.about(*TYPES_WITH_POLICIES)
def servers_may_not_rule_the_account(props: Props) -> Iterator[str]:
    """No policy of a stack allows all actions, or all actions of IAM, on everything in the account."""
    for policy in _attached(props):
        if policy in EXCESSIVE_POLICIES:
            yield f"{policy} is attached: attach a policy that names only the actions and the resources that it needs"
    for document in _documents(props):
        for statement in excessive_statements(document):
            yield f"a policy allows {statement}: name only the actions and the resources that it needs"


@RULES.about(*TYPES_WITH_POLICIES)
def servers_may_not_read_all_secrets(props: Props) -> Iterator[str]:
    """No policy of a stack reads all parameters or all secrets of the account."""
    for policy in _attached(props):
        if policy in READING_POLICIES:
            yield f"{policy} is attached: write a policy without it, as components/aws/access.py does"
    for document in _documents(props):
        for statement in statements_that_read_all_secrets(document):
            yield f"a policy allows {statement}: name the parameters and secrets that it needs"


def _attached(props: Props) -> Iterator[str]:
    """The names of the policies that a resource attaches."""
    for arn in (props.get("policyArn"), *texts(props, "policyArns"), *texts(props, "managedPolicyArns")):
        yield str(arn).rpartition("/")[2]


def _documents(props: Props) -> Iterator[str | Props]:
    """The policies that a resource contains."""
    for holder in (props, *mappings(props, "inlinePolicies")):
        yield holder.get("policy") or {}


@RULES.about(LISTENER)
def tls_is_current(props: Props) -> Iterator[str]:
    """HTTPS uses TLS 1.2 or newer, with current ciphers."""
    if lower(props, "protocol") == "https" and props.get("sslPolicy") not in TLS_POLICIES:
        newest = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
        yield f"sslPolicy is {props.get('sslPolicy')!r}: set it to a policy for TLS 1.2 and 1.3, such as {newest}"


@RULES.across
def http_leads_to_https(stack: Stack) -> Iterator[tuple[Resource, str]]:
    """A balancer with a certificate does nothing on plain HTTP but redirect to HTTPS."""
    by_protocol = {
        protocol: [listener for listener in stack.with_types(LISTENER) if lower(listener.props, "protocol") == protocol]
        for protocol in ("http", "https")
    }
    balancers_with_https = stack.urns_used_by(by_protocol["https"], "loadBalancerArn")
    for listener in by_protocol["http"]:
        if stack.urns_used_by([listener], "loadBalancerArn") & balancers_with_https:
            for action in mappings(listener.props, "defaultActions"):
                if action.get("type") != "redirect" or lower(mapping(action, "redirect"), "protocol") != "https":
                    yield listener, f"its action is {action.get('type')}: change it to a redirect to HTTPS"


RULES.require(
    BALANCER,
    "dropInvalidHeaderFields",
    value=True,
    name="invalid-headers-are-dropped",
    description="A balancer drops headers that aren't valid.",
)
RULES.require(
    BALANCER,
    "desyncMitigationMode",
    value="strictest",
    name="request-smuggling-is-stopped",
    description="A balancer rejects requests that a server might read differently (request smuggling).",
)


@RULES.across
def buckets_are_private(stack: Stack) -> Iterator[tuple[Resource, str]]:
    """No bucket can be made public."""
    flags = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    for bucket in stack.with_types(BUCKET):
        blocks = stack.users_of(bucket, "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "bucket")
        missing = [flag for flag in flags if not any(block.props.get(flag) is True for block in blocks)]
        if missing:
            yield bucket, f"no BucketPublicAccessBlock sets {', '.join(missing)}: add one that sets them to true"


@RULES.across
def buckets_are_encrypted(stack: Stack) -> Iterator[tuple[Resource, str]]:
    """Every bucket is encrypted."""
    kind = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    for bucket in stack.with_types(BUCKET):
        if not stack.users_of(bucket, kind, "bucket"):
            yield bucket, "it has no encryption settings: add a BucketServerSideEncryptionConfiguration"


@RULES.about(*DATABASES)
def databases_are_encrypted(props: Props) -> Iterator[str]:
    """Every database is encrypted."""
    return unless(props, "storageEncrypted", value=True)


@RULES.about("aws:rds/instance:Instance", "aws:rds/clusterInstance:ClusterInstance")
def databases_are_not_public(props: Props) -> Iterator[str]:
    """No database can be reached from outside its network."""
    if props.get("publiclyAccessible"):
        yield "publiclyAccessible is true: set it to false"


@RULES.about("pulumi:providers:aws")
def everything_is_tagged(props: Props) -> Iterator[str]:
    """All resources have tags that name their project and stack."""
    # The engine writes an input of a provider that isn't a string as JSON.
    default_tags: Any = props.get("defaultTags") or {}
    default_tags = json.loads(default_tags) if isinstance(default_tags, str) else default_tags
    if not default_tags.get("tags"):
        yield "defaultTags has no tags: set at least the project and the stack"
