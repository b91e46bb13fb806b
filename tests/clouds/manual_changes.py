"""What somebody does in a cloud's own console, past Pulumi."""

from __future__ import annotations

from tests.clouds.aws import Aws
from tests.clouds.aws_balancing import Attachment
from tests.clouds.aws_network import Eip, EipAssociation
from tests.clouds.digitalocean import DigitalOcean
from tests.clouds.digitalocean_balancing import DEFAULT_PROJECT
from tests.clouds.infrastructure import ANYWHERE, OPERATOR
from tests.clouds.provider import Cloud


def admit_everybody_to_ssh(cloud: Cloud) -> None:
    """Widen the rule that there is, since what is added beside it isn't seen on AWS."""
    if isinstance(cloud, DigitalOcean):
        rules = [rule for firewall in cloud.all("firewall").values() for rule in firewall["inboundRules"]]
        [ssh] = [rule for rule in rules if rule.get("portRange") == "22"]
        ssh["sourceAddresses"] = [ANYWHERE]
    elif isinstance(cloud, Aws):
        ec2 = cloud.client("ec2")
        rules = ec2.describe_security_group_rules(MaxResults=1000)["SecurityGroupRules"]
        [ssh] = [rule for rule in rules if rule.get("CidrIpv4") == f"{OPERATOR}/32"]
        wider = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIpv4": ANYWHERE, "Description": "SSH"}
        ec2.modify_security_group_rules(
            GroupId=ssh["GroupId"],
            SecurityGroupRules=[{"SecurityGroupRuleId": ssh["SecurityGroupRuleId"], "SecurityGroupRule": wider}],
        )
    cloud.show()


def take_out_of_balancer(cloud: Cloud, server: str) -> None:
    if isinstance(cloud, DigitalOcean):
        cloud.get("droplet", server)["tags"] = []
    elif isinstance(cloud, Aws):
        [attachment] = [id for type_, id in cloud.given if type_ is Attachment and server in id]
        Attachment(cloud).drop(attachment)
    cloud.show()


def check_seldom(cloud: Cloud) -> None:
    """Let the balancer ask for a server's health every five minutes."""
    if isinstance(cloud, DigitalOcean):
        [balancer] = cloud.all("load_balancer").values()
        balancer["healthcheck"] = {**balancer["healthcheck"], "checkIntervalSeconds": 300}
    elif isinstance(cloud, Aws):
        elb = cloud.client("elbv2")
        [group] = elb.describe_target_groups()["TargetGroups"]
        elb.modify_target_group(TargetGroupArn=group["TargetGroupArn"], HealthCheckIntervalSeconds=300)
    cloud.show()


def stop_and_start(cloud: Cloud, server: str) -> None:
    """On AWS a server that has no Elastic IP comes back with another address."""
    if isinstance(cloud, DigitalOcean):
        cloud.world.restart(server)
    elif isinstance(cloud, Aws):
        ec2 = cloud.client("ec2")
        ec2.stop_instances(InstanceIds=[server])
        with cloud.lock:
            cloud.own_addresses[server] = cloud.public_address()
        ec2.start_instances(InstanceIds=[server])
        cloud.world.restart(server)
    cloud.show()


def delete_server(cloud: Cloud, server: str) -> None:
    if isinstance(cloud, DigitalOcean):
        cloud.types()["digitalocean:index/droplet:Droplet"].delete(server)
    elif isinstance(cloud, Aws):
        cloud.client("ec2").terminate_instances(InstanceIds=[server])
        cloud.world.destroy(server)
    cloud.show()


def delete_project(cloud: DigitalOcean) -> None:
    """What is in a project must be moved out of it first."""
    for kind in ("project_resources", "project"):
        cloud.all(kind).clear()
    for balancer in cloud.all("load_balancer").values():
        balancer["projectId"] = DEFAULT_PROJECT


def lose_address(cloud: Cloud) -> None:
    """Give the site's address back to the cloud: nobody gets the same one again."""
    take_address(cloud)
    if isinstance(cloud, DigitalOcean):
        [reserved] = cloud.all("reserved_ip")
        cloud.remove("reserved_ip", reserved)
    elif isinstance(cloud, Aws):
        [own] = cloud.elastic
        Eip(cloud).drop(own)
    cloud.show()


def take_address(cloud: Cloud) -> None:
    """Take the site's address from its server; it stays in the account."""
    if isinstance(cloud, DigitalOcean):
        [reserved] = cloud.all("reserved_ip").values()
        del reserved["dropletId"]
    elif isinstance(cloud, Aws):
        associations = EipAssociation(cloud)
        [association] = [id for type_, id in cloud.given if type_ is EipAssociation and associations.live(id)]
        associations.drop(association)
    cloud.show()
