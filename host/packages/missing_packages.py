"""System packages whose absence makes a build or an import fail, and how to add them.

The names are those of Debian 13. It provides the old names of packages that it has renamed, such as libmagic1.
"""

from __future__ import annotations

import re
from pathlib import Path

# What the build of any C extension needs.
COMPILER = "build-essential python3-dev"
# Patterns over the output of a failed build, and the packages that its cause names. A library needs a compiler, too.
_BUILDS = (
    (r"mysql_config|mysqlclient\b|mysql\.h|mariadb_config", "default-libmysqlclient-dev pkg-config"),
    (r"pg_config|libpq-fe\.h|`psycopg2(?:==|`)|`psycopg-c==", "libpq-dev"),
    (r"xmlsec", "libxmlsec1-dev pkg-config"),
    (r"xml2-config|xslt-config|libxml/\w+\.h|`lxml==", "libxml2-dev libxslt1-dev"),
    (r"`pillow==|jpeglib\.h|RequiredDependencyException", "libjpeg-dev zlib1g-dev libfreetype-dev"),
    (r"\bffi\.h|`cffi==", "libffi-dev"),
    (r"openssl/\w+\.h|`cryptography==|Could not find directory of OpenSSL", "libssl-dev pkg-config"),
    (r"`pycairo==|\bcairo\.h|\"cairo\" not found|Dependency 'cairo'|Dependency \"cairo\"", "libcairo2-dev pkg-config"),
    (r"`pygobject==|girepository", "libgirepository-2.0-dev libcairo2-dev pkg-config"),
    (r"\blber\.h|\bldap\.h|sasl/sasl\.h|`python-ldap==", "libldap-dev libsasl2-dev"),
    (r"gdal-config|`gdal==", "libgdal-dev"),
    (r"geos-config|geos_c\.h", "libgeos-dev"),
    (r"curl-config|curl/curl\.h|`pycurl==", "libcurl4-openssl-dev libssl-dev"),
    (r"krb5-config|gssapi/gssapi|gssapi\.h", "libkrb5-dev"),
    (r"\bsql\.h|sqlext\.h|`pyodbc==", "unixodbc-dev"),
    (r"sybdb\.h|sqlfront\.h", "freetds-dev"),
    (r"portaudio\.h", "portaudio19-dev"),
    (r"graphviz/\w+\.h", "libgraphviz-dev"),
    (r"dbus/dbus\.h|Dependency \"dbus-1\"|`dbus-python==", "libdbus-1-dev libglib2.0-dev pkg-config"),
    (r"\bhdf5\.h|`h5py==|Unable to locate HDF5|libhdf5", "libhdf5-dev pkg-config"),
    (r"sodium\.h", "libsodium-dev"),
    (r"snappy-c\.h|snappy\.h", "libsnappy-dev"),
    (r"systemd/sd-\w+\.h|libsystemd", "libsystemd-dev pkg-config"),
    (r"\bmagic\.h", "libmagic-dev"),
    (r"\bzlib\.h", "zlib1g-dev"),
    (r"\bbzlib\.h", "libbz2-dev"),
    (r"sqlite3\.h", "libsqlite3-dev"),
    (r"\buuid/uuid\.h", "uuid-dev"),
    (r"cargo.*not (?:found|installed)|can't find Rust compiler|requires Rust|rustc.*not found", "rustc cargo"),
    (r"cmake.*not (?:found|installed)|CMake must be installed|No such file or directory: '?cmake", "cmake"),
    (r"gfortran|Unknown compiler\(s\): \[\['gfortran", "gfortran"),
)
_COMPILER = re.compile(
    r"command '[^']*(?:gcc|cc|g\+\+|c\+\+|clang)' failed|unable to execute '?\S*(?:gcc|cc|g\+\+)|Unknown compiler"
    r"|(?:gcc|cc|g\+\+|make): (?:command )?not found|No such file or directory: '?(?:\S*-)?(?:gcc|cc|g\+\+|make)\b"
    r"|Python\.h: No such file|(?:acceptable|need a) C compiler|Pkg-config was not found|pkg-config.*No such file"
)
_HEADER = re.compile(r"fatal error: (\S+\.h): No such file")
# Programs and libraries that an app looks for while it runs.
PROGRAMS = {
    "ffmpeg": "ffmpeg",
    "ffprobe": "ffmpeg",
    "tesseract": "tesseract-ocr",
    "gs": "ghostscript",
    "convert": "imagemagick",
    "magick": "imagemagick",
    "pdftotext": "poppler-utils",
    "pdftoppm": "poppler-utils",
    "pdfinfo": "poppler-utils",
    "soffice": "libreoffice-nogui",
    "libreoffice": "libreoffice-nogui",
    "pandoc": "pandoc",
    "dot": "graphviz",
    "git": "git",
    "node": "nodejs",
    "npm": "npm",
    "psql": "postgresql-client",
    "pg_dump": "postgresql-client",
    "mysqldump": "default-mysql-client",
    "chromium": "chromium",
    "google-chrome": "chromium",
    "curl": "curl",
    "wget": "wget",
    "msgfmt": "gettext",
    "espeak": "espeak",
    "sox": "sox",
    "exiftool": "libimage-exiftool-perl",
    "unrar": "unrar-free",
    "7z": "7zip",
    "zip": "zip",
    "unzip": "unzip",
    "java": "default-jre-headless",
    "jq": "jq",
    "rsync": "rsync",
    "sqlite3": "sqlite3",
    "redis-cli": "redis-tools",
    "mysql": "default-mysql-client",
    "php": "php-cli",
    "ruby": "ruby",
    "xvfb-run": "xvfb",
    "gcc": "build-essential",
    "make": "build-essential",
}
_LIBRARIES = (
    ("libGL", "libgl1"),
    ("libEGL", "libegl1"),
    ("libglib-2|libgthread-2|libgio-2|libgobject-2.*so", "libglib2.0-0"),
    ("libgobject-2|libpango|libharfbuzz|gobject-2", "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"),
    ("libmagic", "libmagic1"),
    ("libpq", "libpq5"),
    ("libmariadb|libmysqlclient", "libmariadb3"),
    ("libxmlsec1-openssl", "libxmlsec1-openssl"),
    ("libxmlsec1", "libxmlsec1"),
    ("libxml2", "libxml2"),
    ("libxslt|libexslt", "libxslt1.1"),
    ("libcairo", "libcairo2"),
    ("libgdal", "libgdal36"),
    ("libgeos_c", "libgeos-c1t64"),
    ("libsndfile", "libsndfile1"),
    ("libportaudio", "libportaudio2"),
    ("libgomp", "libgomp1"),
    ("libSM", "libsm6"),
    ("libXext", "libxext6"),
    ("libXrender", "libxrender1"),
    ("libX11", "libx11-6"),
    ("libxcb", "libxcb1"),
    ("libzbar|zbar", "libzbar0"),
    ("libodbc", "unixodbc"),
    ("libldap|liblber", "libldap2"),
    ("libsodium", "libsodium23"),
    ("libtesseract", "tesseract-ocr"),
    ("libfontconfig", "libfontconfig1"),
    ("libfreetype", "libfreetype6"),
    ("libjpeg", "libjpeg62-turbo"),
    ("libnss3|libnspr4", "libnss3"),
    ("libcurl", "libcurl4"),
    ("libleptonica|liblept", "libleptonica6"),
    ("libvips", "libvips42"),
    ("libMagickWand", "libmagickwand-7.q16-10"),
)


