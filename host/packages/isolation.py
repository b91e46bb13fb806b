"""Runs uv and the code of packages in a transient unit, which ends with all of its processes.

The unit has the sandbox of the app's units, and may write only to the folders that are given.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from host import systemd
from host.paths import Paths

# The build of a package runs its code. This user owns the folder of the environment that is being made, and no other.
BUILD_USER = "gantry-build"
UNIT = "gantry-install-{}.service"
# What uv finds of the server's own settings: programs, and a proxy.
_INHERITED = (
    "PATH",
    "LANG",
    "LC_ALL",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
)
# Hard links to files of root, such as those in uv's cache, need this capability.
_MAY_LINK = ("CapabilityBoundingSet=CAP_FOWNER", "AmbientCapabilities=CAP_FOWNER", "PrivateUsers=no")


def run(
    command: Sequence[str],
    *,
    folder: Path,
    variables: Mapping[str, str],
    writable: Sequence[Path],
    may_link: bool,
    seconds: float,
) -> subprocess.CompletedProcess[str]:
    """Run a command as the build user in ``folder``. It may write to the folders in ``writable``, and read no secret.

    With ``may_link``, it may make hard links to files of root. Code of packages must not run then. Raises
    TimeoutExpired after ``seconds``.
    """
    from host.deployment import env_file

    name = UNIT.format(os.urandom(4).hex())
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    # Everybody may ask systemd for the variables of a unit, but only root reads this file.
    with tempfile.TemporaryDirectory(prefix="gantry-install-", dir=Paths().runtime) as private:
        environment = Path(private) / "environment"
        environment.write_text(env_file({**inherited, **variables}))
        properties = [
            *sandbox(),
            *(_MAY_LINK if may_link else ()),
            f"User={BUILD_USER}",
            f"Group={BUILD_USER}",
            "UMask=0022",
            f"WorkingDirectory={folder}",
            f"EnvironmentFile={environment}",
            *(f"ReadWritePaths={path}" for path in writable),
            # Ends what the command leaves behind.
            "KillSignal=SIGKILL",
        ]
        words = ["systemd-run", "--quiet", "--pipe", "--wait", "--collect", f"--unit={name}"]
        words += [f"--property={text}" for text in properties]
        try:
            return subprocess.run(
                # systemd replaces variables in the words of a command.
                [*words, "--", *(word.replace("$", "$$") for word in command)],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=seconds,
            )  # fmt: skip
        except BaseException:
            systemd.systemctl("stop", name)
            raise


def stop_all() -> None:
    """End the units that a killed run has left."""
    if units := systemd.running(UNIT.format("*")):
        systemd.systemctl("stop", *units)


def sandbox() -> list[str]:
    """The properties of a unit in the sandbox, one a line of the configuration's file."""
    lines = Paths().build_sandbox.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]
