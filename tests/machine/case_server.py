"""A server that releases the apps of tests/cases/ in the way of `make up`, one after the other."""

from __future__ import annotations

import http.client
import re
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from components.server import commands
from components.server.configuration import PATHS, configuration
from components.settings.common import Settings
from tests.app_cases import Case
from tests.machine.booted_server import BootedServer
from tests.stack import ROOT
from tests.stack_settings import read

# A line of a traceback of the host program, which is a zip application.
OWN_TRACEBACK = re.compile(r'File ".*\.pyz/')


@dataclass(frozen=True)
class CaseResult:
    """How a release of a case ended, and all that was printed."""

    exit_code: int
    output: str


class CaseServer(BootedServer):
    """Releases cases. Its configuration changes with their settings."""

    @classmethod
    def first_settings(cls, folder: Path) -> Settings:
        return read(ROOT, watch=0)

    def release(self, case: Case, folder: Path) -> CaseResult:
        """Write, check, pack, configure, upload and release the app of a case in the empty ``folder``."""
        case.write(folder / "app")
        self.settings = case.read_settings(folder / "app")
        packed = case.pack(self.settings, folder / "packed")
        assert packed.tarball
        program = self.configuration.links[str(PATHS.host_program)]
        if configuration(self.settings, program).document() != self.configuration.document():
            self.configure()
        if case.server:
            self.script(case.server)
        self.upload(packed.tarball.read_bytes())
        # The release phase runs on the first server, which is the only one.
        command = f"{self.release_command(packed.name)} --first 2>&1"
        stdin = commands.release_input(self.settings.env, release=packed.name, stack="cases")
        result = subprocess.run(self.ssh_command(command), input=stdin, capture_output=True, text=True, timeout=300)
        print(result.stdout)
        assert not OWN_TRACEBACK.search(result.stdout), result.stdout
        return CaseResult(result.returncode, result.stdout)

    def get(self, path: str, host: str | None) -> tuple[int, str]:
        """Status and text of the site's answer."""
        with closing(http.client.HTTPConnection(self.spec.address, timeout=15)) as connection:
            connection.request("GET", path, headers={"Host": host} if host else {})
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")

    def serving(self) -> str:
        """The deployment that serves; empty before the first release."""
        return self.ssh(f"readlink {PATHS.current}", check=False)
