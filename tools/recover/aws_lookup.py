"""Looks up the resources in AWS that a killed `up` may have created.

A separate temporary stack does the look-up, so the stack that is recovered isn't touched.
"""

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

PROGRAM = ROOT / "tools" / "recover" / "lookup"
PROVIDER = "pulumi:providers:aws"
STACK = "lookup"


def look_up(pulumi: str, env: Mapping[str, str], query: aws.Query, known_ids: set[str]) -> aws.Inventory:
    """The resources in AWS for the query, except those that are already deleted; ``pulumi`` is the engine's path.

    Raises SetupError with the engine's output.
    """
    with tempfile.TemporaryDirectory() as parent:
        shutil.copytree(PROGRAM, folder := Path(parent, "program"))
        stack_env = {**env, "PULUMI_BACKEND_URL": backend.in_folder(Path(parent)), "PULUMI_CONFIG_PASSPHRASE": ""}
        stack_env.pop("PULUMI_STACK", None)
        stack = _LookupStack(pulumi, folder, stack_env)
        inventory = stack.inventory(query)
        uncertain = inventory.possibly_deleted(known_ids)
        return inventory.only(stack.existing_ids(query, uncertain) if uncertain else set())


@dataclass(frozen=True)
class _LookupStack:
    pulumi: str
    folder: Path
    env: Mapping[str, str]

    def inventory(self, query: aws.Query) -> aws.Inventory:
        """The inventory that a preview of the look-up program writes to a file."""
        (self.folder / "query.json").write_text(json.dumps(asdict(query)))
        self._run("stack", "init", STACK)
        self._run("preview", "--stack", STACK)
        return aws.Inventory(**json.loads((self.folder / "inventory.json").read_text()))

    def existing_ids(self, query: aws.Query, uncertain: Sequence[tuple[str, str]]) -> set[str]:
        """The ids that remain after a refresh of a state with all of these types and ids."""
        exported: Document = json.loads(self._run("stack", "export", "--stack", STACK))
        exported["deployment"]["resources"] = resources(query, uncertain)
        (self.folder / "state.json").write_text(json.dumps(exported))
        self._run("stack", "import", "--stack", STACK, "--file", "state.json")
        self._run("refresh", "--stack", STACK, "--yes", "--skip-preview")
        return state.ids(json.loads(self._run("stack", "export", "--stack", STACK))["deployment"])

    def _run(self, *words: str) -> str:
        command = [self.pulumi, *words, "--non-interactive"]
        result = subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True)
        if result.returncode != 0:
            raise SetupError(f"The look-up in AWS failed:\n{result.stdout}{result.stderr}".rstrip())
        return result.stdout


def resources(query: aws.Query, types_and_ids: Sequence[tuple[str, str]]) -> list[Document]:
    """The resources of a state in which only the types and ids are known, after their provider."""
    inputs = {"region": query.region, "version": query.version}
    provider = {**_resource(PROVIDER, "lookup"), "id": "lookup", "inputs": inputs, "outputs": inputs}
    reference = f"{provider['urn']}::{provider['id']}"
    looked_up = [
        state.new_resource(Pending({**_resource(type_, str(number)), "provider": reference}), id)
        for number, (type_, id) in enumerate(types_and_ids)
    ]
    return [provider, *looked_up]


def _resource(type_: str, name: str) -> Document:
    urn = f"urn:pulumi:{STACK}::gantry-lookup::{type_}::{name}"
    return {"urn": urn, "type": type_, "custom": True, "inputs": {}}
