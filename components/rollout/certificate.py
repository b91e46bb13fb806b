"""The certificate of a single server. It is asked for when visitors reach the server, at the end of `up`.

The state keeps it, with its key and the account at the authority, for a server that replaces this one:
docs/decisions/0032-the-state-keeps-the-certificate.md
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pulumi
from pulumi_command.remote import Logging

from components.app_data import Resource
from components.rollout.steps import Command
from components.settings import own_certificate
from components.settings.common import Settings
from components.settings.https import AUTO
from components.settings.own_certificate import OwnCertificate
from components.settings.tls import certificate_names

# The ends of the commands' names.
ROLE, KEPT_ROLE, OWN_ROLE = "certificate", "kept-certificate", "own-certificate"
RESTORE, SERVE = "sudo gantry restore-certificate", "sudo gantry serve-certificate"
_COMMAND = "command:remote:Command"


@dataclass(frozen=True, kw_only=True)
class Report:
    """The result of `gantry certificate` in an earlier `up`. ``stale`` is in seconds since the epoch."""

    stale: float = 0.0
    https: bool = False
    archive: Mapping[str, Any] | None = None


def with_default(settings: Settings, state: Sequence[Resource]) -> Settings:
    """The settings with ``tls: auto`` if they leave it open and the stack is a new one with a single cloud server.

    A stack whose first `up` has failed is still new. An existing one, with a release, stays as it is. The user learns
    how to change it, and also if HTTPS ends with a balancer.
    """
    commands = [resource for resource in state if resource.type == _COMMAND]
    has_certificate = any(resource.name.endswith(f"-{ROLE}") for resource in commands)
    if settings.balancer and has_certificate and not settings.https:
        pulumi.log.warn(
            "this site has HTTPS, and will have only HTTP: the balancer has no certificate. It gets one with the"
            " settings domain and zone: pulumi config set zone <value>"
        )
    if isinstance(settings.tls, OwnCertificate):
        for warning in own_certificate.warnings(settings.tls, settings.domain):
            pulumi.log.warn(warning)
    if settings.tls is not None or settings.balancer or settings.target == "local":
        return settings
    if has_certificate or not any(resource.name.endswith("-release") for resource in commands):
        return replace(settings, tls=AUTO)
    pulumi.log.info(
        "this site has only HTTP. For HTTPS, with a certificate that renews itself: pulumi config set tls auto (or:"
        " pulumi config set tls off)"
    )
    return settings


class ServerCertificate(Protocol):
    """How a single server gets its certificate."""

    def before_release(self, instance_id: pulumi.Output[str]) -> Command:
        """The command after the configuration, and before visitors reach a new server."""
        ...

    def request(self, address: pulumi.Output[str]) -> Command | None:
        """The command at the end of `up`, when visitors reach the server at ``address``."""
        ...

    def url(self, plain: pulumi.Output[str], stdout: pulumi.Output[str] | None) -> pulumi.Output[str]:
        """The site's URL: ``plain``, or that with HTTPS. ``stdout`` is that of ``request``."""
        ...


def of(name: str, settings: Settings, state: Sequence[Resource]) -> ServerCertificate | None:
    """The certificate of the server ``name``; None if it serves only HTTP."""
    if settings.tls == AUTO:
        return Certificate(name, settings, state)
    if isinstance(settings.tls, OwnCertificate):
        return FixedCertificate(settings.tls, f"https://{settings.domain}/")
    return None


class FixedCertificate:
    """A certificate of the settings. Its chain and its key are in PEM, and only the key is a secret."""

    def __init__(self, certificate: OwnCertificate, url: str) -> None:
        document = json.dumps({"chain": certificate.chain, "key": certificate.key})
        self._input, self._url = pulumi.Output.secret(document), url

    def before_release(self, instance_id: pulumi.Output[str]) -> Command:
        return Command(role=OWN_ROLE, text=SERVE, stdin=self._input, as_admin=True)

    def request(self, address: pulumi.Output[str]) -> None:
        return None

    def url(self, plain: pulumi.Output[str], stdout: pulumi.Output[str] | None) -> pulumi.Output[str]:
        return pulumi.Output.from_input(self._url)


class Certificate:
    """A certificate of an authority: the two commands of the server ``name``.

    Its earlier ones are among the resources of the ``state``.
    """

    def __init__(self, name: str, settings: Settings, state: Sequence[Resource]) -> None:
        commands = {resource.name: resource.outputs for resource in state if resource.type == _COMMAND}
        self._settings = settings
        self._asked: Mapping[str, Any] = commands.get(f"{name}-{ROLE}", {})
        self._kept: Mapping[str, Any] = commands.get(f"{name}-{KEPT_ROLE}", {})
        self._report = report(str(self._asked.get("stdout") or ""))

    def before_release(self, instance_id: pulumi.Output[str]) -> Command:
        """Gives a new server the certificate that the state keeps. It does nothing on a server that has one.

        Its input stays the same as long as the server does, although the state gets newer certificates.
        """
        return Command(
            role=KEPT_ROLE,
            text=RESTORE,
            stdin=pulumi.Output.secret(instance_id.apply(self._input_of)),
            logging=Logging.STDERR,
            as_admin=True,
        )

    def _input_of(self, instance_id: str) -> str:
        triggers: list[Any] = self._kept.get("triggers") or []
        if triggers[:1] == [instance_id]:
            return str(self._kept.get("stdin") or "null")
        return json.dumps(self._report.archive)

    def request(self, address: pulumi.Output[str]) -> Command:
        """Asks for the certificate. It runs again when the state's is out of date, or something was missing."""
        settings = self._settings
        names = certificate_names(settings)
        words = pulumi.Output.from_input(" ".join(names)) if names else address
        return Command(
            role=ROLE,
            text=pulumi.Output.format("sudo gantry certificate {}", words),
            stdin=address.apply(
                lambda address: json.dumps(
                    {
                        "address": address,
                        "directory": settings.acme_directory,
                        "root": settings.acme_root or "",
                        "run": self._run(time.time()),
                    },
                    indent=1,
                )
            ),
            logging=Logging.STDERR,
            as_admin=True,
            secret_output=True,
        )

    def url(self, plain: pulumi.Output[str], stdout: pulumi.Output[str] | None) -> pulumi.Output[str]:
        """With HTTPS if the server's output says that it works.

        A certificate for a domain isn't valid for the address.
        """

        def choose(values: Sequence[str]) -> str:
            address, printed = values
            if not report(printed).https:
                return address
            domain = self._settings.domain
            return f"https://{domain}/" if domain else address.replace("http://", "https://", 1)

        return pulumi.Output.unsecret(pulumi.Output.all(plain, stdout).apply(choose))

    def _run(self, now: float) -> int:
        """A number that differs from that of the last run if the server should be asked again."""
        try:
            last = int(json.loads(str(self._asked.get("stdin")))["run"])
        except (ValueError, LookupError, TypeError):
            return 1
        return last + 1 if now >= self._report.stale else last


def report(stdout: str) -> Report:
    """The report in the output of `gantry certificate`; an empty one for other texts."""
    try:
        document: dict[str, Any] = json.loads(stdout)
        return Report(stale=float(document["stale"]), https=bool(document["https"]), archive=document["archive"])
    except (ValueError, LookupError, TypeError):
        return Report()
