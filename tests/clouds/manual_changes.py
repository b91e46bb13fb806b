"""Changes that somebody makes in a cloud's own console, without Pulumi."""

from __future__ import annotations

from tests.clouds.aws import SimulatedAws
from tests.clouds.aws_network import Eip, EipAssociation
from tests.clouds.aws_targets import TargetGroupAttachment
from tests.clouds.digitalocean import SimulatedDigitalOcean
from tests.clouds.digitalocean_projects import DEFAULT_PROJECT
from tests.clouds.infrastructure import ANYWHERE, OPERATOR
from tests.clouds.simulated_cloud import SimulatedCloud


def open_ssh_to_everybody(cloud: SimulatedCloud) -> None:
    """Widen the existing rule. On AWS, Pulumi doesn't see a rule that is added beside it."""
    if isinstance(cloud, SimulatedDigitalOcean):
        firewalls = cloud.documents("firewall").values()
        rules = [rule for firewall in firewalls for rule in firewall["inboundRules"]]
        [ssh_rule] = [rule for rule in rules if rule.get("portRange") == "22"]
        ssh_rule["sourceAddresses"] = [ANYWHERE]
    elif isinstance(cloud, SimulatedAws):
        ec2 = cloud.client("ec2")
        rules = ec2.describe_security_group_rules(MaxResults=1000)["SecurityGroupRules"]
        [ssh_rule] = [rule for rule in rules if rule.get("CidrIpv4") == f"{OPERATOR}/32"]
        wide_rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIpv4": ANYWHERE, "Description": "SSH"}
        ec2.modify_security_group_rules(
            GroupId=ssh_rule["GroupId"],
            SecurityGroupRules=[
                {"SecurityGroupRuleId": ssh_rule["SecurityGroupRuleId"], "SecurityGroupRule": wide_rule}
            ],
        )
    cloud.apply_topology()


def remove_from_balancer(cloud: SimulatedCloud, server: str) -> None:
    if isinstance(cloud, SimulatedDigitalOcean):
        cloud.get("droplet", server)["tags"] = []
    elif isinstance(cloud, SimulatedAws):
        attachments = cloud.recorded_ids(TargetGroupAttachment)
        [attachment] = [id for id in attachments if server in id]
        TargetGroupAttachment(cloud).api_delete(attachment)
    cloud.apply_topology()


def slow_down_health_checks(cloud: SimulatedCloud) -> None:
    """Let the balancer check its servers only every five minutes."""
    if isinstance(cloud, SimulatedDigitalOcean):
        [balancer] = cloud.documents("load_balancer").values()
        balancer["healthcheck"] = {**balancer["healthcheck"], "checkIntervalSeconds": 300}
    elif isinstance(cloud, SimulatedAws):
        elb = cloud.client("elbv2")
        [group] = elb.describe_target_groups()["TargetGroups"]
        elb.modify_target_group(TargetGroupArn=group["TargetGroupArn"], HealthCheckIntervalSeconds=300)
    cloud.apply_topology()


def stop_and_start(cloud: SimulatedCloud, server: str) -> None:
    """On AWS, a server without an Elastic IP gets another address."""
    if isinstance(cloud, SimulatedDigitalOcean):
        cloud.infrastructure.restart(server)
    elif isinstance(cloud, SimulatedAws):
        ec2 = cloud.client("ec2")
        ec2.stop_instances(InstanceIds=[server])
        with cloud.lock:
            cloud.auto_assigned_addresses[server] = cloud.new_public_address()
        ec2.start_instances(InstanceIds=[server])
        cloud.infrastructure.restart(server)
    cloud.apply_topology()


def delete_server(cloud: SimulatedCloud, server: str) -> None:
    if isinstance(cloud, SimulatedDigitalOcean):
        cloud.types()["digitalocean:index/droplet:Droplet"].delete(server)
    elif isinstance(cloud, SimulatedAws):
        cloud.client("ec2").terminate_instances(InstanceIds=[server])
        cloud.infrastructure.destroy(server)
    cloud.apply_topology()


def delete_project(cloud: SimulatedDigitalOcean) -> None:
    """Delete the project, and move its resources to the default one."""
    for collection in ("project_resources", "project"):
        cloud.documents(collection).clear()
    for balancer in cloud.documents("load_balancer").values():
        balancer["projectId"] = DEFAULT_PROJECT


def release_address(cloud: SimulatedCloud) -> None:
    """Give the stack's address back to the cloud. Nobody gets the same one again."""
    detach_address(cloud)
    if isinstance(cloud, SimulatedDigitalOcean):
        [reserved_ip] = cloud.documents("reserved_ip")
        cloud.remove("reserved_ip", reserved_ip)
    elif isinstance(cloud, SimulatedAws):
        [allocation] = cloud.elastic_addresses
        Eip(cloud).api_delete(allocation)
    cloud.apply_topology()


def detach_address(cloud: SimulatedCloud) -> None:
    """Detach the stack's address from its server. It stays in the account."""
    if isinstance(cloud, SimulatedDigitalOcean):
        [reserved_ip] = cloud.documents("reserved_ip").values()
        del reserved_ip["dropletId"]
    elif isinstance(cloud, SimulatedAws):
        type_ = EipAssociation(cloud)
        associations = cloud.recorded_ids(EipAssociation)
        [association] = [id for id in associations if type_.api_read(id)]
        type_.api_delete(association)
    cloud.apply_topology()
