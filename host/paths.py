"""Every path on a server, defined once: here, in ``host.configuration_paths`` and in ``host.certificate_paths``.

The host program, `components/` and the templates take their paths from ``Paths``. A test moves the whole tree with
``root``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from host.certificate_paths import CertificatePaths
from host.configuration_paths import Below


@dataclass(frozen=True)
class Paths(CertificatePaths):
    """The files and folders of a server below ``root``, which is ``/`` on a real server."""

    # Programs and their requirements.

    incoming = Below("opt/gantry/incoming")
    """Uploads of the deploy user: tarballs of releases. Earlier versions also had host programs there."""

    program_uploads = Below("opt/gantry/program-uploads")
    """Uploads of the admin user: host programs."""

    programs = Below("opt/gantry/programs")
    """Copies of the uploaded host programs. Only root can write to them."""

    host_program = Below("opt/gantry/host.pyz")
    """This program: a symbolic link to the copy that was configured last."""

    gantry_command = Below("usr/local/bin/gantry")
    """The command that starts ``host_program``."""

    host_keys = Below("etc/gantry/host-keys")
    """The first SSH host key, from the user-data, and the server's own."""

    logins = Below("etc/gantry/logins")
    """The public keys of the users deploy and admin. Only root can write to them."""

    deploy_key = Below("etc/gantry/logins/deploy")
    """The key that the deploy user logs in with, in the format of authorized_keys."""

    login_keys = Below("etc/gantry/logins/keys")
    """The keys of both users, one a line: it exists when both logins are complete."""

    deploy_rules = Below("etc/sudoers.d/zz-gantry-deploy")
    """What the deploy user may run as root. Sudo reads it after the rule of the first boot, and the last one counts."""

    admin_rules = Below("etc/sudoers.d/90-gantry-admin")
    """Lets the admin user become root."""

    ssh_settings = Below("etc/ssh/sshd_config.d/gantry-logins.conf")
    """The algorithms of SSH, and what the deploy user may do over it."""

    scripts = Below("usr/local/lib/gantry")
    """The scripts of the first boot: install, ready and host-key."""

    firewall_keeper = Below("usr/local/lib/gantry/firewall")
    """Compares the firewall's rules with ``firewall``, and restores them."""

    prefixes = Below("usr/local/lib/gantry/prefixes")
    """The programs poetry, pipenv and uv of the app's processes: their `run` uses the release's packages."""

    stop_script = Below("usr/local/lib/gantry/stop")
    """Prepares the stop of a unit whose main process is a shell."""

    steady_script = Below("usr/local/lib/gantry/steady")
    """Lets the pauses before restarts of a unit begin again after it has run for a while."""

    gunicorn_requirements = Below("opt/gantry/gunicorn.txt")
    """The locked requirements of Gunicorn. The first boot put its wheels into uv's cache."""

    older_gunicorn_requirements = Below("opt/gantry/gunicorn-older.txt")
    """The locked requirements of the Gunicorn for versions of Python that the newest one doesn't support."""

    gevent_requirements = Below("opt/gantry/gunicorn-gevent.txt")
    """The locked packages that Gunicorn's gevent worker needs besides gevent."""

    uv_requirements = Below("opt/gantry/uv.txt")
    """The locked requirements of uv."""

    uv = Below("opt/gantry/venv/bin/uv")
    """The program that installs an app's packages."""

    build_home = Below("var/cache/gantry")
    """Home of the user that installs packages."""

    uv_cache = Below("var/cache/gantry/uv")
    """uv's cache. Only uv writes to it, while no code of packages runs."""

    build_sandbox = Below("etc/gantry/build-sandbox")
    """The sandbox in which packages are installed and built: properties of a unit, one a line."""

    # Releases and what runs them.

    releases = Below("opt/gantry/releases")
    """Unpacked apps, one folder for each release. A release never changes after it was unpacked."""

    pythons = Below("opt/gantry/pythons")
    """Versions of Python that apps ask for, besides the server's own."""

    venvs = Below("opt/gantry/venvs")
    """Virtual environments, one folder for each set of requirements."""

    venv_marks = Below("opt/gantry/venvs-complete")
    """Empty files, named by the complete virtual environments. The code of packages can't write here."""

    venv_links = Below("opt/gantry/venv-of")
    """The virtual environment of each release: symbolic links, named by the release."""

    deployments = Below("opt/gantry/instances")
    """The folders in which web processes and release phases run, one for each deployment."""

    builds = Below("opt/gantry/builds")
    """Copies of releases with the files that their builds made, and with linked paths. Only root can write to them."""

    assets = Below("opt/gantry/assets")
    """Static files of all kept builds whose names have a digest of their content."""

    phase_copies = Below("opt/gantry/release-phases")
    """Copies of apps that release phases run in and may write to. Each is removed when its release phase has ended."""

    processes = Below("opt/gantry/processes")
    """The folders in which workers and cron jobs run, one for each process."""

    singleton_locks = Below("opt/gantry/singletons")
    """Files that singletons lock, one for each process type. The app can't write to the folder."""

    env_files = Below("etc/gantry/environment")
    """The variables of each deployment, in systemd's EnvironmentFile format. Only root can read them."""

    app_home = Below("var/lib/app")
    """Home of the user that runs the app."""

    app_home_before_volume = Below("var/lib/app.before-volume")
    """What was in ``app_home`` before a volume was mounted there. It stays until somebody deletes it."""

    disk_reserve = Below("opt/gantry/reserve")
    """Disk space for a rollback when the disk is full."""

    # State of the server.

    state = Below("var/lib/gantry")
    """Everything that this program remembers."""

    socket = Below("var/lib/gantry/web.sock")
    """The fixed path that Nginx connects to: a symbolic link to the socket of the current deployment."""

    candidate_socket = Below("var/lib/gantry/candidate.sock")
    """A symbolic link to the socket of a deployment that isn't switched to, while Nginx serves it for its check."""

    current = Below("var/lib/gantry/current")
    """The deployment that serves: a symbolic link to its folder."""

    proven = Below("var/lib/gantry/proven")
    """The deployment that a rollback returns to: a symbolic link to its folder."""

    probation = Below("var/lib/gantry/probation")
    """Exists while a timer may roll back. It holds the name of the deployment that has passed its watch."""

    history = Below("var/lib/gantry/history.jsonl")
    """The releases of this server, one JSON document per line."""

    unfinished_entry = Below("var/lib/gantry/releasing.json")
    """The history entry of the release in progress. A run that is killed leaves it behind."""

    processes_record = Below("var/lib/gantry/processes.json")
    """The units of workers and timers that should run: a list in JSON."""

    processes_before = Below("var/lib/gantry/processes-before.json")
    """The same list for the proven deployment, with its name, while a newer deployment may still roll back."""

    apt_record = Below("var/lib/gantry/apt.json")
    """The Debian packages that were installed for apps, and those of the last list: two lists in JSON."""

    configuration_pending = Below("var/lib/gantry/configuring")
    """Exists until the services have read the configuration that was written last."""

    update_record = Below("var/lib/gantry/updates.json")
    """The result of the last security updates, in JSON."""

    drain_rule = Below("var/lib/gantry/draining.nft")
    """The rule that rejects a balancer's new connections, from before a reboot until the app serves again."""

    swap = Below("var/lib/gantry/swap")
    """The swap file of a server with little memory."""

    configuration_record = Below("var/lib/gantry/configuration.json")
    """The files and links that were configured last, in JSON. `gantry check --repair` restores them."""

    volume = Below("var/lib/gantry/volume")
    """Where the volume of the setting storage is mounted."""

    volume_app_home = Below("var/lib/gantry/volume/app")
    """The folder of the volume that is mounted at ``app_home``."""

    volume_record = Below("var/lib/gantry/volume.json")
    """The unfinished work on the volume, in JSON: the file system that is being made, or a move of data."""

    lock = Below("var/lib/gantry/lock")
    """Held by the one run that may change the server."""

    draining = Below("run/gantry-leaving")
    """While this file exists, health checks of a balancer get 503 and visitors are served as before."""

    reboot_required = Below("run/reboot-required")
    """Debian's sign that only a reboot finishes an update."""

    reboot_packages = Below("run/reboot-required.pkgs")
    """The packages that need the reboot, one a line."""

    last_responses = Below("run/gantry-last-responses")
    """While this file exists, Nginx closes each connection after a response, which says so."""

    # Processes, sockets, locks and logs.

    processes_now = Below("proc")
    """The kernel's folder for each process that runs."""

    runtime = Below("run")
    """Files that don't outlive a boot."""

    sockets = Below("run/gantry")
    """The folder of the web processes' sockets."""

    logs = Below("var/log")
    """The logs of all programs."""

    nginx_logs = Below("var/log/nginx")
    """Nginx's logs and their copies."""

    log_day = Below("var/lib/gantry/log-day")
    """The day (UTC) of the last daily rotation of the logs."""

    access_log = Below("var/log/nginx/gantry.log")
    """Nginx's access log in the format that ``host.access_log`` reads."""

    candidate_errors = Below("var/log/nginx/gantry-candidate.log")
    """Nginx's errors with a deployment that isn't switched to."""

    combined_log = Below("var/log/nginx/access.log")
    """Nginx's access log in its usual combined format, for people and log tools."""

    # Paths that depend on a name.

    def tarball(self, release: str) -> Path:
        """The upload of a release."""
        return self.incoming / f"{release}.tar"

    def host_program_upload(self, digest: str) -> Path:
        """The upload of a host program, which configures the server with it."""
        return self.program_uploads / f"host-{digest}.pyz"

    def host_program_copy(self, digest: str) -> Path:
        """The copy of that upload; ``host_program`` points to the one in use."""
        return self.programs / f"host-{digest}.pyz"

    def unit_drop_ins(self, unit: str) -> Path:
        """The folder of files that change one unit."""
        return self.units / f"{unit}.d"

    def restart_drop_in(self, unit: str) -> Path:
        """Lets systemd restart a daemon of the distribution without an end."""
        return self.unit_drop_ins(unit) / "gantry-restart.conf"

    @property
    def update_slot(self) -> Path:
        """The drop-in with the time at which the timer of the updates runs."""
        return self.unit_drop_ins("gantry-updates.timer") / "slot.conf"

    def deployment_socket(self, deployment: str) -> Path:
        """The socket that the web process of a deployment listens on; systemd's ``%i`` may stand for the name."""
        return self.sockets / f"{deployment}.sock"

    def crash_record(self, deployment: str) -> Path:
        """The crashed workers of a deployment's Gunicorn, which the app's user writes: ``host.crashes``."""
        return self.sockets / f"{deployment}.sock.crashes"

    def singleton_lock(self, process_type: str) -> Path:
        """Held while a process of the type runs, of which there is one."""
        return self.singleton_locks / process_type

    def port_socket(self, deployment: str) -> Path:
        """The socket of systemd-socket-proxyd, for a web process that listens on a port. ``deployment_socket`` is then
        a symbolic link to it.
        """
        return self.sockets / f"{deployment}.port"

    def cron_lock(self, digest: str) -> Path:
        """Held while a cron command runs; ``digest`` identifies the command."""
        return self.sockets / f"cron-{digest}.lock"
