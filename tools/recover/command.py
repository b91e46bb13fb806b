"""`make recover`: unlocks a stack whose `up` was killed, and makes its state match the cloud again."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from components.digitalocean.api import URL, URL_VARIABLE, token_in
from tools.recover import aws, aws_lookup, digitalocean, state
from tools.recover.state import Document, Pending
from tools.setup import backend
from tools.setup.paths import ROOT
from tools.setup.report import SetupError, say


@dataclass(frozen=True, kw_only=True)
class Pulumi:
    """The engine's command line, for one stack."""

    program: str
    stack: str
    env: Mapping[str, str]
    # The stack's settings file, unless it is in the project's folder.
    config_file: str | None = None

    def output(self, *words: str, check: bool = True) -> str:
        """The command's stdout. The operator sees it only if the command fails.

        Without ``check``, a failed command returns an empty string.
        """
        result = subprocess.run(self._command(words), cwd=ROOT, env=self.env, capture_output=True, text=True)
        if check and result.returncode != 0:
            raise SetupError(f"pulumi {' '.join(words[:2])} failed:\n{result.stdout}{result.stderr}".rstrip())
        return result.stdout if result.returncode == 0 else ""

    def refresh(self) -> int:
        words = ("refresh", "--yes", "--skip-preview", "--suppress-outputs", "--clear-pending-creates")
        return subprocess.run(self._command(words), cwd=ROOT, env=self.env).returncode

    def export_state(self) -> dict[str, Any]:
        return json.loads(self.output("stack", "export"))

    def import_state(self, exported: dict[str, Any]) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(exported, file)
            file.flush()
            self.output("stack", "import", "--file", file.name)

    def _command(self, words: Sequence[str]) -> list[str]:
        with_settings = self.config_file and words[0] in {"config", "refresh"}
        settings = ["--config-file", self.config_file] if self.config_file and with_settings else []
        return [self.program, *words, "--non-interactive", "--stack", self.stack, *settings]


def recover(pulumi: Pulumi) -> int:
    """Unlocks the stack, adds to its state the resources that the killed `up` created, and refreshes the state.

    Reports resources about which only the operator can decide. Returns the exit status of the refresh.
    """
    # `cancel` fails if the stack isn't locked. Then there is nothing to unlock.
    pulumi.output("cancel", "--yes", check=False)
    exported = pulumi.export_state()
    deployment = cast("dict[str, Any]", exported.get("deployment") or {})
    creates, known_ids = state.pending_creates(deployment), state.ids(deployment)
    clouds = _clouds(pulumi, deployment, creates=creates, known_ids=known_ids)

    missing = [resource for cloud in clouds for resource in cloud.missing(state.resources(deployment))]
    for resource in missing:
        say(f"{Pending(resource)}: {resource['id']} no longer exists; it will be removed from the state")
    deployment = state.without(deployment, missing)

    candidates = {n: {id for cloud in clouds for id in cloud.candidates(create)} for n, create in enumerate(creates)}
    assigned = state.assign_ids(creates, candidates, known_ids)
    adoptable = {n: id for n, id in assigned.items() if state.has_references_of(deployment, creates[n])}
    # Reported here, because the steps below remove the creates under way from the state.
    found_only = {n: id for n, id in assigned.items() if n not in adoptable}
    for n, id in found_only.items():
        say(f"{creates[n]}: created as {id}, but resources that it needs aren't in the state: delete it manually")
    for cloud in clouds:
        cloud.report(known_ids | set(assigned.values()), creates)

    for n, id in adoptable.items():
        for cloud in clouds:
            cloud.wait_until_active(creates[n], id)
    if adoptable:
        deployment = state.adopt(deployment, [(creates[n], id) for n, id in adoptable.items()])
    if adoptable or missing:
        pulumi.import_state({**exported, "deployment": deployment})
    if code := pulumi.refresh():
        say("the refresh failed. The resources that were found are in the state; run `make recover` again to continue")
        return code
    existing_ids = state.ids(pulumi.export_state().get("deployment") or {})
    _report(creates, {n: id for n, id in adoptable.items() if id in existing_ids}, found_only)
    say(f"the state matches the cloud. Create what is missing with: {backend.make('up', pulumi.stack)}")
    return 0


def require_assigned_address(pulumi: Pulumi, deployment: Mapping[str, Any]) -> None:
    """Before an `up` on DigitalOcean: raises SetupError if the provider would crash when it deletes the assignment.

    It would if somebody has detached or deleted the stack's address. ``deployment`` is the stack's state.
    """
    assignments = [one for one in state.resources(deployment) if one["type"] == digitalocean.ASSIGNMENT]
    if assignments and (missing := _DigitalOcean(pulumi).missing(assignments)):
        addresses = ", ".join(resource["inputs"]["ipAddress"] for resource in missing)
        raise SetupError(
            f"The address {addresses} is no longer assigned to the server. Somebody has detached or deleted it, and"
            " DigitalOcean's provider would crash. Let the state forget the assignment, and run the command again:\n"
            f"  {backend.make('recover', pulumi.stack)}"
        )


