"""Installs the engine, the virtual environments and the command plugin, where they are missing or out of date."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tools.setup import engine, engine_env, plugin, venv
from tools.setup.files import exclusive
from tools.setup.paths import (
    ACTIONLINT,
    ENGINE,
    GENERATED,
    LOCK,
    LOGS,
    POLICY_VENV,
    PULUMI_HOME,
    ROOT,
    UV_VENV,
    VENV,
)


def set_up(environ: Mapping[str, str], *, development: bool = False, retry: bool = False) -> engine.Engine:
    """Installs what is missing and returns the engine. If nothing is missing, it only compares digests.

    `development` adds the tools for tests and checks. `retry` tries again to download the official plugin.
    """
    plugin_env = engine_env.for_engine(environ)
    ready = engine.ready(environ)
    if ready and venv.ready(development) and plugin.ready(plugin_env) and not retry:
        return ready
    with exclusive(LOCK):
        ready = engine.ready(environ) or engine.choose(environ)
        if not venv.ready(development):
            venv.make(development, environ)
        if retry or not plugin.ready(plugin_env):
            plugin.install(ready, plugin_env, retry=retry)
    return ready


def set_up_policy(environ: Mapping[str, str]) -> None:
    """Makes the policy pack's virtual environment, if it is missing or out of date."""
    with exclusive(LOCK):
        venv.make_for_policy(environ)


def return_to_owner(environ: Mapping[str, str]) -> None:
    """After sudo: gives the generated files to the checkout's owner, who couldn't renew root's files."""
    owner = ROOT.stat()
    if os.geteuid() != 0 or "SUDO_USER" not in environ or owner.st_uid == 0 or not GENERATED.exists():
        return
    for folder in (ACTIONLINT, ENGINE, VENV, POLICY_VENV, UV_VENV, LOGS, PULUMI_HOME):
        for parent, folders, files in os.walk(folder):
            for name in (".", *folders, *files):
                os.chown(Path(parent, name), owner.st_uid, owner.st_gid, follow_symlinks=False)
    for file in (GENERATED, *GENERATED.glob("*.json"), *GENERATED.glob(LOCK.name)):
        os.chown(file, owner.st_uid, owner.st_gid)
