"""The settings that only the toy target knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from components.settings import validators
from components.settings.common import CommonSettings, Conflict, TargetSettings
from components.settings.declaration import setting

GROUP = "Toy"


@dataclass(frozen=True, kw_only=True)
class ToySettings(TargetSettings):
    """A toy server is a box in a room."""

    room: str = setting(
        validators.matching(r"[a-z]+", "the name of a room, such as attic"),
        example="attic",
        help="Room that the boxes are in.",
        group=GROUP,
        required=True,
    )
    box_size: int = setting(
        validators.whole(1, 9),
        default=3,
        example=5,
        help="Size of each box.",
        group=GROUP,
    )

    def conflicts(self, common: CommonSettings) -> Iterator[Conflict]:
        if self.box_size > 5 and common.servers > 1:
            yield (
                ("boxSize",),
                f"boxSize is {self.box_size}, but must be at most 5 for several servers;"
                " set it with: pulumi config set boxSize <value>",
            )


SETTINGS = ToySettings