def _report(creates: Sequence[Pending], adopted: Mapping[int, str], found_only: Mapping[int, str]) -> None:
    """Says for each create what happened. ``found_only`` were found, but couldn't be added to the state."""
    if not creates:
        say("no create was under way")
    for n, create in enumerate(creates):
        if n in adopted:
            outcome = f"added to the state, {adopted[n]}"
        elif n in found_only:
            outcome = f"{found_only[n]} couldn't be added to the state"
        else:
            outcome = "not found, `up` creates it"
        say(f"{create}: {outcome}")


class _Aws:
    """Finds resources in AWS by their names or tags. Tags are no proof.

    Another stack of the same name, in the same account and region, has the same tags.
    """

    def __init__(self, pulumi: Pulumi, query: aws.Query, creates: Sequence[Pending], known_ids: set[str]) -> None:
        self._query = query
        self._inventory = aws_lookup.look_up(pulumi.program, pulumi.env, query=query, known_ids=known_ids)
        candidates = {id for create in creates for id in self._inventory.candidates(create)}
        self._ambiguous = bool(self._inventory.untracked(known_ids | candidates))

    def candidates(self, create: Pending) -> set[str]:
        """The ids of the resources that ``create`` may have made.

        Empty for a type that is found by tags if some resources with these tags match no create: they may be another
        stack's.
        """
        return set() if self._ambiguous and create.type in aws.TAGGED else self._inventory.candidates(create)

    def wait_until_active(self, create: Pending, id: str) -> None:
        """Waits for nothing: AWS knows the addresses of its resources at once, and the refresh reads them."""

    def missing(self, resources: Sequence[Document]) -> list[Document]:
        """Always empty, because the refresh itself removes deleted resources of AWS from the state."""
        return []

    def report(self, known_ids: set[str], creates: Sequence[Pending]) -> None:
        if untracked := self._inventory.untracked(known_ids):
            say(_untracked("tags", untracked))
            if self._ambiguous and creates:
                say("so `make recover` added nothing to the state that it found only by its tags")
            say(f"list them with: {self._inventory.listing_command(self._query)}")


class _DigitalOcean:
    def __init__(self, pulumi: Pulumi) -> None:
        token = token_in(pulumi.env) or pulumi.output("config", "get", "digitalocean:token", check=False).strip()
        if not token:
            raise SetupError("There is no token for DigitalOcean: set DIGITALOCEAN_TOKEN, as for `make up`")
        url = pulumi.env.get(URL_VARIABLE) or URL
        self._account, self._stack = digitalocean.DigitalOcean(token, url), pulumi.stack.rpartition("/")[2]
        self.candidates, self.missing = self._account.candidates, self._account.missing
        self.wait_until_active = self._account.wait_until_active

    def report(self, known_ids: set[str], creates: Sequence[Pending]) -> None:
        if untracked := self._account.untracked(known_ids, self._stack):
            say(_untracked("names", untracked))
            say("look at them with doctl, or in the control panel")
        for create in creates:
            if create.type != digitalocean.NAMELESS:
                continue
            if free := ", ".join(self._account.unassigned(create.inputs["region"], known_ids)):
                say(
                    f"{create} may exist. These reserved IPs have no droplet: {free}. Delete those that you don't need."
                )


def _clouds(
    pulumi: Pulumi, deployment: Mapping[str, Any], *, creates: list[Pending], known_ids: set[str]
) -> list[_Aws | _DigitalOcean]:
    """The clouds of the state's resources and creates under way. Raises SetupError if AWS can't be searched."""
    clouds: list[_Aws | _DigitalOcean] = []
    if query := aws.query_for(deployment, creates):
        clouds.append(_Aws(pulumi, query, creates=creates, known_ids=known_ids))
    elif on_aws := [create for create in creates if create.type.startswith("aws:")]:
        raise SetupError(
            "AWS can't be searched: the state has no AWS provider any more, perhaps after a `destroy` since the kill.\n"
            f"These resources may exist: {', '.join(map(str, on_aws))}.\n"
            f"Find them by the tag Stack={pulumi.stack}, delete them, and then run: "
            f"bin/pulumi refresh --stack {pulumi.stack} --clear-pending-creates"
        )
    types = [resource["type"] for resource in state.resources(deployment)] + [create.type for create in creates]
    if any(type_.startswith("digitalocean:") for type_ in types):
        clouds.append(_DigitalOcean(pulumi))
    return clouds


def _untracked(sign: str, untracked: Sequence[str]) -> str:
    listed = "\n".join(f"  {resource}" for resource in untracked)
    return (
        f"there are resources with this stack's {sign} that aren't in its state.\n"
        f"A lost reply may have left them, or they belong to another stack of this name.\n"
        f"Delete only those that you know nobody needs:\n{listed}"
    )
