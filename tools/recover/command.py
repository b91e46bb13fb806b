"""`make recover`: frees a stack whose `up` was killed, and brings its state and its cloud back together."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from components.digitalocean.api import URL, URL_VARIABLE, token_in
from tools.recover import asking, aws, digitalocean, state
from tools.recover.state import Document, Pending
from tools.setup import backend
from tools.setup.paths import ROOT
from tools.setup.report import SetupError, say


@dataclass(frozen=True, kw_only=True)
class Pulumi:
    """The engine, on one stack."""

    program: str
    stack: str
    env: Mapping[str, str]
    # The stack's settings, where they aren't in the project's folder.
    config_file: str | None = None

    def ask(self, *words: str, check: bool = True) -> str:
        """What it prints, and nothing to the operator unless it fails."""
        done = subprocess.run(self._command(words), cwd=ROOT, env=self.env, capture_output=True, text=True)
        if check and done.returncode != 0:
            raise SetupError(f"pulumi {' '.join(words[:2])} failed:\n{done.stdout}{done.stderr}".rstrip())
        return done.stdout if done.returncode == 0 else ""

    def refresh(self) -> int:
        words = ("refresh", "--yes", "--skip-preview", "--suppress-outputs", "--clear-pending-creates")
        return subprocess.run(self._command(words), cwd=ROOT, env=self.env).returncode

    def export(self) -> dict[str, Any]:
        return json.loads(self.ask("stack", "export"))

    def bring_in(self, exported: dict[str, Any]) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(exported, file)
            file.flush()
            self.ask("stack", "import", "--file", file.name)

    def _command(self, words: Sequence[str]) -> list[str]:
        own = ["--config-file", self.config_file] if self.config_file and words[0] in {"config", "refresh"} else []
        return [self.program, *words, "--non-interactive", "--stack", self.stack, *own]


def recover(pulumi: Pulumi) -> int:
    """Frees the stack, takes in what its last `up` has made unheard, and says what it can't decide."""
    # Where nothing holds the stack there is nothing to free.
    pulumi.ask("cancel", "--yes", check=False)
    exported = pulumi.export()
    deployment = cast("dict[str, Any]", exported.get("deployment") or {})
    waiting, known = state.pending(deployment), state.ids(deployment)
    clouds = _clouds(pulumi, deployment, waiting, known)
    lost = [each for cloud in clouds for each in cloud.lost(state.resources(deployment))]
    for each in lost:
        say(f"{Pending(each)}: {each['id']} is gone, taken out of the state")
    deployment = state.without(deployment, lost)
    candidates = {n: {id for cloud in clouds for id in cloud.candidates(each)} for n, each in enumerate(waiting)}
    found = state.chosen(waiting, candidates, known)
    fitting = {n: id for n, id in found.items() if state.fits(deployment, waiting[n])}
    # From here on the state forgets what was under way: all that only the operator can decide is said before.
    for n, id in found.items():
        if n not in fitting:
            say(f"{waiting[n]}: made, {id}, but what it belonged to isn't in the state any more: delete it by hand")
    for cloud in clouds:
        cloud.tell(known | set(found.values()), waiting)
    if fitting:
        deployment = state.adopted(deployment, [(waiting[n], id) for n, id in fitting.items()])
    if fitting or lost:
        pulumi.bring_in({**exported, "deployment": deployment})
    if code := pulumi.refresh():
        say("the refresh failed: what was found is in the state, and the next one goes on from there")
        return code
    there = state.ids(pulumi.export().get("deployment") or {})
    _report(waiting, {n: id for n, id in fitting.items() if id in there})
    say(f"the stack is as its cloud is; what is still missing is made by: {backend.make('up', pulumi.stack)}")
    return 0


def _report(waiting: Sequence[Pending], there: Mapping[int, str]) -> None:
    if not waiting:
        say("no create was under way")
    for n, each in enumerate(waiting):
        say(f"{each}: {f'taken in, {there[n]}' if n in there else 'not there, or as good made again'}")


class _Aws:
    """Tags are no proof: another stack of this name, in the same account and region, has the same."""

    def __init__(self, pulumi: Pulumi, asked: aws.Question, waiting: Sequence[Pending], known: set[str]) -> None:
        self._asked = asked
        self._answer = asking.asked(pulumi.program, pulumi.env, asked, known)
        wanted = {id for each in waiting for id in self._answer.candidates(each)}
        self._doubtful = bool(self._answer.strays(known | wanted))

    def candidates(self, each: Pending) -> set[str]:
        """None by its tags where there is more with these than can be explained: some may be another stack's."""
        return set() if self._doubtful and each.type in aws.TAGGED else self._answer.candidates(each)

    def lost(self, known: Sequence[Document]) -> list[Document]:
        """Nothing: the refresh finds out by itself what is gone."""
        return []

    def tell(self, known: set[str], waiting: Sequence[Pending]) -> None:
        if strays := self._answer.strays(known):
            say(_strays("tags", strays))
            if self._doubtful and waiting:
                say("so nothing was taken in by its tags alone")
            say(f"look at them with: {self._answer.how_to_look(self._asked)}")


class _DigitalOcean:
    def __init__(self, pulumi: Pulumi) -> None:
        token = token_in(pulumi.env) or pulumi.ask("config", "get", "digitalocean:token", check=False).strip()
        if not token:
            raise SetupError("DigitalOcean can't be asked without a token: set DIGITALOCEAN_TOKEN, as for `make up`")
        url = pulumi.env.get(URL_VARIABLE) or URL
        self._account, self._stack = digitalocean.DigitalOcean(token, url), pulumi.stack.rpartition("/")[2]
        self.candidates, self.lost = self._account.candidates, self._account.lost

    def tell(self, known: set[str], waiting: Sequence[Pending]) -> None:
        if strays := self._account.strays(known, self._stack):
            say(_strays("names", strays))
            say("look at them with doctl, or in the control panel")
        for each in waiting:
            if each.type == digitalocean.NAMELESS and (free := self._account.unassigned(each.inputs["region"], known)):
                say(f"{each} may have been made: {', '.join(free)} lead nowhere. Delete what isn't yours otherwise.")


def _clouds(
    pulumi: Pulumi, deployment: Mapping[str, Any], waiting: list[Pending], known: set[str]
) -> list[_Aws | _DigitalOcean]:
    """Those that the stack has things in, as far as the state knows."""
    found: list[_Aws | _DigitalOcean] = []
    if asked := aws.question(deployment, waiting):
        found.append(_Aws(pulumi, asked, waiting, known))
    elif unasked := [each for each in waiting if each.type.startswith("aws:")]:
        raise SetupError(
            "AWS can't be asked: the state has no provider for it any more, perhaps after a `destroy` since the kill.\n"
            f"There may be: {', '.join(map(str, unasked))}.\n"
            f"Look for them by the tag Stack={pulumi.stack}, delete them, and then: "
            f"bin/pulumi refresh --stack {pulumi.stack} --clear-pending-creates"
        )
    types = [each["type"] for each in state.resources(deployment)] + [each.type for each in waiting]
    if any(type_.startswith("digitalocean:") for type_ in types):
        found.append(_DigitalOcean(pulumi))
    return found


def _strays(what: str, strays: Sequence[str]) -> str:
    listed = "\n".join(f"  {each}" for each in strays)
    return (
        f"with this stack's {what}, and unknown to it: left by a reply that was lost, or another's of this name.\n"
        f"Delete only what you know to be nobody's:\n{listed}"
    )
