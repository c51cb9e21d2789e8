"""A private Docker engine of an ordinary user, as Docker's own dockerd-rootless.sh starts it.

    with Rootless.start(directory) as engine:
        client = engine.client()
        subprocess.run(engine.as_user("docker", "--host", engine.host, "info"))

The user is made up: nobody on this machine has its numbers, which only files below the directory know. Those lie over
/etc in a mount namespace of the engine's own, where RootlessKit and newuidmap look. slirp4netns joins its network
to the engine's namespace, which leads nowhere. It has cgroups of its own only where systemd gives some to users.
"""

import json
import os
import shutil
import signal
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from random import randrange

from tests.harness import install
from tests.harness.engine import STOP_TIMEOUT, Engine
from tests.harness.install import UnavailableError
from tests.harness.process import of_users

# Each program that it is made with besides those of any engine, and the Debian package that has it.
PROGRAMS = {
    "rootlesskit": "rootlesskit",
    "newuidmap": "uidmap",
    "slirp4netns": "slirp4netns",
    "setpriv": "util-linux",
}

# Where Debian and Ubuntu have dockerd-rootless.sh.
CONTRIB = "/usr/share/docker.io/contrib"

NAME = "rootless"

# How many further users and groups it may be inside, from the one after its own on. No distribution gives out numbers
# from the first on: systemd keeps what is below, and above it they would be negative for some programs.
SUBORDINATE = 65536
_FIRST, _END = 0x7000_0000, 0x8000_0000

# As root, which the last command is no longer. An ordinary user may open /dev/net/tun on most machines, not on all.
_BECOME = """
mount -t overlay -o "lowerdir=$1:/etc" overlay /etc
mount -t tmpfs tmpfs /dev/net
mknod -m 666 /dev/net/tun c 10 200
shift
exec "$@"
"""


def ensure() -> None:
    """Make sure that this machine has what it takes. Raise UnavailableError where it has not."""
    install.ensure_engine()
    if missing := sorted({name for program, name in PROGRAMS.items() if _which(program) is None}):
        install.apt_install(missing)
    if _which("dockerd-rootless.sh") is None:
        raise UnavailableError(f"dockerd-rootless.sh is not to be found, neither on the path nor in {CONTRIB}")


@dataclass(kw_only=True)
class Rootless(Engine):
    """One such engine. `dockerd` is RootlessKit's process, which has all others below it but the containers'."""

    uid: int = field(default_factory=lambda: randrange(_FIRST, _END - SUBORDINATE, 1 + SUBORDINATE))

    @property
    def home(self) -> Path:
        """The user's home directory."""
        return self.directory / "home"

    @property
    def runtime(self) -> Path:
        """The user's XDG_RUNTIME_DIR."""
        return self.directory / "run"

    @property
    def socket(self) -> Path:
        """The UNIX socket of its API."""
        return self.runtime / "docker.sock"

    @property
    def data_root(self) -> Path:
        """Its DockerRootDir."""
        return self.home / ".local/share/docker"

    def as_user(self, *command: str) -> list[str]:
        """Return `command` as the user runs it, with no right of root's."""
        user = (f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups", "--inh-caps=-all")
        return ["setpriv", *user, "env", *(f"{name}={value}" for name, value in self._session.items()), *command]

    def new_directory(self) -> Path:
        """Make a directory of the user's, that goes with the engine."""
        directory = Path(tempfile.mkdtemp(dir=self.home))
        os.chown(directory, self.uid, self.uid)
        return directory

    def _prepare(self) -> None:
        """Make what stays while dockerd is down: the user, too."""
        super()._prepare()
        self.directory.chmod(0o711)  # for the user to pass through
        for directory in (self.home, self.runtime):
            directory.mkdir(mode=0o700)
            os.chown(directory, self.uid, self.uid)
        settings = {
            "passwd": f"root:x:0:0:root:/root:/bin/sh\n{NAME}:x:{self.uid}:{self.uid}::{self.home}:/bin/sh\n",
            "group": f"root:x:0:\n{NAME}:x:{self.uid}:\n",
            "subuid": f"{NAME}:{self.uid + 1}:{SUBORDINATE}\n",
            "subgid": f"{NAME}:{self.uid + 1}:{SUBORDINATE}\n",
        }
        (self.directory / "etc").mkdir()
        for name, content in settings.items():
            (self.directory / "etc" / name).write_text(content)

    @property
    def _session(self) -> dict[str, str]:
        """What a login would have set."""
        return {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.runtime)}

    def _spawn_daemons(self) -> None:
        daemon_json = self.directory / "daemon.json"
        daemon_json.write_text(json.dumps(self.config, indent=2))
        daemon = (f"{_which('dockerd-rootless.sh')}", f"--config-file={daemon_json}", "--shutdown-timeout=1")
        become = ("unshare", "--mount", "sh", "-euc", _BECOME, "sh", str(self.directory / "etc"))
        self.dockerd = self._spawn("dockerd", *become, *self.as_user(*daemon, *self.dockerd_args))

    def _kill_what_is_left(self) -> None:
        """End the shims and containers that RootlessKit left, if it was killed, and whatever else the user runs."""
        while processes := of_users(range(self.uid, self.uid + 1 + SUBORDINATE)):
            for process in processes:
                process.send(signal.SIGKILL)
            for process in processes:
                process.wait(STOP_TIMEOUT)


def _which(program: str) -> str | None:
    return shutil.which(program, path=f"{install.PATH}:{CONTRIB}")
