"""Data that packages expect beside them, such as corpora and models, and how a release gets them."""

from __future__ import annotations

import re
from pathlib import Path

_RELEASES = "https://github.com/explosion/spacy-models/releases/download"


def _corpus(match: re.Match[str], _: Path | None) -> str:
    resource = match["resource"]
    return (
        f"NLTK's resource {resource} isn't in the release: write a line"
        f" `build: python -m nltk.downloader -d nltk_data {resource}` into the Procfile, and run:"
        " pulumi config set --path env.NLTK_DATA nltk_data"
    )


def _model(match: re.Match[str], _: Path | None) -> str:
    model = match["model"]
    place = f"{_RELEASES}/{model}-<version>/{model}-<version>-py3-none-any.whl"
    return f"The model {model} isn't installed: add it to the app's packages as {model} @ {place}"


CAUSES = [
    (r"Resource (?:\x1b\[\d+m)?'?(?P<resource>[\w-]+)'?(?:\x1b\[0m)? not found\.\s+Please use the NLTK", _corpus),
    (r"\[E050\] Can't find model '(?P<model>[\w-]+)'", _model),
]
