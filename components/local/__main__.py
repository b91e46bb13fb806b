"""What is there of the local target, and removing by hand what a lost state left behind."""

from __future__ import annotations

import argparse
import sys

from components.local import bridge, host, image, machine
from components.local.host import LocalError


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m components.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show machines, networks and base images")
    destroy = commands.add_parser("destroy", help="remove machines or networks by their ids")
    destroy.add_argument("ids", nargs="*", metavar="ID")
    destroy.add_argument("--all", action="store_true", help="remove every machine and network of this computer")
    commands.add_parser("build-image", help="build the base image now, so that the first machine needn't wait")
    commands.add_parser("prune-images", help="remove base images that no machine uses")
    options = parser.parse_args(arguments)
    if options.command == "destroy" and bool(options.ids) == options.all:
        parser.error("say which ids to destroy, or --all")
    try:
        host.require_root_and_tools()
        if options.command == "list":
            show()
        elif options.command == "destroy":
            remove(options.ids, everything=options.all)
        elif options.command == "build-image":
            print(image.ensure())
        else:
            prune()
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def show() -> None:
    for id in machine.listed():
        spec = machine.find(id)
        known = f"{spec.address:15} {spec.hostname:20} {spec.network}  {spec.owner}" if spec else ""
        print(f"machine  {id:20} {machine.status(id):12} {known}")
    for network in bridge.listed():
        print(f"network  {network.id:20} {bridge.status(network.id):12} {network.cidr:18} {network.owner}")
    for digest in image.listed():
        print(f"image    {digest:20} {'used' if digest in machine.images_used() else 'unused'}")


def remove(ids: list[str], *, everything: bool) -> None:
    machines, networks = machine.listed(), [network.id for network in bridge.listed()]
    if unknown := [id for id in ids if id not in machines and id not in networks]:
        raise LocalError(
            f"Nothing here is called {', '.join(unknown)}",
            "Ids are those of machines and networks on this computer",
            "See them with: python -m components.local list",
        )
    for id in machines if everything else [id for id in ids if id in machines]:
        machine.destroy(id)
        print(f"removed machine {id}")
    for id in networks if everything else [id for id in ids if id in networks]:
        machine.destroy_network(id)
        print(f"removed network {id}")


def prune() -> None:
    for digest in image.prune(machine.images_used()):
        print(f"removed image {digest}")


if __name__ == "__main__":
    sys.exit(main())
