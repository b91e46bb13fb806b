"""One machine on this computer: created, booted, stopped, inspected, destroyed. Needs no Pulumi."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from components.local import bridge, computer, disk, image, launch, resolver, store, volume_store
from components.local.computer import LocalError, run
from components.local.disk import DiskKind

Status = Literal["running", "stopped", "unreachable", "half-made", "gone"]
_NEEDED_MEBIBYTES = 1000


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The record of one machine. It is saved in the machine's folder."""

    id: str
    owner: str
    network: str
    hostname: str
    image: str
    address: str
    disk: DiskKind = "overlay"
    # The id of the volume whose folder the machine sees.
    volume: str | None = None
    complete: bool = False
    # Whether Pulumi has checked the machine after its creation. If not, a killed `up` may not have saved it in the
    # state.
    claimed: bool = False

    @property
    def folder(self) -> Path:
        return folder_of(self.id)

    @property
    def veth(self) -> str:
        return veth_of(self.id)


def new_id() -> str:
    return f"i-{secrets.token_hex(4)}"


def folder_of(id: str) -> Path:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", id):
        raise ValueError(f"{id!r} is not the id of a machine: 1 to 40 characters from a-z, 0-9 and -")
    return store.MACHINES / id


def veth_of(id: str) -> str:
    """The name of the machine's network link. It is a digest, because the kernel allows 15 characters."""
    return f"gveth-{hashlib.sha256(id.encode()).hexdigest()[:8]}"


def create(
    *,
    id: str,
    owner: str,
    network: str,
    hostname: str,
    user_data: bytes,
    image_digest: str | None = None,
    address: str = "",
    volume: str | None = None,
    files: Mapping[str, str] | None = None,
    progress: Callable[[str], None] = print,
) -> Spec:
    """Creates a machine and boots it. Returns when its init runs; a failure leaves nothing behind.

    Without ``address`` the machine gets a free one. ``files``, by path, are written to its disk before it boots.
    """
    computer.require_root_and_tools()
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", hostname):
        raise LocalError(
            f"{hostname!r} isn't a valid host name",
            "It must be 1 to 63 characters from a-z, 0-9 and -, and must not begin or end with -",
            "Choose another name for the server",
        )
    digest = _base_image(image_digest, progress)
    spec = _reserve(
        Spec(id=id, owner=owner, network=network, hostname=hostname, image=digest, address=address, volume=volume)
    )
    try:
        with _lock(id):
            computer.require_disk_space(spec.folder, _NEEDED_MEBIBYTES, "A machine")
            spec = _create_disk(spec, user_data, files or {})
            _boot(spec)
            return _save(replace(spec, complete=True))
    except BaseException:
        destroy(id)
        raise


def _base_image(digest: str | None, progress: Callable[[str], None]) -> str:
    if digest is None:
        return image.ensure(progress)
    if not image.exists(digest):
        raise LocalError(
            f"There is no base image {digest} on this computer",
            "A pinned image must have been built on this computer",
            f"Remove the pin to use the current image, or choose: {', '.join(image.digests()) or 'none'}",
        )
    return digest


def _reserve(spec: Spec) -> Spec:
    """Creates the machine's folder and record. It gets an address that no other machine of the network has."""
    with store.lock():
        network = bridge.require(spec.network)
        if spec.folder.exists():
            raise LocalError(
                f"There is a local machine {spec.id} already",
                "Each machine has an id of its own",
                f"Remove it (python -m components.local destroy {spec.id}), or choose another id",
            )
        used = [machine.address for machine in on_network(spec.network)]
        if spec.address in used:
            raise LocalError(
                f"Another machine has the address {spec.address}",
                "Each machine of a network has an address of its own",
                "Choose another address, or leave it out to get a free one",
            )
        address = spec.address or bridge.free_address(network, used)
        store.MACHINES.mkdir(exist_ok=True)
        # Users of this computer can have the same ids as users of the machine. They must not read its disk.
        spec.folder.mkdir(mode=0o700)
        return _save(replace(spec, address=address))


def _create_disk(spec: Spec, user_data: bytes, files: Mapping[str, str]) -> Spec:
    launch.install_supervisor(spec.folder)
    kind = disk.create(
        folder=spec.folder,
        image_root=image.root_of(spec.image),
        id=spec.id,
        hostname=spec.hostname,
        user_data=user_data,
    )
    for path, content in files.items():
        disk.write(spec.folder, path, content)
    return _save(replace(spec, disk=kind))


def boot(id: str) -> None:
    """Boots the machine with its disk. A running machine stays as it is."""
    with _lock(id):
        spec = _require(id)
        if status(id) != "running":
            _boot(spec)


