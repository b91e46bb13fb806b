"""certbot, the client that asks an ACME authority for the certificate: its installation, and its runs.

It is locked by hash, and runs as a user of its own in the sandbox of the app's units.
"""

from __future__ import annotations

import hashlib
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from host import commands, files, systemd
from host.certificates import issued
from host.certificates.reachability import is_address, make_challenge_folder
from host.certificates.record import Request
from host.errors import ReleaseError
from host.packages import isolation, uv
from host.packages.isolation import BUILD_USER
from host.paths import Paths

USER = "gantry-acme"
REQUIREMENTS = "certbot.txt"
# The name of the certificate in certbot's folders.
NAME = "gantry"
UNIT = "gantry-certbot.service"
# Certificates for addresses are issued for some days only: https://letsencrypt.org/docs/profiles/
SHORT_PROFILE = "shortlived"
RUN_SECONDS = 300
# certbot prints the authority's sentence, without the type badNonce: "JWS has an invalid anti-replay nonce".
NONCE_REFUSED, NONCE_REPETITIONS = "anti-replay nonce", 2
TRUSTED = Path("/etc/ssl/certs/ca-certificates.crt")
# Debian's own Python. The versions that apps ask for may be deleted with them.
PYTHON = "/usr/bin/python3"
# Sentences of certbot that say nothing about the cause.
_NOISE = re.compile(
    r"^(Saving debug log|Ask for help|See the logfile|Some challenges have failed|Hint:|Requesting a certificate|"
    r"Account registered|An unexpected error occurred:|Certbot failed to authenticate|Renewing an existing)"
)
# `up` shows this text. The authority may give a reason for each of a hundred names.
_MAX_NAMES, _MAX_CHARACTERS = 5, 1000
_ISSUER = re.compile(r"^server = [\"']?([^\"'\n]+)", re.MULTILINE)
_DETAIL = re.compile(r"^\s*(?:Domain|Identifier):\s*(\S+)\s*\n\s*Type:\s*(\S+)\s*\n\s*Detail:\s*(.+)$", re.MULTILINE)


def ensure(paths: Paths) -> Path:
    """Install the locked certbot, unless it is there. Returns its program. Raises ReleaseError with uv's error."""
    requirements = pkgutil.get_data("host.certificates", REQUIREMENTS)
    assert requirements
    # An upgrade of Debian brings another Python, with which the old environment doesn't work.
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = paths.certbot_venvs / f"{hashlib.sha256(requirements).hexdigest()[:12]}-{version}"
    program = folder / "bin/certbot"
    mark = folder / ".complete"
    if mark.exists():
        return program
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.chown(folder, BUILD_USER, BUILD_USER)
    try:
        _install(paths, folder, requirements)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, ReleaseError):
            raise ReleaseError(f"certbot can't be installed: {error}") from None
        raise
    files.seal(folder)
    files.sync(folder)
    mark.touch()
    for old in paths.certbot_venvs.iterdir():
        if old != folder:
            shutil.rmtree(old)
    return program


def _install(paths: Paths, folder: Path, requirements: bytes) -> None:
    listed = folder / "requirements.txt"
    listed.write_bytes(requirements)
    uv.run(
        [str(paths.uv), "venv", "--quiet", "--allow-existing", "--python", PYTHON, str(folder)],
        folder,
        writable=folder,
    )
    # Only wheels, so that no code of packages runs.
    install = [str(paths.uv), "pip", "install", "--quiet", "--no-build", "--require-hashes"]
    install += ["--python", str(folder / "bin/python"), "--requirement", str(listed)]
    uv.run(install, folder, writable=folder)


def live(config: Path) -> Path:
    """The folder with the newest certificate, below certbot's configuration."""
    return config / "live" / NAME


def obtain(paths: Paths, request: Request, names: Sequence[str], *, subset: bool) -> None:
    """Ask the authority for a certificate for ``names``, unless the present one is its own, for them, and isn't due.

    With ``subset``, names that the authority refuses are left out, unless it refuses all. Raises ReleaseError with the
    authority's reason.
    """
    program = ensure(paths)
    _remove_incomplete(paths)
    prepare(paths)
    trusted = paths.acme / "authorities.pem"
    files.write(trusted, TRUSTED.read_bytes() + request.root.encode(), 0o644)
    anew = _issuer(paths) not in ("", request.directory)
    command = [str(program), *arguments(paths, request, names, subset=subset, anew=anew)]
    result = _run(paths, command, trusted)
    # An authority may refuse a request because of its nonce, and certbot repeats each request only once.
    for _ in range(NONCE_REPETITIONS):
        if result.returncode != 0 and NONCE_REFUSED in result.stdout + result.stderr:
            result = _run(paths, command, trusted)
    if result.returncode != 0:
        raise ReleaseError(problem(result.stdout + result.stderr))


