"""The base image of local machines: a Debian like a cloud's, built once and cached."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from components.local import apt, computer, store
from components.local.computer import LocalError

Progress = Callable[[str], None]

_DEBOOTSTRAP_PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "ca-certificates",
    "netbase",
    "iproute2",
    "python3",
    "sudo",
)
# Cloud images have these, too. apt installs them, because debootstrap doesn't resolve all dependencies.
_APT_PACKAGES = ("cloud-init", "openssh-server", "procps", "less")
_NEEDED_MEBIBYTES = 1500
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_CERTIFICATES_OF_COMPUTER = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)
# A folder with this prefix is an incomplete image.
_BUILDING = ".building-"
_RUN_IN_ROOT = """\
root=$1; shift
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sys "$root/sys"
exec chroot "$root" "$@"
"""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what a base image contains.

    The names and values of the fields are part of the digest, so a change of them builds a new image everywhere.
    """

    mirror: apt.Mirror
    apt_options: str
    certificates: str
    script: str
    suite: str = apt.SUITE
    bootstrapped: tuple[str, ...] = _DEBOOTSTRAP_PACKAGES
    installed: tuple[str, ...] = _APT_PACKAGES

    @property
    def digest(self) -> str:
        """The name of the image: 12 hexadecimal digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


def computer_recipe() -> Recipe:
    """The recipe for this computer, with its mirror, its proxy and the certificates that it trusts."""
    certificates = _CERTIFICATES_OF_COMPUTER.read_text() if _CERTIFICATES_OF_COMPUTER.is_file() else ""
    return Recipe(
        mirror=apt.computer_mirror(),
        apt_options=apt.computer_options(),
        certificates=certificates,
        script=Path(__file__).with_name("image.sh").read_text(),
    )


def root_of(digest: str) -> Path:
    """The root folder of the image."""
    return store.IMAGES / digest / "root"


def exists(digest: str) -> bool:
    return root_of(digest).is_dir()


def ensure(progress: Progress = print, recipe: Recipe | None = None) -> str:
    """The digest of the base image, which is built if it doesn't exist. Only one process builds; others wait for it."""
    recipe = recipe or computer_recipe()
    if exists(recipe.digest):
        return recipe.digest
    computer.require_root_and_tools()
    _require_keyring()
    with store.lock(store.IMAGES):
        if not exists(recipe.digest):
            _sweep()
            computer.require_disk_space(store.IMAGES, _NEEDED_MEBIBYTES, "Building a base image")
            _build(recipe, progress)
    return recipe.digest


def _build(recipe: Recipe, progress: Progress) -> None:
    start = time.monotonic()
    progress(f"base image {recipe.digest}: building Debian {recipe.suite}, once; this takes about a minute")
    folder = store.IMAGES / f"{_BUILDING}{recipe.digest}"
    root = folder / "root"
    root.mkdir(parents=True)
    # A machine's / has the mode of this folder, which must not depend on the umask.
    root.chmod(0o755)
    try:
        _bootstrap(recipe, root, progress)
        _configure(recipe, root, progress)
        store.write_json(folder / "recipe.json", {**asdict(recipe), "certificates": "", "script": ""})
        folder.rename(store.IMAGES / recipe.digest)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    progress(f"base image {recipe.digest}: ready after {time.monotonic() - start:.0f} s")


def bootstrap_command(recipe: Recipe, root: Path) -> list[str]:
    """The command that installs the base system into ``root``."""
    return [
        *isolation_command(),
        *(
            "debootstrap",
            "--variant=minbase",
            f"--include={','.join(recipe.bootstrapped)}",
            f"--keyring={_KEYRING}",
        ),
        *(recipe.suite, str(root), recipe.mirror.archive),
    ]


def isolation_command() -> list[str]:
    """The start of a build's commands: its mounts and processes end with it, even when it is killed."""
    # setpriv kills unshare when this process ends, and unshare kills the processes of its namespaces.
    die_with_parent = ["setpriv", "--pdeathsig", "KILL"]
    namespaces = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return [*die_with_parent, "unshare", *namespaces]


def _bootstrap(recipe: Recipe, root: Path, progress: Progress) -> None:
    progress("base image: 1/3 downloading and unpacking the base system (debootstrap)")
    _run_with_progress(bootstrap_command(recipe, root), progress, _proxy_variables(recipe.apt_options))


