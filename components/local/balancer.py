"""A balancer that is a machine on this computer, with Nginx."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from components import balancing
from components.keys import SshKeyPair
from components.local import balancer_server
from components.local.network import Network
from components.local.server import Server
from components.rollout import steps
from components.rollout.bootstrap import Bootstrap, NewServer
from components.rollout.rollout import ReleasedServer
from components.server.program_files import program_files
from components.server.user_data import USER
from components.target import BalancerArgs, BalancerMachine, KeepsServerAddresses, ServerArgs, identity


class Balancer(KeepsServerAddresses, pulumi.ComponentResource):
    """One address for all servers. A request goes to a server that answers."""

    instance_id: pulumi.Output[str]
    address: pulumi.Output[str]
    private_address: pulumi.Output[str]
    # The addresses that its requests come from.
    sender_ranges: pulumi.Output[list[str]]
    url: pulumi.Output[str]

    def __init__(self, name: str, args: BalancerArgs[Network], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:local:Balancer", name, None, opts)
        self._args, self._name = args, name
        child = pulumi.ResourceOptions(parent=self)
        host_key = SshKeyPair(f"{name}-first-host-key", child)
        server_args = ServerArgs(
            network=args.network,
            user_data=identity(name, args.key, host_key).apply(balancer_server.user_data),
            user=USER,
            private_key=args.key.private_key,
            host_key=host_key.public_key,
        )
        self._server = Server(name, server_args, child)
        self.instance_id = self._server.instance_id
        self.address, self.private_address = self._server.address, self._server.private_address
        self.sender_ranges = self.private_address.apply(lambda address: [address])
        self.url = pulumi.Output.format("http://{}/", self.address)
        self.register_outputs(
            {"instance_id": self.instance_id, "address": self.address, "private_address": self.private_address}
        )

    def attach(
        self, servers: Sequence[ReleasedServer], depends_on: Sequence[pulumi.Resource]
    ) -> BalancerMachine | None:
        program, limits, updates = self._args.host_program, self._args.limits, self._args.updates
        addresses = pulumi.Output.all(*(server.private_address for server in servers))
        configuration = addresses.apply(
            lambda values: balancer_server.configuration(program.copy, values, limits, updates).document(
                program_files()
            )
        )
        bootstrap = Bootstrap(
            parent=self,
            server=NewServer(name=self._name, instance_id=self.instance_id, connection=self._server.connection),
            steps=steps.bootstrap_steps(
                program,
                configuration,
                logins=self._args.logins,
                configure=balancer_server.configure_and_drain(limits),
            ),
            depends_on=depends_on,
            admin_key=self._args.logins.admin_key,
        )
        balancing.close(servers, depends_on=bootstrap.resources, opts=pulumi.ResourceOptions(parent=self))
        return BalancerMachine(instance_id=self.instance_id, host_key=bootstrap.host_key, admin=bootstrap.admin)
