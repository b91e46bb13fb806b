"""What somebody does in a cloud's own console, past Pulumi."""

from __future__ import annotations

from tests.clouds.aws import Aws
from tests.clouds.aws_balancing import Attachment
from tests.clouds.aws_network import EipAssociation
from tests.clouds.digitalocean import DigitalOcean
from tests.clouds.provider import Cloud
from tests.clouds.world import ANYWHERE, OPERATOR


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


def take_address(cloud: Cloud) -> None:
    """Take the site's address from its server; it stays in the account."""
    if isinstance(cloud, DigitalOcean):
        [reserved] = cloud.all("reserved_ip").values()
        del reserved["dropletId"]
    elif isinstance(cloud, Aws):
        [association] = [id for type_, id in cloud.given if type_ is EipAssociation]
        EipAssociation(cloud).drop(association)
    cloud.show()