def _configure(recipe: Recipe, root: Path, progress: Progress) -> None:
    """Writes this computer's settings into the new root, then runs image.sh there."""
    progress(f"base image: 2/3 installing {', '.join(recipe.installed)} (apt)")
    texts = {
        "etc/apt/sources.list.d/debian.sources": recipe.mirror.sources(recipe.suite),
        "etc/apt/apt.conf.d/90host": recipe.apt_options,
        "etc/resolv.conf": Path("/etc/resolv.conf").read_text(),
    }
    (root / "etc/apt/sources.list").unlink(missing_ok=True)
    for name, text in texts.items():
        (root / name).unlink(missing_ok=True)
        (root / name).write_text(text)
        (root / name).chmod(0o644)
    debian_certificates = set(_CERTIFICATE.findall((root / "etc/ssl/certs/ca-certificates.crt").read_text()))
    for number, certificate in enumerate(extra_certificates(recipe.certificates, debian_certificates)):
        (root / f"usr/local/share/ca-certificates/host-{number}.crt").write_text(certificate)
    env = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"]
    with tempfile.NamedTemporaryFile("w", dir=root, prefix="build-", suffix=".sh") as script:
        script.write(recipe.script)
        script.flush()
        run_script = [*env, "sh", f"/{Path(script.name).name}", *recipe.installed]
        command = [*isolation_command(), "sh", "-euc", _RUN_IN_ROOT, "enter", str(root), *run_script]
        _run_with_progress(command, progress, {})
    progress("base image: 3/3 configured")


def extra_certificates(bundle: str, debian_certificates: set[str]) -> list[str]:
    """The certificates that this computer trusts and Debian doesn't, such as that of a company's proxy."""

    def without_spaces(certificate: str) -> str:
        return "".join(certificate.split())

    debian = set(map(without_spaces, debian_certificates))
    return [certificate for certificate in _CERTIFICATE.findall(bundle) if without_spaces(certificate) not in debian]


def _proxy_variables(options: str) -> dict[str, str]:
    """The variables for wget, with which debootstrap downloads: it doesn't read apt's options."""
    proxies = re.findall(r'^Acquire::(https?)::Proxy "(.+)";$', options, re.MULTILINE)
    return {f"{scheme}_proxy": address for scheme, address in proxies}


def _run_with_progress(command: list[str], progress: Progress, env: dict[str, str]) -> None:
    """Runs a long command and reports a line of its output every few seconds. An error has the end of the output."""
    lines: list[str] = []
    last_report = time.monotonic()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=computer.command_env(env),
    )
    with process:
        try:
            assert process.stdout
            for line in process.stdout:
                lines.append(line.rstrip())
                if time.monotonic() - last_report > 5:
                    last_report = time.monotonic()
                    progress(f"base image: {lines[-1][:100]}")
            failed = process.wait() != 0
        finally:
            process.kill()
    if failed:
        tail = "\n".join(lines[-15:])
        raise LocalError(
            f"The base image could not be built. The output of {' '.join(command[:12])} ... ends with\n{tail}\n",
            f"The build needs a Debian mirror that has {apt.SUITE}, from /etc/apt of this computer",
            "Try `sudo apt-get update` to see whether the mirror answers",
        )


def _require_keyring() -> None:
    if not _KEYRING.is_file():
        raise LocalError(
            f"{_KEYRING} is missing",
            "The packages of a base image are verified with Debian's keys",
            "Install them: sudo apt-get install debian-archive-keyring",
        )


def _sweep() -> None:
    """Removes the leftovers of killed builds. The caller holds the lock, so no build is in progress."""
    store.sweep(store.IMAGES)
    for folder in store.IMAGES.glob(f"{_BUILDING}*"):
        shutil.rmtree(folder)


def digests() -> list[str]:
    """The images on this computer, sorted."""
    return sorted(path.name for path in store.IMAGES.glob("*") if not path.name.startswith("."))


def prune(used: set[str]) -> list[str]:
    """Removes incomplete images and all images whose digests aren't in ``used``. Returns the removed digests."""
    if not store.IMAGES.is_dir():
        return []
    with store.lock(store.IMAGES):
        _sweep()
        unused = [digest for digest in digests() if digest not in used]
        for digest in unused:
            store.remove_tree(store.IMAGES / digest)
    return unused