def _issuer(paths: Paths) -> str:
    """The directory of the authority that issued the newest certificate; empty if there is none."""
    try:
        settings = _renewal(paths).read_text(errors="replace")
    except FileNotFoundError:
        return ""
    issuer = _ISSUER.search(settings)
    return issuer[1].strip() if issuer else ""


def _renewal(paths: Paths) -> Path:
    """certbot's settings for the certificate. It writes them last."""
    return paths.acme_config / "renewal" / f"{NAME}.conf"


def _remove_incomplete(paths: Paths) -> None:
    """Remove the rest of a certificate that a killed run or a full disk has left.

    Otherwise certbot keeps it, and stores new certificates under other names. Nginx has a copy of its certificate.
    """
    folder = live(paths.acme_config)
    if not _issuer(paths) or issued.read(folder) is None:
        for rest in (folder, paths.acme_config / "archive" / NAME, _renewal(paths)):
            files.discard(rest)


def arguments(paths: Paths, request: Request, names: Sequence[str], *, subset: bool, anew: bool) -> list[str]:
    """The arguments of certbot. ``anew``: ask also if the present certificate isn't due."""
    words = ["certonly", "--non-interactive", "--agree-tos", "--register-unsafely-without-email"]
    words += ["--server", request.directory, "--cert-name", NAME, "--renew-with-new-domains"]
    words += ["--force-renewal" if anew else "--keep-until-expiring"]
    words += ["--allow-subset-of-names"] if subset else []
    words += ["--webroot", "--webroot-path", str(paths.acme_challenges)]
    words += ["--config-dir", str(paths.acme_config)]
    words += ["--work-dir", str(paths.acme / "work"), "--logs-dir", str(paths.acme / "logs")]
    if any(map(is_address, names)):
        words += ["--preferred-profile", SHORT_PROFILE]
    for name in names:
        words += ["--ip-address" if is_address(name) else "--domain", name]
    return words


def problem(output: str) -> str:
    """The cause in certbot's output: the authority's reason for each name, or else the last three sentences."""
    if details := _DETAIL.findall(output):
        texts = [f"{name}: {detail.strip()[:_MAX_CHARACTERS]} ({kind})" for name, kind, detail in details[:_MAX_NAMES]]
        others = len(details) - _MAX_NAMES
        return "; ".join(texts) + (f"; and {others} more names" if others > 0 else "")
    lines = [line.strip() for line in output.splitlines()]
    kept = [line for line in lines if line and not _NOISE.match(line) and not set(line) <= {"-", " "}]
    return " ".join(kept[-3:])[:_MAX_CHARACTERS] or "certbot failed without a message"


def prepare(paths: Paths) -> None:
    """Make certbot's user and folders. Nginx's workers may read the challenges, and only certbot's user the rest."""
    commands.run(["systemd-sysusers", "--inline", f'u {USER} - "Asks for certificates" {paths.acme}'])
    make_challenge_folder(paths)
    files.make_folder(paths.acme_config, 0o700)
    files.give(paths.acme, USER)


def _run(paths: Paths, command: Sequence[str], trusted: Path) -> subprocess.CompletedProcess[str]:
    properties = [
        *isolation.sandbox(),
        f"User={USER}",
        f"Group={USER}",
        "UMask=0022",
        f"WorkingDirectory={paths.acme}",
        f"ReadWritePaths={paths.acme}",
        f"Environment=REQUESTS_CA_BUNDLE={trusted} PYTHONDONTWRITEBYTECODE=1",
        f"RuntimeMaxSec={RUN_SECONDS}",
    ]
    words = ["systemd-run", "--quiet", "--pipe", "--wait", "--collect", f"--unit={UNIT}"]
    words += [f"--property={text}" for text in properties]
    # A run of this program that was killed leaves the unit, and systemd has only one with this name.
    systemd.systemctl("stop", UNIT)
    try:
        return subprocess.run(
            # systemd replaces variables in the words of a command.
            [*words, "--", *(word.replace("$", "$$") for word in command)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            # The unit ends before that.
            timeout=RUN_SECONDS + 30,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        systemd.systemctl("stop", UNIT)
        raise ReleaseError(f"certbot took more than {RUN_SECONDS} s") from None
    except BaseException:
        systemd.systemctl("stop", UNIT)
        raise
