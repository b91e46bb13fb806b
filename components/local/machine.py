"""One machine on this computer: created, booted, stopped, inspected, destroyed. Knows nothing of Pulumi."""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from components.local import bridge, host, image, launch, resolver, store
from components.local.host import LocalError, run

Status = Literal["running", "stopped", "unreachable", "half-made", "gone"]
_SEED = "var/lib/cloud/seed/nocloud"
_NEEDED_MEBIBYTES = 1000


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What one machine is, as recorded beside its disk."""

    id: str
    owner: str
    network: str
    hostname: str
    image: str
    address: str
    disk: Literal["overlay", "copy"] = "overlay"
    complete: bool = False
    # Whether a later operation has seen it; what was made but never seen again lost its owner to a kill.
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
        raise ValueError(f"{id!r} is not the id of a machine: up to 40 of a-z, 0-9 and -")
    return store.MACHINES / id


def veth_of(id: str) -> str:
    """Link names have 15 characters at most, so an id doesn't fit."""
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
    files: Mapping[str, str] | None = None,
    progress: Callable[[str], None] = print,
) -> Spec:
    """Makes a machine and boots it; returns when its init runs. A failure leaves nothing of it behind.

    It takes a free address unless one is given; ``files``, by path, are on its disk before it boots.
    """
    host.require_root_and_tools()
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", hostname):
        raise LocalError(
            f"{hostname!r} is no host name",
            "It is up to 63 of a-z, 0-9 and -",
            "Choose another name for the server",
        )
    digest = _base_image(image_digest, progress)
    spec = _reserve(Spec(id=id, owner=owner, network=network, hostname=hostname, image=digest, address=address))
    try:
        with _locked(id):
            host.require_room(spec.folder, _NEEDED_MEBIBYTES, "A machine")
            spec = _make_disk(spec, user_data)
            for path, content in (files or {}).items():
                _write(_disk(spec) / path.lstrip("/"), content)
            _boot(spec)
            return _record(replace(spec, complete=True))
    except BaseException:
        destroy(id)
        raise


def boot(id: str) -> None:
    """Boots the machine with the disk it has; nothing happens where it runs."""
    with _locked(id):
        spec = _known(id)
        if status(id) != "running":
            _boot(spec)


def wait_for_services(id: str, seconds: float = 60) -> None:
    """Until what the machine starts by itself has been started."""
    launch.wait_for_services(folder_of(id), seconds)


def _boot(spec: Spec) -> None:
    network = bridge.ensure_up(spec.network)
    if launch.init_of(spec.folder):
        # It runs, and its network was taken down under it.
        run(["ip", "link", "set", spec.veth, "master", network.id, "up"])
        return
    launch.end(spec.id, spec.folder, spec.veth)
    _write(_disk(spec) / "etc/resolv.conf", resolver.resolv_conf())
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
        )
    )


def stop(id: str, seconds: float = 30) -> None:
    """Powers the machine off, by force where it takes longer; its disk stays."""
    with _locked(id):
        spec = _known(id)
        if launch.ask_to_power_off(spec.folder):
            with suppress(LocalError):
                launch.wait_until(lambda: not launch.supervisor(spec.folder), f"{id} to power off", seconds)
        launch.end(id, spec.folder, spec.veth)


def destroy(id: str) -> None:
    """Removes every trace of the machine, which may be running, dead, half-made or gone."""
    folder = folder_of(id)
    with _locked(id):
        launch.end(id, folder, veth_of(id))
        store.remove_tree(folder)
    with store.lock():
        store.sweep(store.MACHINES)
        store.remove_empty_folders()


def destroy_network(id: str) -> None:
    """Removes a network, and with it the machines on it whose owners were lost."""
    for spec in on_network(id):
        destroy(spec.id)
    bridge.destroy(id)


def status(id: str) -> Status:
    spec = find(id)
    if spec is None:
        return "half-made" if folder_of(id).exists() else "gone"
    if spec.disk == "overlay" and not image.exists(spec.image):
        return "gone"
    if not launch.init_of(spec.folder):
        return "stopped" if spec.complete else "half-made"
    attached = Path(f"/sys/class/net/{spec.veth}/master").resolve().name == spec.network
    return "running" if attached else "unreachable"


def find(id: str) -> Spec | None:
    document = store.read_json(folder_of(id) / "spec.json")
    return Spec(**document) if document else None


def listed() -> list[str]:
    return sorted(path.name for path in store.MACHINES.glob("[a-z0-9]*"))


