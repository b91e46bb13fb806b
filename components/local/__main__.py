"""Lists the local target's machines, networks, volumes and images, and removes them if their Pulumi state was lost."""

from __future__ import annotations

import argparse
import sys

from components.local import bridge, computer, image, machine, volume_store
from components.local.computer import LocalError


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m components.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show machines, networks, volumes and base images")
    destroy_parser = commands.add_parser("destroy", help="remove machines, networks or volumes by their ids")
    destroy_parser.add_argument("ids", nargs="*", metavar="ID")
    destroy_parser.add_argument(
        "--all", action="store_true", help="remove every machine and network of this computer, but no volume"
    )
    commands.add_parser("build-image", help="build the base image now, so that the first machine doesn't wait for it")
    commands.add_parser("prune-images", help="remove base images that no machine uses")
    options = parser.parse_args(arguments)
    if options.command == "destroy" and bool(options.ids) == options.all:
        parser.error("name the ids to destroy, or use --all")
    try:
        computer.require_root_and_tools()
        if options.command == "list":
            print_list()
        elif options.command == "destroy":
            destroy(options.ids, everything=options.all)
        elif options.command == "build-image":
            print(image.ensure())
        else:
            prune_images()
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def print_list() -> None:
    for id in machine.ids():
        spec = machine.find(id)
        details = f"{spec.address:15} {spec.hostname:20} {spec.network}  {spec.owner}" if spec else ""
        print(f"machine  {id:20} {machine.status(id):12} {details}")
    for network in bridge.networks():
        print(f"network  {network.id:20} {bridge.status(network.id):12} {network.cidr:18} {network.owner}")
    for volume in volume_store.all_volumes():
        print(f"volume   {volume.id:20} {volume.size} GB{'':10} {volume.data}  {volume.owner}")
    used = machine.images_used()
    for digest in image.digests():
        print(f"image    {digest:20} {'used' if digest in used else 'unused'}")


def destroy(ids: list[str], *, everything: bool) -> None:
    machines, networks = machine.ids(), [network.id for network in bridge.networks()]
    volumes = [volume.id for volume in volume_store.all_volumes()]
    if unknown := [id for id in ids if id not in (*machines, *networks, *volumes)]:
        raise LocalError(
            f"No machine, network or volume has the id {', '.join(unknown)}",
            "Only machines, networks and volumes on this computer can be removed",
            "See their ids with: python -m components.local list",
        )
    for id in machines if everything else [id for id in ids if id in machines]:
        machine.destroy(id)
        print(f"removed machine {id}")
    for id in networks if everything else [id for id in ids if id in networks]:
        machine.destroy_network(id)
        print(f"removed network {id}")
    # A volume has data, so it is removed only by its id.
    for id in [id for id in ids if id in volumes]:
        volume_store.destroy(id)
        print(f"removed volume {id} with its data")


def prune_images() -> None:
    for digest in image.prune(machine.images_used()):
        print(f"removed image {digest}")


if __name__ == "__main__":
    sys.exit(main())
