"""The promises about what a stack makes on AWS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from gantry_policy.opening import WITHOUT_PORTS, Opening, more_than_pages_from_anywhere, ssh_from_anywhere
from gantry_policy.permission import too_much
from gantry_policy.rule import Props, Resource, Rules, Stack, part, parts, texts, word
from gantry_policy.secret import secrets_of_user_data, user_data_of

RULES = Rules("aws")

BALANCER = "aws:lb/loadBalancer:LoadBalancer"
BUCKET = "aws:s3/bucket:Bucket"
INSTANCE = "aws:ec2/instance:Instance"
LISTENER = "aws:lb/listener:Listener"
VOLUME = "aws:ebs/volume:Volume"
# A group's rules may be its own, or resources of two kinds.
GROUPS = ("aws:ec2/securityGroup:SecurityGroup", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
GROUP_RULES = (
    "aws:ec2/securityGroupRule:SecurityGroupRule",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
)
DATABASES = ("aws:rds/instance:Instance", "aws:rds/cluster:Cluster")

USER_DATA_BYTES = 16 * 1024
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html: from TLS 1.2 on, with
# forward secrecy.
TLS_POLICIES = {
    f"ELBSecurityPolicy-TLS13-{versions}-{date}"
    for versions in ("1-2", "1-2-Res", "1-3")
    for date in ("2021-06", "PQ-2025-09", "FIPS-2023-04", "FIPS-PQ-2025-09")
}
# What has a policy in it, or names one.
PERMISSIONS = (
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
TOO_MUCH = ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess")


@RULES.about(*GROUPS, *GROUP_RULES)
def no_ssh_from_anywhere(props: Props) -> Iterator[str]:
    """SSH is open to the operators' networks only."""
    return ssh_from_anywhere(openings(props))


@RULES.about(*GROUPS, *GROUP_RULES)
def only_pages_are_open_to_all(props: Props) -> Iterator[str]:
    """Nothing but HTTP and HTTPS is open to everyone."""
    return more_than_pages_from_anywhere(openings(props))


@RULES.across
def pages_only_through_the_balancer(stack: Stack) -> Iterator[tuple[Resource, str]]:
    """Where there is a balancer, servers answer HTTP and HTTPS to it alone."""
    balancers = stack.of(BALANCER)
    if not balancers:
        return
    admitted = stack.used_by(balancers, "securityGroups")
    of_servers = stack.used_by(stack.of(INSTANCE), "vpcSecurityGroupIds")
    for each in stack.of(*GROUPS, *GROUP_RULES):
        if each.urn not in of_servers and not stack.used_by([each], "securityGroupId") & of_servers:
            continue
        # A group's own rules, once they are read back, repeat those that are resources, with ids for sources.
        sources = stack.used_by([each], "referencedSecurityGroupId", "sourceSecurityGroupId")
        foreign = each.type in GROUP_RULES and not (sources and sources <= admitted)
        for opening in openings(each.props):
            if opening.has_pages() and (opening.addresses or foreign):
                where = ", ".join(opening.addresses) or "another group"
                yield each, f"{opening.ports()} is open to {where}: admit the balancer's security group alone"


@RULES.about(INSTANCE)
def metadata_needs_a_token(props: Props) -> Iterator[str]:
    """An instance's metadata answers requests with a token only, made on the instance itself."""
    options = part(props, "metadataOptions")
    if options.get("httpTokens") != "required":
        yield f"metadataOptions.httpTokens is {options.get('httpTokens')!r}: set it to 'required'"
    if options.get("httpPutResponseHopLimit") != 1:
        yield f"metadataOptions.httpPutResponseHopLimit is {options.get('httpPutResponseHopLimit')!r}: set it to 1"


@RULES.about(INSTANCE)
def disks_are_encrypted(props: Props) -> Iterator[str]:
    """Every disk of an instance is encrypted."""
    if part(props, "rootBlockDevice").get("encrypted") is not True:
        yield "rootBlockDevice.encrypted isn't set: set it to true"
    for device in parts(props, "ebsBlockDevices"):
        if device.get("encrypted") is not True:
            yield f"the disk {device.get('deviceName')} isn't encrypted: set its encrypted to true"


@RULES.about(VOLUME)
def volumes_are_encrypted(props: Props) -> Iterator[str]:
    """Every volume is encrypted."""
    if props.get("encrypted") is not True:
        yield "encrypted isn't set: set it to true"


@RULES.about(INSTANCE)
def user_data_holds_no_secret(props: Props) -> Iterator[str]:
    """User-data holds no secret but the host key of the first contact."""
    return secrets_of_user_data(props)


@RULES.about(INSTANCE)
def user_data_fits(props: Props) -> Iterator[str]:
    """User-data fits into the 16 KiB that EC2 takes."""
    size = len(user_data_of(props))
    if size > USER_DATA_BYTES:
        yield f"the user-data has {size} bytes of {USER_DATA_BYTES}: deliver what isn't needed at first over SSH"


