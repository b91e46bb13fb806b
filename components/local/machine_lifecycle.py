"""The operations of the local target's machine resource. lifecycle.Lifecycle describes them."""

from __future__ import annotations

import base64
import hashlib

import pulumi.runtime.rpc as rpc

from components.local import computer, lifecycle, machine, volume_store
from components.local.lifecycle import Change, Properties

ID_KEY = "machine_id"


def check(olds: Properties, news: Properties) -> Properties:
    # The id is chosen here and not in `create`, so that the next `check` can look at the machine.
    computer.require_root_and_tools()
    id = olds.get(ID_KEY)
    if not id:
        return {**news, ID_KEY: machine.new_id()}
    if olds.get("volume") and not news.get("volume"):
        # A machine that replaces this one would serve without the data, before the deletion of the volume is refused.
        volume_store.require_deletable(olds["volume"])
    machine.claim(id)
    spec = machine.find(id)
    address = {"address": spec.address} if spec else {}
    return {**news, **address, ID_KEY: id, "status": lifecycle.status_in_preview(machine.status(id), "running")}


def diff(id: str, olds: Properties, news: Properties) -> Change:
    return change(olds, news, machine.status(id))


def change(olds: Properties, news: Properties, status: machine.Status) -> Change:
    """The change of a machine with this status. As for a droplet, other user-data or a pinned image replace it."""
    replaces = [key for key in ("network", "hostname") if news.get(key) != olds.get(key)]
    user_data = news.get("user_data")
    if user_data == rpc.UNKNOWN or digest(user_data or "") != olds.get("user_data_sha256"):
        replaces.append("user_data")
    # Without a pin, a newer base image is only for new machines and replaces no server.
    if news.get("image") and news["image"] != olds.get("built_from"):
        replaces.append("image")
    if replaces:
        return Change(changes=True, replaces=tuple(replaces))
    if _has_another_volume(olds, news):
        return Change(changes=True)
    return lifecycle.change_by_status(status)


def _has_another_volume(olds: Properties, news: Properties) -> bool:
    # Without the setting storage, the machine still sees the folder until the release has agreed to go on without it.
    return bool(news.get("volume")) and news["volume"] != olds.get("volume")


def create(props: Properties) -> Properties:
    owner = f"{props['network']}/{props['hostname']}"
    machine.destroy_orphans(owner)
    user_data = props.get("user_data") or ""
    spec = machine.create(
        id=props[ID_KEY],
        owner=owner,
        network=props["network"],
        hostname=props["hostname"],
        user_data=decode_user_data(user_data),
        image_digest=props.get("image"),
        volume=props.get("volume"),
        progress=lambda line: print(line, flush=True),
    )
    return _outputs(spec, digest(user_data))


def update(id: str, olds: Properties, news: Properties) -> Properties:
    if _has_another_volume(olds, news):
        machine.use_volume(id, news["volume"])
    machine.boot(id)
    # After `up` a server must serve as it did before it stopped.
    machine.wait_for_services(id)
    spec = machine.find(id)
    assert spec, "a machine that was just booted has a record"
    return _outputs(spec, olds["user_data_sha256"])


def read(id: str, props: Properties) -> Properties | None:
    spec = machine.find(id)
    status = machine.status(id)
    if spec is None or status in ("gone", "half-made"):
        return None
    return {**_outputs(spec, props["user_data_sha256"]), "status": status}


def delete(id: str) -> None:
    machine.destroy(id)


def _outputs(spec: machine.Spec, user_data_sha256: str) -> Properties:
    return {
        **({"volume": spec.volume} if spec.volume else {}),
        ID_KEY: spec.id,
        "network": spec.network,
        "hostname": spec.hostname,
        "address": spec.address,
        "built_from": spec.image,
        "user_data_sha256": user_data_sha256,
        "status": "running",
    }


def digest(user_data: str) -> str:
    return hashlib.sha256(user_data.encode()).hexdigest()


def decode_user_data(user_data: str) -> bytes:
    """The bytes of user-data, which is plain text, or gzip in base64 as clouds accept it."""
    starts_with_gzip_magic = user_data.startswith("H4sI")
    return base64.b64decode(user_data) if starts_with_gzip_magic else user_data.encode()
