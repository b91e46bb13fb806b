"""A balancer that is a machine on this computer, with Nginx."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi

from components import manifest, proxy
from components.contact import Contact, Delivery, Host
from components.keys import SshKeyPair
from components.local.network import Network
from components.local.server import Server, ServerArgs


@dataclass(frozen=True, kw_only=True)
class BalancerArgs:
    network: Network
    health_path: str  # a balancer that asks by itself asks this
    domain: str | None
    # Who may log in, and the program that configures. For targets whose balancer is a machine.
    key: SshKeyPair
    host_program: Path
    host_program_path: str


class Balancer(pulumi.ComponentResource):
    """One address for all servers: a request goes to one that answers."""

    instance_id: pulumi.Output[str]
    address: pulumi.Output[str]
    private_address: pulumi.Output[str]

    def __init__(self, name: str, args: BalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gantry:local:Balancer", name, None, opts)
        self._args, self._name = args, name
        child = pulumi.ResourceOptions(parent=self)
        host_key = SshKeyPair(f"{name}-first-host-key", child)
        self._machine = Server(
            name,
            ServerArgs(
                network=args.network,
                user_data=pulumi.Output.all(name, args.key.public_key, host_key.private_key, host_key.public_key).apply(
                    lambda values: proxy.user_data(*values)
                ),
                user=manifest.USER,
                private_key=args.key.private_key,
                host_key=host_key.public_key,
            ),
            child,
        )
        self.instance_id = self._machine.instance_id
        self.address, self.private_address = self._machine.address, self._machine.private_address
        self.register_outputs(
            {"instance_id": self.instance_id, "address": self.address, "private_address": self.private_address}
        )

    def attach(self, servers: Sequence[pulumi.Input[str]], after: Sequence[pulumi.Resource]) -> pulumi.Output[str]:
        """Spread requests over ``servers``, private addresses, once ``after`` is done; gives the machine's host key.

        A method, since it comes last: a server must know the balancer's address before it gets a release, and must have
        a release before it gets a request.
        """
        path = self._args.host_program_path
        contact = Contact(
            self,
            Host(name=self._name, instance_id=self.instance_id, first_contact=self._machine.connection),
            Delivery(
                host_program=self._args.host_program,
                host_program_path=path,
                configure_command=proxy.SPREAD_COMMAND,
                configuration=pulumi.Output.all(*servers).apply(
                    lambda addresses: proxy.configuration(path, addresses).document()
                ),
            ),
            list(after),
        )
        return contact.host_key
