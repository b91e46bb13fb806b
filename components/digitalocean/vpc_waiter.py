"""Waits until a VPC is empty, before its deletion.

The provider process of every `up` imports this module, so it imports little.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from pulumi.dynamic import Config, ConfigureRequest

from components.digitalocean.api import URL, URL_VARIABLE, Api, ApiError, token_in
from components.providers import MarkerProvider

LIMIT_SECONDS = 600
PAUSE_SECONDS = 2


class VpcWaiterProvider(MarkerProvider):
    """The provider of digitalocean.network.VpcWaiter."""

    about = "vpc_id"
    _config: Config

    def configure(self, req: ConfigureRequest) -> None:
        self._config = req.config

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        wait_until_empty(account(self._config, os.environ), _id)


def account(config: Config, environ: Mapping[str, str]) -> Api:
    """The API with the token and address of the stack's DigitalOcean provider, which looks them up in this order."""
    token = config.get("digitalocean:token") or token_in(environ)
    if not token:
        raise ApiError("DigitalOcean's API needs a token: set DIGITALOCEAN_TOKEN, as for `make up`")
    return Api(token, config.get("digitalocean:apiEndpoint") or environ.get(URL_VARIABLE) or URL)


def wait_until_empty(api: Api, vpc: str) -> None:
    """Wait until the VPC has no members; raises TimeoutError.

    DigitalOcean removes a member from the VPC some minutes after the member's own deletion.
    """
    deadline = time.monotonic() + LIMIT_SECONDS
    while members := _members(api, vpc):
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"after {LIMIT_SECONDS} s the VPC {vpc} still has members: {', '.join(members)}.\n"
                "Delete them, or move them to another VPC, and run the same command again."
            )
        time.sleep(PAUSE_SECONDS)


def _members(api: Api, vpc: str) -> list[str]:
    try:
        return sorted(f"{member['urn']} ({member['name']})" for member in api.listed(f"vpcs/{vpc}/members", "members"))
    except ApiError as error:
        if error.status == 404:
            return []
        raise
