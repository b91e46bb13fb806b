"""Lines that conda wrote into requirements.txt (``conda list --export``): which line replaces each."""

from __future__ import annotations

import re

# name=version=build, or name=version, as in an environment.yml.
_LINE = re.compile(r"^\s*(\w[\w.-]*)\s*=(?!=)\s*([\w.!+*-]+)(?:=([\w.]+))?\s*(?:[;#].*)?$")
# Packages of conda that aren't packages of Python. Their builds have no py in their name.
_NO_PYTHON = re.compile(
    r"_.*|ld_impl.*|lib(?!sass$|cst$|tmux$|usb1$)[a-z0-9_+-]+.*|python|python_abi|pypy.*|openssl|ca-certificates|zlib"
    r"|zlib-ng|zstd|bzip2|xz|lz4-c|tk|sqlite|readline|ncurses|tzdata|expat|icu|krb5|c-ares|gcc.*|gxx.*|git|nodejs|curl"
    r"|blas|cudatoolkit|freetype|fontconfig|jpeg|lerc|openjpeg|ffmpeg|postgresql|mysql|perl|vc|vc14_runtime|vs2015_runtime"
    r"|ucrt|yaml|pixman|cairo|glib|gettext|pcre2?|harfbuzz|graphite2|xorg-.*|r-.*",
    re.IGNORECASE,
)
LIST_AGAIN = "write the whole list with `pip list --format=freeze > requirements.txt`"


def mistake(line: str) -> str:
    """What is wrong with a line of conda, and what to write instead; empty for any other line."""
    match = _LINE.match(line)
    if match is None:
        return ""
    name, version, build = match.groups()
    if name.lower() == "python":
        return (
            "is a line of conda for Python itself: remove the line; a .python-version file with"
            f" {'.'.join(version.split('.')[:2])} asks for that version"
        )
    if _NO_PYTHON.fullmatch(name) and "py" not in (build or ""):
        return (
            "is a package of conda that isn't a Python package: remove the line (Debian's packages belong in the"
            f" Aptfile), or {LIST_AGAIN}"
        )
    return f"is a line of conda: write {name}=={version}, or {LIST_AGAIN}"
