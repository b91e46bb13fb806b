"""The logins of a server: `deploy` for releases, with few commands as root, and `admin` for people. Pure functions."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from components.server.templates import render
from components.ssh import ADMIN, DEPLOY
from host.paths import Paths

PATHS = Paths()
# Its standard input is the script.
CREATE = "sh # creates the login admin"
# The first command of a bootstrap. Another bootstrap of the same server runs it again.
READY = f'{PATHS.scripts}/ready ""'
# The commands of rollouts, of draining.py and of unmounting.py, as sudo's rules write them. `""` means no arguments.
# `configure` and `mount-volume` aren't among them: one writes any file, the other mounts any path. `admin` runs both.
ROLLOUT = (
    READY,
    f"{PATHS.gantry_command} prepare *",
    f"{PATHS.gantry_command} release *",
    f"{PATHS.gantry_command} rollback --wait *",
    f"{PATHS.gantry_command} unmount-volume --stop *",
    f"{PATHS.gantry_command} wait-for-balancer *",
    f"{PATHS.gantry_command} close",
    f"{PATHS.gantry_command} close --patience *",
    f"/usr/bin/touch {PATHS.draining}",
    f"/usr/bin/rm -f {PATHS.draining}",
)


def creation(admin_key: str, deploy_key: str) -> str:
    """The script that creates the login `admin`; both are public keys in OpenSSH's format."""
    return render(
        "logins/create.sh.j2",
        paths=PATHS,
        admin=ADMIN,
        quoted_admin_key=shlex.quote(admin_key),
        quoted_deploy_key=shlex.quote(deploy_key),
        quoted_keys=shlex.quote(f"{admin_key}\n{deploy_key}"),
    )


def files(commands: Sequence[str] = ROLLOUT) -> dict[str, str]:
    """The files, by path, that let the login `deploy` run only ``commands`` as root. Both logins must exist already."""
    return {
        str(PATHS.deploy_rules): render("logins/sudoers.j2", user=DEPLOY, commands=commands),
        str(PATHS.ssh_settings): render("logins/sshd.conf.j2", user=DEPLOY, key_file=PATHS.deploy_key),
    }