def sentence(packages: str, reason: str) -> str:
    """A sentence that says the ``reason``, and how to install these packages, with spaces between their names."""
    names = packages.split()
    lines = f"{' '.join(names)}, one a line," if len(names) > 1 else names[0]
    command = f"pulumi config set --path 'aptPackages[0]' {names[0] if len(names) == 1 else '<package>'}"
    return f"{reason}: write {lines} into a file Aptfile in the app's folder, or set aptPackages: {command}"


def of_build(output: str) -> str:
    """The sentence for the output of a failed build; empty if it shows no missing system package."""
    if "failed to build" not in output.lower() and "build backend" not in output.lower():
        return ""
    found = [packages for pattern, packages in _BUILDS if re.search(pattern, output)]
    header = _HEADER.search(output)
    if not found and not _COMPILER.search(output):
        if header is None:
            return ""
        return (
            f"The build needs the file {header[1]}. Search for its Debian package with `apt-file search {header[1]}`,"
            " and add it to the setting aptPackages or to the app's Aptfile."
        )
    packages = " ".join(dict.fromkeys(" ".join((*found, COMPILER)).split()))
    text = sentence(packages, "The build needs more system packages")
    is_psycopg = "libpq-dev" in packages and "psycopg2" in output
    return f"{text}. Or replace psycopg2 by psycopg2-binary, which needs no build" if is_psycopg else text


def of_library(match: re.Match[str], _: Path | None) -> str:
    """The sentence for the group ``library`` of a match, such as ``libGL.so.1``; empty if its package isn't known."""
    library = match["library"]
    packages = next((packages for pattern, packages in _LIBRARIES if re.match(pattern, library)), "")
    if not packages:
        return (
            f"The system library {library} isn't installed. Search for its Debian package with"
            f" `apt-file search {library}`, and add it to the setting aptPackages or to the app's Aptfile."
        )
    return sentence(packages, f"The system library {library} isn't installed")


def of_program(program: str) -> str:
    """The sentence for a program that isn't installed; empty if its package isn't known."""
    packages = PROGRAMS.get(program)
    return sentence(packages, f"The program {program} isn't installed") if packages else ""