@RULES.about(*PERMISSIONS)
def servers_may_not_rule_the_account(props: Props) -> Iterator[str]:
    """Nothing that a stack makes may do everything in the account, or everything with its IAM."""
    for arn in (props.get("policyArn"), *texts(props, "policyArns"), *texts(props, "managedPolicyArns")):
        policy = str(arn).rpartition("/")[2]
        if policy in TOO_MUCH:
            yield f"{policy} is attached: attach what is needed, such as AmazonSSMManagedInstanceCore"
    for holder in (props, *parts(props, "inlinePolicies")):
        for allowed in too_much(holder.get("policy") or {}):
            yield f"a policy allows {allowed}: name the actions and the resources that are needed"


@RULES.about(LISTENER)
def tls_is_current(props: Props) -> Iterator[str]:
    """HTTPS begins at TLS 1.2, with ciphers of today."""
    if word(props, "protocol") == "https" and props.get("sslPolicy") not in TLS_POLICIES:
        newest = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
        yield f"sslPolicy is {props.get('sslPolicy')!r}: set it to one of TLS 1.2 and 1.3, such as {newest}"


@RULES.across
def http_leads_to_https(stack: Stack) -> Iterator[tuple[Resource, str]]:
    """Where a balancer has a certificate, its plain HTTP does nothing but redirect."""
    listeners = stack.of(LISTENER)
    secured = stack.used_by([each for each in listeners if word(each.props, "protocol") == "https"], "loadBalancerArn")
    for each in listeners:
        if word(each.props, "protocol") == "http" and stack.used_by([each], "loadBalancerArn") & secured:
            for action in parts(each.props, "defaultActions"):
                if action.get("type") != "redirect" or word(part(action, "redirect"), "protocol") != "https":
                    yield each, f"its action is {action.get('type')}: make it a redirect to HTTPS"


@RULES.about(BALANCER)
def invalid_headers_are_dropped(props: Props) -> Iterator[str]:
    """A balancer passes no header on that isn't valid."""
    if props.get("dropInvalidHeaderFields") is not True:
        yield "dropInvalidHeaderFields isn't set: set it to true"


@RULES.about(BALANCER)
def request_smuggling_is_stopped(props: Props) -> Iterator[str]:
    """A balancer passes no request on that servers may read in another way."""
    if props.get("desyncMitigationMode") != "strictest":
        yield f"desyncMitigationMode is {props.get('desyncMitigationMode')!r}: set it to 'strictest'"


@RULES.across
def buckets_are_private(stack: Stack) -> Iterator[tuple[Resource, str]]:
    """No bucket can be made public."""
    flags = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    for bucket in stack.of(BUCKET):
        blocks = stack.users_of(bucket, "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "bucket")
        missing = [flag for flag in flags if not any(block.props.get(flag) is True for block in blocks)]
        if missing:
            yield bucket, f"{', '.join(missing)} are not set: set them by a BucketPublicAccessBlock"


@RULES.across
def buckets_are_encrypted(stack: Stack) -> Iterator[tuple[Resource, str]]:
    """Every bucket is encrypted."""
    kind = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    for bucket in stack.of(BUCKET):
        if not stack.users_of(bucket, kind, "bucket"):
            yield bucket, "nothing says how it is encrypted: add a BucketServerSideEncryptionConfiguration"


@RULES.about(*DATABASES)
def databases_are_encrypted(props: Props) -> Iterator[str]:
    """Every database is encrypted."""
    if props.get("storageEncrypted") is not True:
        yield "storageEncrypted isn't set: set it to true"


@RULES.about("aws:rds/instance:Instance", "aws:rds/clusterInstance:ClusterInstance")
def databases_are_not_public(props: Props) -> Iterator[str]:
    """No database can be reached from outside its network."""
    if props.get("publiclyAccessible"):
        yield "publiclyAccessible is true: set it to false"


@RULES.about("pulumi:providers:aws")
def everything_is_tagged(props: Props) -> Iterator[str]:
    """All that a stack makes has tags that tell whose it is."""
    # A provider's inputs that aren't text are JSON.
    given: Any = props.get("defaultTags") or {}
    given = json.loads(given) if isinstance(given, str) else given
    if not given.get("tags"):
        yield "defaultTags has no tags: name at least the project and the stack"


def openings(props: Props) -> Iterator[Opening]:
    """What a security group, or one of its rules, lets in; ICMP has no ports."""
    if props.get("type") == "egress":
        return
    for each in parts(props, "ingress") or [props]:
        protocol = word(each, "protocol") or word(each, "ipProtocol")
        # A group whose rules are resources has none itself.
        if not protocol or protocol in WITHOUT_PORTS:
            continue
        single = [str(each[key]) for key in ("cidrIpv4", "cidrIpv6") if each.get(key)]
        addresses = (*texts(each, "cidrBlocks"), *texts(each, "ipv6CidrBlocks"), *single)
        if protocol in ("tcp", "udp", "6", "17"):
            yield Opening(int(each["fromPort"]), int(each["toPort"]), addresses)
        else:
            # EC2 opens all ports for any other protocol, whatever range is given:
            # https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html
            yield Opening(0, 65535, addresses)
