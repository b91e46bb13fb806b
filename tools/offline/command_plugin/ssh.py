"""Imports paramiko at the first connection. Most runs of the plugin open none."""

from __future__ import annotations

import functools
import importlib
import io
import logging
import sys
import threading
from typing import Any, cast

from .operation import CommandError

_import_lock = threading.Lock()


def paramiko() -> Any:
    # Several first connections usually start at once.
    with _import_lock:
        return _imported()


@functools.cache
def _imported() -> Any:
    # paramiko imports invoke only for `Match exec` in ssh_config, which this plugin doesn't read. That import would
    # double the time.
    modules = cast("dict[str, Any]", sys.modules)
    is_missing = "invoke" not in modules
    if is_missing:
        modules["invoke"] = None
    try:
        library = importlib.import_module("paramiko")
    finally:
        if is_missing:
            del modules["invoke"]
    # paramiko logs to stderr, which the engine would show. This plugin reports the errors itself.
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
    logging.getLogger("paramiko").propagate = False
    return library


def private_key(text: str, password: str | None) -> Any:
    """Reads a private key in one of the usual formats (OpenSSH, PKCS#1, PKCS#8, SEC1), encrypted or not."""
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
        # The library's message can quote the key, so the error doesn't include it.
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
        return "ssh: the private key is encrypted: set privateKeyPassword"
    if isinstance(error, TypeError):
        return "ssh: privateKeyPassword is set, but the private key is not encrypted: remove privateKeyPassword"
    if password:
        return "ssh: the private key cannot be decrypted with privateKeyPassword, or is no private key"
    return "ssh: the private key cannot be read: it must be RSA, ECDSA or Ed25519 in PEM or OpenSSH form"
