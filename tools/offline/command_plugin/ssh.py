"""paramiko, imported at the first connection: most runs of the plugin open none."""

from __future__ import annotations

import functools
import importlib
import io
import logging
import sys
import threading
from typing import Any, cast

from .operation import CommandError

_first = threading.Lock()


def paramiko() -> Any:
    # Several first connections at once are usual.
    with _first:
        return _imported()


@functools.cache
def _imported() -> Any:
    # Its import of invoke is for `Match exec` in ssh_config, which is not read here, and takes as long again.
    module = cast("dict[str, Any]", sys.modules)
    absent = "invoke" not in module
    if absent:
        module["invoke"] = None
    try:
        library = importlib.import_module("paramiko")
    finally:
        if absent:
            del module["invoke"]
    # Its own log goes to standard error, which the engine would show; failures are raised and told below.
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
    logging.getLogger("paramiko").propagate = False
    return library


def private_key(text: str, password: str | None) -> Any:
    """A signing key from any of the usual forms: OpenSSH, PKCS#1, PKCS#8, SEC1; encrypted or not."""
    serialization: Any = importlib.import_module("cryptography.hazmat.primitives.serialization")
    data = text.strip().encode() + b"\n"
    loader = "load_ssh_private_key" if b"BEGIN OPENSSH" in data else "load_pem_private_key"
    try:
        key = getattr(serialization, loader)(data, password=password.encode() if password else None)
        plain = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        return _signer(plain.decode(), type(key).__name__)
    except (ValueError, TypeError, paramiko().SSHException) as error:
        # Never the key, and not the library's words for it either: they can quote it.
        raise CommandError(_key_problem(error, password)) from None


def _signer(openssh: str, kind: str) -> Any:
    library = paramiko()
    classes = {"RSA": library.RSAKey, "Ed25519": library.Ed25519Key, "EC": library.ECDSAKey}
    for name, key_class in classes.items():
        if kind.startswith(name):
            return key_class.from_private_key(io.StringIO(openssh))
    raise ValueError(kind)


def _key_problem(error: Exception, password: str | None) -> str:
    if isinstance(error, TypeError) and not password:
        return "ssh: the private key is encrypted: give privateKeyPassword"
    if isinstance(error, TypeError):
        return "ssh: privateKeyPassword is given, but the private key is not encrypted"
    if password:
        return "ssh: the private key cannot be decrypted with privateKeyPassword, or is no private key"
    return "ssh: the private key cannot be read: it must be RSA, ECDSA or Ed25519 in PEM or OpenSSH form"
