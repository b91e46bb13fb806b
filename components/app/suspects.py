"""Finds packed files that are probably a mistake: secrets, databases, and pointers to files that Git LFS has."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from host.paths import Paths

# Compared with file names in lower case.
SECRETS = (
    ".env", ".env.*", "*.env", ".envrc", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ovpn",
    "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", ".netrc", ".pgpass", ".pypirc", ".htpasswd", "credentials.json",
    "client_secret*.json", "service-account*.json", "service_account*.json", "secrets.json", "secrets.toml",
    "secrets.yaml", "secrets.yml", ".git-credentials", ".s3cfg", ".boto", ".dockercfg", ".vault_pass*", "*.ppk",
    "*.tfstate", "*.tfstate.backup", "*.tfvars", "kubeconfig", "*.kubeconfig", "*firebase-adminsdk*.json",
    "token.pickle",
)  # fmt: skip
# What secrets have in their first lines, whatever the name of the file. Code may contain such words, too.
_CONTENT = re.compile(
    rb"-----BEGIN (?:\w+ )*PRIVATE KEY-----|\"type\": ?\"service_account\"|:_authToken=[^$\s]"
    rb"|^aws_secret_access_key\s*=",
    re.MULTILINE,
)
_MAY_HAVE_CONTENT = re.compile(r"[^.]+|\..*|.*\.(?:json|txt|cfg|conf|ini|ya?ml|toml|crt|cert|cer|asc)")
DATABASES = (
    "*.sqlite", "*.sqlite3", "*.db", "*.db3", "*.sqlite-wal", "*.sqlite3-wal", "*.db-wal", "*.sqlite-journal",
    "*.sqlite3-journal", "*.db-journal", "*.rdb", "*.dump",
)  # fmt: skip
_HARMLESS = re.compile(r"(.*[._-])?(example|sample|template|dist|defaults)([._-].*)?|thumbs\.db")
_LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"
_IGNORE = "add them to .gitignore (for committed files also run: git rm --cached <file>)"
_SECRET = (
    "these packed files look like secrets: {}; every copy of the release has them: "
    f"{_IGNORE}, and pass what the app needs with: pulumi config set --path env.NAME --secret"
)
_DATABASE = (
    "these packed files look like databases: {}; the app can't write to them, because a release is read-only: "
    f"{_IGNORE}, and keep the data in {Paths().app_home}, for example through the setting linkedPaths"
)
_POINTER = "these packed files are pointers of Git LFS in place of their content: {}; get it with: git lfs pull"
_SHOWN_NAMES = 10


def notes(names: Iterable[str], start: Callable[[str], bytes]) -> list[str]:
    """Sentences about the files of an app, or an empty list. ``start`` returns a file's first bytes."""
    names = list(names)
    secrets = [name for name in names if _matches(name, SECRETS) or _has_secret(name, start)]
    databases = [name for name in names if _matches(name, DATABASES)]
    pointers = [name for name in names if start(name).startswith(_LFS_POINTER)]
    found = ((secrets, _SECRET), (databases, _DATABASE), (pointers, _POINTER))
    return [sentence.format(listed(files)) for files, sentence in found if files]


def _has_secret(name: str, start: Callable[[str], bytes]) -> bool:
    own = name.rpartition("/")[2].lower()
    may_have = _MAY_HAVE_CONTENT.fullmatch(own) is not None and _HARMLESS.fullmatch(own) is None
    return may_have and _CONTENT.search(start(name)) is not None


def listed(names: list[str]) -> str:
    """Names for a message. Bytes that aren't UTF-8 and control characters are escaped."""
    shown = ", ".join(map(printable, names[:_SHOWN_NAMES]))
    return f"{shown} and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else shown


def printable(name: str) -> str:
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in name)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    own = name.rpartition("/")[2].lower()
    return any(fnmatchcase(own, pattern) for pattern in patterns) and not _HARMLESS.fullmatch(own)
