"""Rules about the resources of a stack on DigitalOcean."""

from __future__ import annotations

from collections.abc import Iterator

from gantry_policy.open_ports import WITHOUT_PORTS, OpenPorts, add_rules, is_anywhere
from gantry_policy.rules import Props, Resource, Rules, Stack, is_set, lower, mappings, texts, unless, unprotected
from gantry_policy.secrets import user_data_holds_no_secret

RULES = Rules("digitalocean")

BALANCER = "digitalocean:index/loadBalancer:LoadBalancer"
DATABASE = "digitalocean:index/databaseCluster:DatabaseCluster"
DATABASE_FIREWALL = "digitalocean:index/databaseFirewall:DatabaseFirewall"
DROPLET = "digitalocean:index/droplet:Droplet"
FIREWALL = "digitalocean:index/firewall:Firewall"
VOLUME = "digitalocean:index/volume:Volume"
PROTOCOLS_WITH_TLS = ("https", "http2", "http3")
BUCKETS = (
    "digitalocean:index/spacesBucket:SpacesBucket",
    "digitalocean:index/spacesBucketObject:SpacesBucketObject",
)


def open_ports(props: Props) -> Iterator[OpenPorts]:
    """The ports that a firewall opens; ICMP has none."""
    for rule in mappings(props, "inboundRules"):
        if lower(rule, "protocol") not in WITHOUT_PORTS:
            low, _, high = (lower(rule, "portRange") or "all").partition("-")
            # "0" and "all" mean all ports: https://docs.digitalocean.com/reference/api/digitalocean/#tag/Firewalls
            ports = (0, 65535) if low in ("all", "0") else (int(low), int(high or low))
            yield OpenPorts(*ports, tuple(texts(rule, "sourceAddresses")))


add_rules(RULES, FIREWALL, open_ports=open_ports)


@RULES.across
def pages_only_through_the_balancer(stack: Stack) -> Iterator[tuple[Resource, str]]:
    """If there is a balancer, servers accept HTTP and HTTPS only from it."""
    if not stack.with_types(BALANCER):
        return
    other_sources = ("sourceDropletIds", "sourceTags", "sourceKubernetesIds")
    for firewall in stack.with_types(FIREWALL):
        for rule in mappings(firewall.props, "inboundRules"):
            sources = [*texts(rule, "sourceAddresses"), *(key for key in other_sources if rule.get(key))]
            if sources and any(ports.includes_http() for ports in open_ports({"inboundRules": [rule]})):
                names = ", ".join(sources)
                yield firewall, f"HTTP is open to {names}: allow only the balancer, with sourceLoadBalancerUids"


@RULES.across
def droplets_are_behind_a_firewall(stack: Stack) -> Iterator[tuple[Resource, str]]:
    """Every droplet is behind a firewall."""
    firewalls = stack.with_types(FIREWALL)
    tags, droplets = stack.urns_used_by(firewalls, "tags"), stack.urns_used_by(firewalls, "dropletIds")
    for droplet in stack.with_types(DROPLET):
        if droplet.urn not in droplets and not stack.urns_used_by([droplet], "tags") & tags:
            yield droplet, "no firewall covers it: give it a tag that a firewall has"


@RULES.about(DROPLET)
def droplets_have_keys(props: Props) -> Iterator[str]:
    """Every droplet has an SSH key, because DigitalOcean sends a password by e-mail for a droplet without one."""
    if not props.get("sshKeys"):
        yield "sshKeys is empty: add at least one key"


RULES.require(
    DROPLET, "monitoring", value=True, name="droplets-are-monitored", description="Every droplet is monitored."
)


@RULES.about(DROPLET)
def droplets_are_tagged(props: Props) -> Iterator[str]:
    """Every droplet has tags that name its stack."""
    if not props.get("tags"):
        yield "tags is empty: add at least the name of the stack"


RULES.about(DROPLET)(user_data_holds_no_secret)


@RULES.across
def volumes_are_protected(stack: Stack) -> Iterator[tuple[Resource, str]]:
    """No volume is deleted by accident."""
    return unprotected(stack, VOLUME)


@RULES.about(BALANCER)
def http_leads_to_https(props: Props) -> Iterator[str]:
    """A balancer with a certificate does nothing on plain HTTP but redirect to HTTPS."""
    if has_https(props):
        yield from unless(props, "redirectHttpToHttps", value=True)


@RULES.about(BALANCER)
def tls_is_current(props: Props) -> Iterator[str]:
    """HTTPS uses TLS 1.2 or newer, with current ciphers."""
    # The balancers speak only TLS 1.2 and 1.3, so the ciphers are all that can be weak:
    # https://docs.digitalocean.com/products/networking/load-balancers/how-to/ssl-termination/
    if has_https(props):
        yield from unless(props, "tlsCipherPolicy", value="STRONG")


@RULES.about(*BUCKETS)
def buckets_are_private(props: Props) -> Iterator[str]:
    """Buckets and the objects in them are private."""
    if (props.get("acl") or "private") != "private":
        yield f"acl is {props.get('acl')!r}: set it to 'private'"


@RULES.across
def databases_are_behind_a_firewall(stack: Stack) -> Iterator[tuple[Resource, str]]:
    """Every database is in a private network and accepts only named clients."""
    for database in stack.with_types(DATABASE):
        if not is_set(database.props, "privateNetworkUuid"):
            yield database, "privateNetworkUuid isn't set: put the database into the stack's VPC"
        if not stack.users_of(database, DATABASE_FIREWALL, "clusterId"):
            yield database, "it has no DatabaseFirewall, so it accepts everyone: add one with the servers' tag"


@RULES.about(DATABASE_FIREWALL)
def databases_are_not_public(props: Props) -> Iterator[str]:
    """No database accepts connections from everyone."""
    for rule in mappings(props, "rules"):
        if rule.get("type") == "ip_addr" and is_anywhere(str(rule.get("value"))):
            yield f"it accepts {rule.get('value')}: allow only the servers' tag or addresses"


def has_https(balancer: Props) -> bool:
    return any(lower(rule, "entryProtocol") in PROTOCOLS_WITH_TLS for rule in mappings(balancer, "forwardingRules"))
