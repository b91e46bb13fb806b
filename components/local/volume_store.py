"""The volumes on this computer: folders that outlive the machines which use them. Needs no Pulumi."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from components.local import store
from components.local.computer import LocalError

# `make destroy` sets this variable to "true", because it deletes everything.
DELETE_STORAGE = "GANTRY_DELETE_STORAGE"


@dataclass(frozen=True, kw_only=True)
class Volume:
    """The record of one volume. It is saved in the volume's folder, beside the data."""

    id: str
    owner: str
    size: int  # GB, which nothing enforces on this computer
    # Whether the settings allow its deletion. Volumes of earlier versions have no such value.
    deletable: bool = False

    @property
    def data(self) -> Path:
        """The folder that a machine sees."""
        return data_of(self.id)


def new_id() -> str:
    return f"v-{secrets.token_hex(4)}"


def data_of(id: str) -> Path:
    return _folder_of(id) / "data"


def create(id: str, owner: str, size: int, *, deletable: bool = False) -> Volume:
    """Creates an empty volume. The data of a volume that exists already stays."""
    with store.lock():
        store.VOLUMES.mkdir(parents=True, exist_ok=True)
        # Users of this computer can have the same ids as users of a machine. They must not read its data.
        _folder_of(id).mkdir(mode=0o700, exist_ok=True)
        data_of(id).mkdir(mode=0o755, exist_ok=True)
        return _save(Volume(id=id, owner=owner, size=size, deletable=deletable))


def change(id: str, size: int, *, deletable: bool) -> Volume:
    return _save(replace(require(id), size=size, deletable=deletable))


def has_data(id: str) -> bool:
    return data_of(id).is_dir() and any(data_of(id).iterdir())


def require_deletable(id: str) -> None:
    """Raises LocalError if the volume has data that only a user's word may delete."""
    volume = find(id)
    if has_data(id) and not (volume and volume.deletable) and os.environ.get(DELETE_STORAGE) != "true":
        raise LocalError(
            f"The volume {id} has the app's data ({data_of(id)}), and the setting storage or its target is gone",
            "The data is deleted only on purpose",
            "Set it back, such as with: pulumi config set storage <GB>. To delete the data, then run: pulumi config set"
            " deleteStorage true; make up; pulumi config rm storage; make up. `make destroy` deletes it with the stack",
        )


def destroy(id: str) -> None:
    """Deletes the volume and its data. It may be gone."""
    store.remove_tree(_folder_of(id))
    with store.lock():
        store.sweep(store.VOLUMES)
        store.remove_empty_folders()


def find(id: str) -> Volume | None:
    return store.read_record(_folder_of(id) / "volume.json", Volume)


def require(id: str) -> Volume:
    if volume := find(id):
        return volume
    raise LocalError(
        f"This computer has no volume {id}",
        "A volume is a folder on the computer that created it",
        "Run `up` on that computer, or create an empty volume: pulumi up --refresh",
    )


def all_volumes() -> list[Volume]:
    """The volumes on this computer, sorted by their ids."""
    ids = sorted(path.name for path in store.VOLUMES.glob("v-*"))
    return [volume for volume in map(find, ids) if volume]


def _folder_of(id: str) -> Path:
    if not re.fullmatch(r"v-[a-z0-9]{1,40}", id):
        raise ValueError(f"{id!r} is not the id of a volume: v- and letters or digits")
    return store.VOLUMES / id


def _save(volume: Volume) -> Volume:
    store.write_json(_folder_of(volume.id) / "volume.json", asdict(volume))
    return volume
