"""The operations of the local target's volume resource. lifecycle.Lifecycle describes them."""

from __future__ import annotations

from components import volume_size
from components.local import computer, volume_store
from components.local.computer import LocalError
from components.local.lifecycle import Change, Properties

ID_KEY = "volume_id"


def check(olds: Properties, news: Properties) -> Properties:
    computer.require_root_and_tools()
    if olds.get("size") and (mistake := volume_size.mistake(int(olds["size"]), int(news["size"]))):
        raise LocalError(mistake, "A volume only grows", "Nothing was changed")
    return {**news, ID_KEY: olds.get(ID_KEY) or volume_store.new_id()}


def diff(id: str, olds: Properties, news: Properties) -> Change:
    # Another owner, such as a moved checkout, is no reason to lose the data.
    return Change(changes=int(news["size"]) != int(olds["size"]) or _is_deletable(news) != _is_deletable(olds))


def create(props: Properties) -> Properties:
    deletable = _is_deletable(props)
    return _outputs(volume_store.create(props[ID_KEY], props["owner"], int(props["size"]), deletable=deletable))


def update(id: str, olds: Properties, news: Properties) -> Properties:
    return _outputs(volume_store.change(id, int(news["size"]), deletable=_is_deletable(news)))


def read(id: str, props: Properties) -> Properties | None:
    volume = volume_store.find(id)
    return _outputs(volume) if volume else None


def delete(id: str) -> None:
    volume_store.require_deletable(id)
    if volume_store.has_data(id):
        print(f"the volume {id} is deleted with the data of the app ({volume_store.data_of(id)})", flush=True)
    volume_store.destroy(id)


def _outputs(volume: volume_store.Volume) -> Properties:
    deletable = {"deletable": True} if volume.deletable else {}
    return {ID_KEY: volume.id, "owner": volume.owner, "size": volume.size, **deletable}


def _is_deletable(props: Properties) -> bool:
    return bool(props.get("deletable"))
