"""A Debian with systemd as its first process, in a container: where units are tried.

It is Debian's trixie, whose systemd knows both `Type=notify` with ExecReload and `Type=notify-reload`. Such a container
is privileged, for which the engine of this machine's distribution may be too old: see newer.py.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import ImageNotFound
from docker.models.containers import Container

from tests.harness import debian, install
from tests.harness.waiting import wait_until

SUITE = "trixie"
PYTHON_VERSION = "3.13"
PACKAGES = ("systemd", "systemd-sysv", "dbus", "python3-venv", "curl")
TAG = f"systemd:{SUITE}"

# What it says once it has started all that it starts. Some of that finds no hardware in a container.
BOOTED = ("running", "degraded")

# What is kept of it, as a tarball.
ROOT = debian.CACHE / f"systemd-{SUITE}.tar"

# What no test looks at: two fifths of it.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*", "/usr/share/info/*", "/var/cache/apt/*")


def load(client: docker.DockerClient) -> None:
    """Make sure that an engine has the image `TAG`, downloading what it is made of once.

    Raise UnavailableError where it cannot be had.
    """
    try:
        client.images.get(TAG)
    except ImageNotFound:
        repository, _, tag = TAG.partition(":")
        changes = ['CMD ["/sbin/init"]', "STOPSIGNAL SIGRTMIN+3"]
        client.api.import_image_from_file(str(_root()), repository=repository, tag=tag, changes=changes)


@contextmanager
def booted(client: docker.DockerClient, volumes: Mapping[str, Mapping[str, str]]) -> Iterator["Host"]:
    """Boot one, with further mounts as docker-py has them, and remove it in the end."""
    container = client.containers.run(
        TAG,
        detach=True,
        privileged=True,
        cgroupns="private",
        tmpfs={"/run": "", "/run/lock": "", "/tmp": ""},
        volumes={source: dict(mount) for source, mount in volumes.items()},
    )
    try:
        host = Host(container)
        wait_until(lambda: host.run("systemctl", "is-system-running").output in BOOTED, seconds=60, what="systemd")
        yield host
    finally:
        container.remove(force=True, v=True)


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a command. `output` is all that it printed, without the last end of line."""

    exit_code: int
    output: str


@dataclass(frozen=True, slots=True)
class Host:
    """A container whose first process is systemd."""

    container: Container

    def run(self, *command: str, directory: str = "/", **environment: str) -> Finished:
        """Run a command in it, as root."""
        finished: Any = self.container.exec_run(list(command), workdir=directory, environment=environment)
        return Finished(finished.exit_code, finished.output.decode(errors="replace").removesuffix("\n"))

    def property(self, unit: str, name: str) -> str:
        """Return what systemd says of a unit, as `systemctl show` has it."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).output


def _root() -> Path:
    with debian.one_at_a_time(ROOT):
        if not ROOT.exists():
            _fetch()
    return ROOT


def _fetch() -> None:
    if shutil.which("mmdebstrap", path=install.PATH) is None:
        install.apt_install(["mmdebstrap"])
    with tempfile.TemporaryDirectory(prefix="systemd-", dir=ROOT.parent) as name:
        tarball = Path(name) / "root.tar"
        debian.run(
            "mmdebstrap",
            "--quiet",
            "--mode=root",
            "--variant=minbase",
            f"--include={','.join(PACKAGES)}",
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT),
            SUITE,
            tarball,
            debian.mirrors()[0],
        )
        tarball.rename(ROOT)  # in one step, so that what is there is whole