def claim(id: str) -> None:
    """Notes that the machine's owner knows of it."""
    with _locked(id):
        spec = find(id)
        if spec and not spec.claimed:
            _record(replace(spec, claimed=True))


def destroy_orphans(owner: str) -> None:
    """Removes what earlier attempts of this owner left: half-made machines, and ones never heard of since."""
    for id in listed():
        spec = find(id)
        if spec and spec.owner == owner and not (spec.complete and spec.claimed):
            destroy(id)


def on_network(network: str) -> list[Spec]:
    return [spec for spec in map(find, listed()) if spec and spec.network == network]


def images_used() -> set[str]:
    return {spec.image for spec in map(find, listed()) if spec}


def _locked(id: str) -> AbstractContextManager[None]:
    return store.lock(folder_of(id), create=False)


def _known(id: str) -> Spec:
    if spec := find(id):
        return spec
    raise LocalError(
        f"The local machine {id} has no disk on this computer",
        "Only a machine that was made here can be booted here",
        "Let Pulumi see that it is gone and make a new one: pulumi up --refresh",
    )


def _record(spec: Spec) -> Spec:
    store.write_json(spec.folder / "spec.json", asdict(spec))
    return spec


def _base_image(digest: str | None, progress: Callable[[str], None]) -> str:
    if digest is None:
        return image.ensure(progress)
    if not image.exists(digest):
        raise LocalError(
            f"There is no base image {digest} on this computer",
            "An image that is named must have been built here",
            f"Leave the image out to use the current one, or choose: {', '.join(image.listed()) or 'none'}",
        )
    return digest


def _reserve(spec: Spec) -> Spec:
    """Takes an address that no other machine of the network has."""
    with store.lock():
        network = bridge.find(spec.network)
        if network is None:
            raise LocalError(
                f"The local network {spec.network} is not known on this computer",
                "A machine is made on a network that was made here",
                "Let Pulumi see that it is gone and make a new one: pulumi up --refresh",
            )
        if spec.folder.exists():
            raise LocalError(
                f"There is a local machine {spec.id} already",
                "Each machine has an id of its own",
                f"Remove it (python -m components.local destroy {spec.id}), or choose another id",
            )
        taken = [other.address for other in on_network(spec.network)]
        if spec.address in taken:
            raise LocalError(
                f"The address {spec.address} is another machine's",
                "Each machine of a network has an address of its own",
                "Give another one, or none to take one that is free",
            )
        address = spec.address or bridge.free_address(network, taken)
        store.MACHINES.mkdir(exist_ok=True)
        # Users of this computer have the same numbers as those inside: they must not get at a machine's disk.
        spec.folder.mkdir(mode=0o700)
        return _record(replace(spec, address=address))


def _disk(spec: Spec) -> Path:
    return spec.folder / "disk"


def _make_disk(spec: Spec, user_data: bytes) -> Spec:
    """A layer over the image where the kernel can do that, else a copy (sharing blocks where possible)."""
    for name in ("work", "root", "disk"):
        (spec.folder / name).mkdir(exist_ok=True)
    if not _can_overlay(spec):
        _disk(spec).rmdir()
        run(["cp", "--archive", "--reflink=auto", image.root_of(spec.image), _disk(spec)])
        spec = _record(replace(spec, disk="copy"))
    _disk(spec).chmod(0o755)
    meta_data = f"instance-id: {spec.id}\nlocal-hostname: {spec.hostname}\n"
    hosts = f"127.0.0.1 localhost\n127.0.1.1 {spec.hostname}\n::1 localhost ip6-localhost ip6-loopback\n"
    _write(_disk(spec) / "etc/hosts", hosts)
    _write(_disk(spec) / "etc/hostname", f"{spec.hostname}\n")
    _write(_disk(spec) / _SEED / "meta-data", meta_data)
    _write(_disk(spec) / _SEED / "user-data", user_data, mode=0o600)
    shutil.copy(Path(__file__).with_name("supervise.sh"), spec.folder / "supervise.sh")
    return spec


def _can_overlay(spec: Spec) -> bool:
    """Tried on the spot: it depends on the kernel and on the file system below."""
    options = f"lowerdir={image.root_of(spec.image)},upperdir={_disk(spec)},workdir={spec.folder / 'work'}"
    trial = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "mount",
        "-t",
        "overlay",
        "trial",
        "-o",
        options,
    ]
    return subprocess.run([*trial, spec.folder / "root"], capture_output=True, check=False).returncode == 0


def _write(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Writes into a machine's disk, readable there whatever the umask here."""
    missing = [parent for parent in path.parents if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir()
        parent.chmod(0o755)
    path.unlink(missing_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
