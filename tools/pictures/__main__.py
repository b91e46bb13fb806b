"""Draws every picture anew: python3 -m tools.pictures."""

from __future__ import annotations

from pathlib import Path

from tools.pictures import boxes, terminal

FOLDER = Path(__file__).resolve().parents[2] / "docs/pictures"


def drawn() -> dict[Path, str]:
    """The text of each picture, by its file."""
    pictures = {source.with_suffix(".svg"): boxes.draw(source.read_text()) for source in FOLDER.glob("*.txt")}
    for recording in FOLDER.glob("*.cast"):
        pictures[recording.with_suffix(".svg")] = terminal.draw(recording.read_text())
    return pictures


def main() -> None:
    for file, picture in drawn().items():
        file.write_text(picture)
        print(file)


if __name__ == "__main__":
    main()
