"""The base image of local machines: Debian as a cloud would give it, built once and cached."""

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

from components.local import apt, host, store
from components.local.host import LocalError

Progress = Callable[[str], None]

_BOOTSTRAPPED = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "ca-certificates",
    "netbase",
    "iproute2",
    "python3",
    "sudo",
)
# What cloud images have besides; by apt, since debootstrap doesn't resolve all dependencies.
_INSTALLED = ("cloud-init", "openssh-server", "procps", "less")
_NEEDED_MEBIBYTES = 1500
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_HOST_CERTIFICATES = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)
_BUILDING = ".building-"
_ENTER = """\
root=$1; shift
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sys "$root/sys"
exec chroot "$root" "$@"
"""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that a base image is made of; its digest is the image's name."""

    mirror: apt.Mirror
    apt_options: str
    certificates: str
    script: str
    suite: str = apt.SUITE
    bootstrapped: tuple[str, ...] = _BOOTSTRAPPED
    installed: tuple[str, ...] = _INSTALLED

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


def host_recipe() -> Recipe:
    """The recipe for this computer: its mirror, its proxy, and the certificates that it trusts."""
    certificates = _HOST_CERTIFICATES.read_text() if _HOST_CERTIFICATES.is_file() else ""
    return Recipe(
        mirror=apt.host_mirror(),
        apt_options=apt.host_options(),
        certificates=certificates,
        script=Path(__file__).with_name("image.sh").read_text(),
    )


def root_of(digest: str) -> Path:
    return store.IMAGES / digest / "root"


def exists(digest: str) -> bool:
    return root_of(digest).is_dir()


def ensure(progress: Progress = print, recipe: Recipe | None = None) -> str:
    """Builds the base image unless it is there, and tells its digest; who wants it meanwhile waits."""
    recipe = recipe or host_recipe()
    if exists(recipe.digest):
        return recipe.digest
    host.require_root_and_tools()
    _require_keyring()
    with store.lock(store.IMAGES):
        if not exists(recipe.digest):
            _sweep()
            host.require_room(store.IMAGES, _NEEDED_MEBIBYTES, "Building a base image")
            _build(recipe, progress)
    return recipe.digest


def _build(recipe: Recipe, progress: Progress) -> None:
    started = time.monotonic()
    progress(f"base image {recipe.digest}: building Debian {recipe.suite}, once; this takes about a minute")
    building = store.IMAGES / f"{_BUILDING}{recipe.digest}"
    root = building / "root"
    root.mkdir(parents=True)
    # A machine's / is this folder, whatever the umask here.
    root.chmod(0o755)
    try:
        _bootstrap(recipe, root, progress)
        _configure(recipe, root, progress)
        store.write_json(building / "recipe.json", {**asdict(recipe), "certificates": "", "script": ""})
        building.rename(store.IMAGES / recipe.digest)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    progress(f"base image {recipe.digest}: ready after {time.monotonic() - started:.0f} s")


def bootstrap_command(recipe: Recipe, root: Path) -> list[str]:
    return [
        *contained(),
        *(
            "debootstrap",
            "--variant=minbase",
            f"--include={','.join(recipe.bootstrapped)}",
            f"--keyring={_KEYRING}",
        ),
        *(recipe.suite, str(root), recipe.mirror.archive),
    ]


def contained() -> list[str]:
    """Namespaces for a build, so that whatever it mounts and starts ends with it, however it ends."""
    # The first ends the second when this process is killed, and the second ends all that is inside.
    dies_with_parent = ["setpriv", "--pdeathsig", "KILL"]
    namespaces = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return [*dies_with_parent, "unshare", *namespaces]


def _bootstrap(recipe: Recipe, root: Path, progress: Progress) -> None:
    progress("base image: 1/3 downloading and unpacking the base system (debootstrap)")
    _follow(bootstrap_command(recipe, root), progress, _proxy_environment(recipe.apt_options))


def _configure(recipe: Recipe, root: Path, progress: Progress) -> None:
    """Puts the host's settings into the new root, then runs image.sh in it."""
    progress(f"base image: 2/3 installing {', '.join(recipe.installed)} (apt)")
    write = {
        "etc/apt/sources.list.d/debian.sources": recipe.mirror.sources(recipe.suite),
        "etc/apt/apt.conf.d/90host": recipe.apt_options,
        "etc/resolv.conf": Path("/etc/resolv.conf").read_text(),
    }
    (root / "etc/apt/sources.list").unlink(missing_ok=True)
    for name, text in write.items():
        (root / name).unlink(missing_ok=True)
        (root / name).write_text(text)
        (root / name).chmod(0o644)
    known = set(_CERTIFICATE.findall((root / "etc/ssl/certs/ca-certificates.crt").read_text()))
    for number, certificate in enumerate(extra_certificates(recipe.certificates, known)):
        (root / f"usr/local/share/ca-certificates/host-{number}.crt").write_text(certificate)
    inside = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"]
    with tempfile.NamedTemporaryFile("w", dir=root, prefix="build-", suffix=".sh") as script:
        script.write(recipe.script)
        script.flush()
        run_script = [*inside, "sh", f"/{Path(script.name).name}", *recipe.installed]
        _follow([*contained(), "sh", "-euc", _ENTER, "enter", str(root), *run_script], progress, {})
    progress("base image: 3/3 configured")


def extra_certificates(bundle: str, known: set[str]) -> list[str]:
    """The certificates that the host trusts and Debian doesn't: a company's proxy, say."""
    plain = {"".join(certificate.split()) for certificate in known}
    return [found for found in _CERTIFICATE.findall(bundle) if "".join(found.split()) not in plain]


def _proxy_environment(options: str) -> dict[str, str]:
    """debootstrap downloads with wget, which reads the environment and not apt's settings."""
    found = re.findall(r'^Acquire::(https?)::Proxy "(.+)";$', options, re.MULTILINE)
    return {f"{scheme}_proxy": address for scheme, address in found}


def _follow(command: list[str], progress: Progress, env: dict[str, str]) -> None:
    """Runs a long command with a sign of life every few seconds; a failure shows the end of its output."""
    lines: list[str] = []
    shown = time.monotonic()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=host.environment(env),
    )
    with process:
        try:
            assert process.stdout
            for line in process.stdout:
                lines.append(line.rstrip())
                if time.monotonic() - shown > 5:
                    shown = time.monotonic()
                    progress(f"base image: {lines[-1][:100]}")
            failed = process.wait() != 0
        finally:
            process.kill()
    if failed:
        tail = "\n".join(lines[-15:])
        raise LocalError(
            f"The base image could not be built: {' '.join(command[:12])} ... ended with\n{tail}\n",
            "It needs a Debian mirror that has " + apt.SUITE + ", as configured in /etc/apt of this computer",
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
    """Removes what interrupted builds left; the caller holds the lock, so no build is going on."""
    store.sweep(store.IMAGES)
    for building in store.IMAGES.glob(f"{_BUILDING}*"):
        shutil.rmtree(building)


def listed() -> list[str]:
    return sorted(path.name for path in store.IMAGES.glob("*") if not path.name.startswith("."))


def prune(used: set[str]) -> list[str]:
    """Removes the images that no machine uses, and half-built ones."""
    if not store.IMAGES.is_dir():
        return []
    with store.lock(store.IMAGES):
        _sweep()
        unused = [digest for digest in listed() if digest not in used]
        for digest in unused:
            store.remove_tree(store.IMAGES / digest)
    return unused
