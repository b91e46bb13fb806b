"""The promises about what a stack makes on DigitalOcean."""

from __future__ import annotations

from collections.abc import Iterator

from gantry_policy.opening import (
    WITHOUT_PORTS,
    Opening,
    is_anywhere,
    more_than_pages_from_anywhere,
    ssh_from_anywhere,
)
from gantry_policy.rule import Props, Resource, Rules, Stack, has, parts, texts, word
from gantry_policy.secret import secrets_of_user_data

RULES = Rules("digitalocean")

BALANCER = "digitalocean:index/loadBalancer:LoadBalancer"
DATABASE = "digitalocean:index/databaseCluster:DatabaseCluster"
DATABASE_FIREWALL = "digitalocean:index/databaseFirewall:DatabaseFirewall"
DROPLET = "digitalocean:index/droplet:Droplet"
FIREWALL = "digitalocean:index/firewall:Firewall"
SECURED = ("https", "http2", "http3")
BUCKETS = (
    "digitalocean:index/spacesBucket:SpacesBucket",
    "digitalocean:index/spacesBucketObject:SpacesBucketObject",
)


@RULES.about(FIREWALL)
def no_ssh_from_anywhere(props: Props) -> Iterator[str]:
    """SSH is open to the operators' networks only."""
    return ssh_from_anywhere(openings(props))


@RULES.about(FIREWALL)
def only_pages_are_open_to_all(props: Props) -> Iterator[str]:
    """Nothing but HTTP and HTTPS is open to everyone."""
    return more_than_pages_from_anywhere(openings(props))


@RULES.across
def pages_only_through_the_balancer(stack: Stack) -> Iterator[tuple[Resource, str]]:
    """Where there is a balancer, servers answer HTTP and HTTPS to it alone."""
    if not stack.of(BALANCER):
        return
    others = ("sourceDropletIds", "sourceTags", "sourceKubernetesIds")
    for firewall in stack.of(FIREWALL):
        for rule in parts(firewall.props, "inboundRules"):
            sources = [*texts(rule, "sourceAddresses"), *(key for key in others if rule.get(key))]
            if sources and any(opening.has_pages() for opening in openings({"inboundRules": [rule]})):
                where = ", ".join(sources)
                yield firewall, f"HTTP is open to {where}: admit the balancer alone, by sourceLoadBalancerUids"


@RULES.across
def droplets_are_behind_a_firewall(stack: Stack) -> Iterator[tuple[Resource, str]]:
    """Every droplet has a firewall."""
    firewalls = stack.of(FIREWALL)
    tags, droplets = stack.used_by(firewalls, "tags"), stack.used_by(firewalls, "dropletIds")
    for droplet in stack.of(DROPLET):
        if droplet.urn not in droplets and not stack.used_by([droplet], "tags") & tags:
            yield droplet, "no firewall is for one of its tags: give it a tag that a firewall has"


@RULES.about(DROPLET)
def droplets_have_keys(props: Props) -> Iterator[str]:
    """No droplet is made without a key: it would get a password, sent by mail."""
    if not props.get("sshKeys"):
        yield "sshKeys is empty: name at least one key"


@RULES.about(DROPLET)
def droplets_are_monitored(props: Props) -> Iterator[str]:
    """Every droplet is monitored."""
    if props.get("monitoring") is not True:
        yield "monitoring isn't set: set it to true"


@RULES.about(DROPLET)
def droplets_are_tagged(props: Props) -> Iterator[str]:
    """Every droplet has tags that tell whose it is."""
    if not props.get("tags"):
        yield "tags is empty: name at least the stack"


@RULES.about(DROPLET)
def user_data_holds_no_secret(props: Props) -> Iterator[str]:
    """User-data holds no secret but the host key of the first contact."""
    return secrets_of_user_data(props)


@RULES.about(BALANCER)
def http_leads_to_https(props: Props) -> Iterator[str]:
    """Where a balancer has a certificate, its plain HTTP does nothing but redirect."""
    if has_https(props) and props.get("redirectHttpToHttps") is not True:
        yield "redirectHttpToHttps isn't set: set it to true"


@RULES.about(BALANCER)
def tls_is_current(props: Props) -> Iterator[str]:
    """HTTPS begins at TLS 1.2, with ciphers of today."""
    # DigitalOcean's balancers speak TLS 1.2 and 1.3 alone:
    # https://docs.digitalocean.com/products/networking/load-balancers/how-to/ssl-termination/
    if has_https(props) and props.get("tlsCipherPolicy") != "STRONG":
        yield f"tlsCipherPolicy is {props.get('tlsCipherPolicy')!r}: set it to 'STRONG'"


@RULES.about(*BUCKETS)
def buckets_are_private(props: Props) -> Iterator[str]:
    """No bucket, and nothing in one, is public."""
    if (props.get("acl") or "private") != "private":
        yield f"acl is {props.get('acl')!r}: set it to 'private'"


@RULES.across
def databases_are_behind_a_firewall(stack: Stack) -> Iterator[tuple[Resource, str]]:
    """Every database is in a private network, and admits named clients only."""
    for database in stack.of(DATABASE):
        if not has(database.props, "privateNetworkUuid"):
            yield database, "privateNetworkUuid isn't set: put it into the stack's VPC"
        if not stack.users_of(database, DATABASE_FIREWALL, "clusterId"):
            yield database, "it has no DatabaseFirewall, so that it admits everyone: add one with the servers' tag"


@RULES.about(DATABASE_FIREWALL)
def databases_are_not_public(props: Props) -> Iterator[str]:
    """No database admits everyone."""
    for rule in parts(props, "rules"):
        if rule.get("type") == "ip_addr" and is_anywhere(str(rule.get("value"))):
            yield f"it admits {rule.get('value')}: admit the servers' tag or addresses"


def has_https(balancer: Props) -> bool:
    return any(word(rule, "entryProtocol") in SECURED for rule in parts(balancer, "forwardingRules"))


def openings(props: Props) -> Iterator[Opening]:
    """What a firewall lets in; ICMP has no ports."""
    for rule in parts(props, "inboundRules"):
        if word(rule, "protocol") not in WITHOUT_PORTS:
            low, _, high = (word(rule, "portRange") or "all").partition("-")
            # https://docs.digitalocean.com/reference/api/digitalocean/#tag/Firewalls: "0" and "all" are all ports.
            every = low in ("all", "0")
            ports = (0, 65535) if every else (int(low), int(high or low))
            yield Opening(*ports, tuple(texts(rule, "sourceAddresses")))
