"""A Debian with systemd as its first process, in a container: where units are tried.

`SUITES` has the oldest that the unit is for, and one that knows `Type=notify-reload`, too. Such a container is
privileged, for which the engine of this machine's distribution may be too old: see newer.py.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import ImageNotFound
from docker.models.containers import Container

from tests.harness import debian, install
from tests.harness.inside import Finished, run_inside
from tests.harness.waiting import wait_until

PACKAGES = ("systemd", "systemd-sysv", "dbus", "python3-venv", "curl")

# Its states once everything is started. Some units find no hardware in a container.
BOOTED = ("running", "degraded")

# Not needed by any test: two fifths of it.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*", "/usr/share/info/*", "/var/cache/apt/*")


@dataclass(frozen=True, slots=True)
class Suite:
    """A Debian, and the versions of systemd and of Python that it has."""

    name: str
    version: int
    python_version: str

    def __str__(self) -> str:
        return f"systemd {self.version}"

    @property
    def image(self) -> str:
        """The name of the image of it."""
        return f"systemd:{self.name}"

    @property
    def root(self) -> Path:
        """Its cached tarball."""
        return debian.CACHE / f"systemd-{self.name}.tar"


SUITES = (Suite("bookworm", 252, "3.11"), Suite("trixie", 257, "3.13"))


def load(client: docker.DockerClient) -> None:
    """Make sure that an engine has an image of each suite, downloading what they are made of once, at the same time.

    Raise UnavailableError where it cannot be had.
    """
    with ThreadPoolExecutor() as pool:
        for suite, root in zip(SUITES, pool.map(_root, SUITES), strict=True):
            _load(client, suite, root)


@contextmanager
def booted(client: docker.DockerClient, suite: Suite, volumes: Mapping[str, Mapping[str, str]]) -> Iterator["Host"]:
    """Boot one whose image is loaded, with further mounts as docker-py has them, and remove it in the end."""
    container = client.containers.run(
        suite.image,
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
class Host:
    """A container whose first process is systemd."""

    container: Container

    def run(self, *command: str, directory: str = "/", **environment: str) -> Finished:
        """Run a command in it, as root."""
        return run_inside(self.container, command, directory=directory, environment=environment)

    def property(self, unit: str, name: str) -> str:
        """Return a property of a unit, from `systemctl show`."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).output


def _load(client: docker.DockerClient, suite: Suite, root: Path) -> None:
    try:
        client.images.get(suite.image)
    except ImageNotFound:
        repository, _, tag = suite.image.partition(":")
        changes = ['CMD ["/sbin/init"]', "STOPSIGNAL SIGRTMIN+3"]
        client.api.import_image_from_file(str(root), repository=repository, tag=tag, changes=changes)


def _root(suite: Suite) -> Path:
    with debian.one_at_a_time(suite.root):
        if not suite.root.exists():
            _fetch(suite)
    return suite.root


def _fetch(suite: Suite) -> None:
    if shutil.which("mmdebstrap", path=install.PATH) is None:
        install.apt_install(["mmdebstrap"])
    with tempfile.TemporaryDirectory(prefix="systemd-", dir=suite.root.parent) as name:
        tarball = Path(name) / "root.tar"
        debian.run(
            "mmdebstrap",
            "--quiet",
            "--mode=root",
            "--variant=minbase",
            f"--include={','.join(PACKAGES)}",
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT),
            suite.name,
            tarball,
            debian.mirrors()[0],
        )
        tarball.rename(suite.root)  # in one step, so that what is there is whole
