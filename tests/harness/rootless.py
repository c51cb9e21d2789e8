"""A private Docker engine of an ordinary user, as Docker's own dockerd-rootless.sh starts it.

    with Rootless.start(directory) as engine:
        client = engine.client()
        subprocess.run(engine.user.command("docker", "--host", engine.host, "info"))

slirp4netns joins its network to the engine's namespace, which leads nowhere. Its containers have cgroups only where
systemd gives some to users, which takes cgroup v2.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.harness import install, user
from tests.harness.engine import Engine
from tests.harness.install import UnavailableError
from tests.harness.user import Owned

# Where Debian and Ubuntu have dockerd-rootless.sh.
CONTRIB = "/usr/share/docker.io/contrib"


def ensure() -> None:
    """Install the programs that it needs. Raise UnavailableError where that fails."""
    user.ensure()
    if _which("rootlesskit") is None:
        install.apt_install(["rootlesskit"])
    if _which("dockerd-rootless.sh") is None:
        raise UnavailableError(f"dockerd-rootless.sh is not to be found, neither on the path nor in {CONTRIB}")


@dataclass(kw_only=True)
class Rootless(Owned, Engine):
    """One such engine. `dockerd` is RootlessKit's process, the parent of all but the containers'."""

    @property
    def socket(self) -> Path:
        """The UNIX socket of its API."""
        return self.user.runtime / "docker.sock"

    @property
    def data_root(self) -> Path:
        """Its DockerRootDir."""
        return self.user.home / ".local/share/docker"

    def _prepare(self) -> None:
        """Make what stays while dockerd is down: network namespace and user."""
        super()._prepare()
        self.user.make()

    def _spawn_daemons(self) -> None:
        daemon_json = self.directory / "daemon.json"
        daemon_json.write_text(json.dumps(self.config, indent=2))
        daemon = (f"{_which('dockerd-rootless.sh')}", f"--config-file={daemon_json}", "--shutdown-timeout=1")
        mounted = ("unshare", "--mount", "sh", "-c", f'{self.user.mounts} && exec "$@"', "sh")
        self.dockerd = self._spawn("dockerd", *mounted, *self.user.command(*daemon, *self.dockerd_args))

    def _kill_what_is_left(self) -> None:
        """End the shims and containers that RootlessKit left, if it was killed, and whatever else the user runs."""
        self.user.kill_all()


def _which(program: str) -> str | None:
    return shutil.which(program, path=f"{install.PATH}:{CONTRIB}")
