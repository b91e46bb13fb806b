"""How a VPC on DigitalOcean gets empty. The provider process of every `up` imports it, so it imports little."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from pulumi.dynamic import Config, ConfigureRequest

from components.digitalocean_api import URL, URL_VARIABLE, Api, ApiError, token_in
from components.noted import Noted

LIMIT_SECONDS = 600
PAUSE_SECONDS = 2


class Emptier(Noted):
    """The provider of digitalocean.network.Emptying."""

    about = "vpc_id"
    _config: Config

    def configure(self, req: ConfigureRequest) -> None:
        self._config = req.config

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        wait(account(self._config, os.environ), _id)


def account(config: Config, environ: Mapping[str, str]) -> Api:
    """The account of the stack's own provider, which looks there in this order."""
    token = config.get("digitalocean:token") or token_in(environ)
    if not token:
        raise ApiError("DigitalOcean can't be asked without a token: set DIGITALOCEAN_TOKEN, as for `make up`")
    return Api(token, config.get("digitalocean:apiEndpoint") or environ.get(URL_VARIABLE) or URL)


def wait(api: Api, vpc: str) -> None:
    """Wait until nothing is in the VPC: what was in it leaves it some time after its own deletion."""
    until = time.monotonic() + LIMIT_SECONDS
    while members := _members(api, vpc):
        if time.monotonic() > until:
            raise TimeoutError(
                f"after {LIMIT_SECONDS} s there still is in the VPC {vpc}: {', '.join(members)}.\n"
                "Delete what is somebody else's or move it to another VPC, and run the same command again."
            )
        time.sleep(PAUSE_SECONDS)


def _members(api: Api, vpc: str) -> list[str]:
    try:
        return sorted(f"{each['urn']} ({each['name']})" for each in api.listed(f"vpcs/{vpc}/members", "members"))
    except ApiError as error:
        if error.status == 404:
            return []
        raise
