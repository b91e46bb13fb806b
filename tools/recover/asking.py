"""AWS is asked by a stack of its own, which is gone with its folder: the one that is recovered isn't touched."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.recover import aws, state
from tools.recover.state import Document, Pending
from tools.setup import backend
from tools.setup.paths import ROOT
from tools.setup.report import SetupError

LOOKUP = ROOT / "tools" / "recover" / "lookup"
PROVIDER = "pulumi:providers:aws"


def asked(program: str, env: Mapping[str, str], question: aws.Question, known: set[str]) -> aws.Aws:
    """What AWS answers, without what is gone."""
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(LOOKUP, folder := Path(place, "program"))
        own = {**env, "PULUMI_BACKEND_URL": backend.in_folder(Path(place)), "PULUMI_CONFIG_PASSPHRASE": ""}
        own.pop("PULUMI_STACK", None)
        stack = _Stack(program, folder, own)
        answer = stack.answer(question)
        unverified = answer.unverified(known)
        return answer.only(stack.there(question, unverified) if unverified else set())


@dataclass(frozen=True)
class _Stack:
    program: str
    folder: Path
    env: Mapping[str, str]

    def answer(self, question: aws.Question) -> aws.Aws:
        """By a preview of a program that looks up."""
        (self.folder / "question.json").write_text(json.dumps(asdict(question)))
        self._run("stack", "init", "asked")
        self._run("preview", "--stack", "asked")
        return aws.Aws(**json.loads((self.folder / "answer.json").read_text()))

    def there(self, question: aws.Question, things: Sequence[tuple[str, str]]) -> set[str]:
        """The ids of those that the provider finds, by a refresh of a state that has them all."""
        exported: Document = json.loads(self._run("stack", "export", "--stack", "asked"))
        exported["deployment"]["resources"] = resources(question, things)
        (self.folder / "state.json").write_text(json.dumps(exported))
        self._run("stack", "import", "--stack", "asked", "--file", "state.json")
        self._run("refresh", "--stack", "asked", "--yes", "--skip-preview")
        return state.ids(json.loads(self._run("stack", "export", "--stack", "asked"))["deployment"])

    def _run(self, *words: str) -> str:
        command = [self.program, *words, "--non-interactive"]
        done = subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True)
        if done.returncode != 0:
            raise SetupError(f"AWS could not be asked:\n{done.stdout}{done.stderr}".rstrip())
        return done.stdout


def resources(question: aws.Question, things: Sequence[tuple[str, str]]) -> list[Document]:
    """A state of things that are known by type and id alone."""
    given = {"region": question.region, "version": question.version}
    provider = {**_resource(PROVIDER, "asked"), "id": "asked", "inputs": given, "outputs": given}
    reference = f"{provider['urn']}::{provider['id']}"
    found = [
        state.made(Pending({**_resource(type_, str(number)), "provider": reference}), id)
        for number, (type_, id) in enumerate(things)
    ]
    return [provider, *found]


def _resource(type_: str, name: str) -> Document:
    urn = f"urn:pulumi:asked::gantry-lookup::{type_}::{name}"
    return {"urn": urn, "type": type_, "custom": True, "inputs": {}}