def use_volume(id: str, volume: str) -> None:
    """Lets the machine see the folder of another volume from its next boot on. It is powered off."""
    stop(id)
    with _lock(id):
        _save(replace(_require(id), volume=volume))


def wait_for_services(id: str, seconds: float = 60) -> None:
    """Waits until the services of the machine have started or failed. Raises LocalError after the limit."""
    launch.wait_for_services(folder_of(id), seconds)


def _boot(spec: Spec) -> None:
    network = bridge.ensure_up(spec.network)
    if launch.init_process(spec.folder):
        # The machine runs, but its network was down and has a new bridge.
        run(["ip", "link", "set", spec.veth, "master", network.id, "up"])
        return
    launch.kill(spec.id, spec.folder, spec.veth)
    disk.write(spec.folder, "etc/resolv.conf", resolver.resolv_conf())
    launch.start(
        launch.Launch(
            id=spec.id,
            folder=spec.folder,
            image=image.root_of(spec.image) if spec.disk == "overlay" else None,
            veth=spec.veth,
            bridge=network.id,
            address=f"{spec.address}/{network.prefix}",
            gateway=network.gateway,
            hostname=spec.hostname,
            volume=_volume_folder(spec),
        )
    )


def _volume_folder(spec: Spec) -> Path | None:
    """The folder of the machine's volume. A volume that was deleted has none."""
    volume = volume_store.find(spec.volume) if spec.volume else None
    return volume.data if volume else None


def stop(id: str, seconds: float = 30) -> None:
    """Powers the machine off, and kills it after the limit. Its disk stays."""
    with _lock(id):
        spec = _require(id)
        if launch.request_power_off(spec.folder):
            with suppress(LocalError):
                launch.wait_until(lambda: not launch.supervisor(spec.folder), f"the power-off of {id}", seconds)
        launch.kill(id, spec.folder, spec.veth)


def destroy(id: str) -> None:
    """Kills and removes the machine. It may be running, dead, incomplete or gone."""
    folder = folder_of(id)
    with _lock(id):
        launch.kill(id, folder, veth_of(id))
        store.remove_tree(folder)
    with store.lock():
        store.sweep(store.MACHINES)
        store.remove_empty_folders()


def destroy_network(id: str) -> None:
    """Removes a network and the machines that are still on it."""
    for spec in on_network(id):
        destroy(spec.id)
    bridge.destroy(id)


def destroy_orphans(owner: str) -> None:
    """Removes the leftovers of this owner's killed attempts: machines that aren't complete or were never claimed."""
    for id in ids():
        spec = find(id)
        if spec and spec.owner == owner and not (spec.complete and spec.claimed):
            destroy(id)


def status(id: str) -> Status:
    """Whether the machine runs.

    "half-made": its creation didn't finish. "unreachable": it runs, but its network is down. "gone": it doesn't exist,
    or the base image below its disk is missing.
    """
    spec = find(id)
    if spec is None:
        return "half-made" if folder_of(id).exists() else "gone"
    if spec.disk == "overlay" and not image.exists(spec.image):
        return "gone"
    if not launch.init_process(spec.folder):
        return "stopped" if spec.complete else "half-made"
    attached = Path(f"/sys/class/net/{spec.veth}/master").resolve().name == spec.network
    return "running" if attached else "unreachable"


def find(id: str) -> Spec | None:
    return store.read_record(folder_of(id) / "spec.json", Spec)


def ids() -> list[str]:
    """The ids of all machines on this computer, sorted."""
    return sorted(path.name for path in store.MACHINES.glob("[a-z0-9]*"))


def claim(id: str) -> None:
    """Records that Pulumi has checked the machine after its creation."""
    with _lock(id):
        spec = find(id)
        if spec and not spec.claimed:
            _save(replace(spec, claimed=True))


def on_network(network: str) -> list[Spec]:
    return [spec for spec in map(find, ids()) if spec and spec.network == network]


def images_used() -> set[str]:
    """The digests of all images that a machine was made from."""
    return {spec.image for spec in map(find, ids()) if spec}


def _lock(id: str) -> AbstractContextManager[None]:
    return store.lock(folder_of(id), create=False)


def _require(id: str) -> Spec:
    if spec := find(id):
        return spec
    raise LocalError(
        f"This computer has no local machine {id}",
        "Only a machine that was created on this computer can boot on it",
        "Create it again: pulumi up --refresh",
    )


def _save(spec: Spec) -> Spec:
    store.write_json(spec.folder / "spec.json", asdict(spec))
    return spec
