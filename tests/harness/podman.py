"""A private Podman: its service of Docker's API, with namespaces, directory and settings of its own.

    with Podman.start(directory) as engine:
        client = engine.client()

It has a mount namespace of its own with nothing in /run, /var/lib and /dev/shm, where Podman would else share locks,
networks and containers with the machine's own. Only the cgroup is the one that Podman gives to all containers.
"""

import json
import os
import shutil
import signal
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import docker
import psutil
from docker.errors import APIError, ImageNotFound

from tests.harness import images, install, rootfs
from tests.harness.engine import START_TIMEOUT, STOP_TIMEOUT, EngineError, answers
from tests.harness.mountinfo import mounts
from tests.harness.process import Process
from tests.harness.user import Owned
from tests.harness.waiting import wait_until

CGROUP_PARENT = "/libpod_parent"

_HIDDEN = ("/run", "/var/lib", "/dev/shm")
_SETTINGS = """\
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "runc"
[engine.runtimes]
runc = ["{runtime}"]
"""
# As root Podman asks for higher limits of files and processes than a machine may allow root itself, and runc fails
# then: what it asks for is taken out of what runc reads.
_RUNTIME = """\
#!/bin/sh
before=
for argument in "$@"; do
    case "$before" in
        --bundle | -b) file=$argument/config.json ;;
        --process | -p) file=$argument ;;
        *) file= ;;
    esac
    [ -f "$file" ] && sed -i 's/"rlimits":\\[[^]]*]/"rlimits":[]/' "$file"
    before=$argument
done
exec {runc} "$@"
"""
_NAMESPACES = "ip link set lo up && {mounts} && exec sleep infinity"


def ensure() -> None:
    """Make sure that this machine has Podman. Raise UnavailableError where it cannot."""
    install.ensure_engine()
    if shutil.which("podman", path=install.PATH) is None:
        install.apt_install(["podman"])


@dataclass(kw_only=True)
class Podman:
    """One Podman. Its containers outlive its service, which keeps nothing in memory."""

    directory: Path
    namespaces: Process | None = None
    service: Process | None = None

    @classmethod
    def start(cls, directory: Path) -> Self:
        """Start one that lives in `directory`, which must be empty, and wait until it answers. Raise EngineError."""
        engine = cls(directory=directory)
        try:
            engine._prepare()
            engine.namespaces = engine._make_namespaces()
            engine.start_again()
        except BaseException:
            engine.stop()
            raise
        return engine

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def socket(self) -> Path:
        """The UNIX socket of Docker's API."""
        return self.directory / "podman.sock"

    @property
    def host(self) -> str:
        """Its address, in the form of DOCKER_HOST."""
        return f"unix://{self.socket}"

    @property
    def data_root(self) -> Path:
        """The directory of its images and containers."""
        return self.directory / "root"

    def client(self, *, timeout: float = 60) -> docker.DockerClient:
        """Return a new client. The caller closes it. Raise EngineError when another engine answers."""
        client = docker.DockerClient(base_url=self.host, version="auto", timeout=int(timeout))
        if (root := client.info()["DockerRootDir"]) != str(self.data_root):
            raise EngineError(f"the engine at {self.host} has its data in {root}, not in {self.data_root}")
        return client

    def restart(self) -> None:
        """End the service and start it again. Containers go on running."""
        if self.service is not None:
            for process in (self.service, *_same_command(self.service)):
                process.end(STOP_TIMEOUT)
        self.start_again()

    def start_again(self) -> None:
        """Start the service, which does not run, and wait until it answers. Raise TimeoutError when it does not."""
        self.socket.unlink(missing_ok=True)
        self.service = Process.spawn(
            self._inside("podman", *self._options(), "system", "service", "--time=0", self.host),
            log=self.directory / "podman.log",
            environment=self._environment,
        )
        wait_until(lambda: answers(self.socket), seconds=START_TIMEOUT, what="Podman to answer")

    def stop(self) -> None:
        """End it with its containers, and remove all that it made. Once that is done, do nothing."""
        if not self.directory.exists():
            return
        if self.service is not None and self.service.is_alive():
            wait_until(lambda: answers(self.socket), seconds=START_TIMEOUT, what="Podman to answer")
            with closing(self.client()) as client:
                for container in client.api.containers(all=True):
                    with suppress(APIError):
                        client.api.remove_container(container["Id"], force=True, v=True)
        for process in (self.service, self.namespaces):
            if process is not None:
                process.send(signal.SIGKILL)
                process.wait(STOP_TIMEOUT)
        self._kill_what_is_left()
        _remove_empty_cgroups()
        shutil.rmtree(self.directory)

    def _prepare(self) -> None:
        """Make the files that it reads."""
        runtime = self.directory / "runc"
        runtime.write_text(_RUNTIME.format(runc=shutil.which("runc", path=install.PATH)))
        runtime.chmod(0o755)
        (self.directory / "containers.conf").write_text(_SETTINGS.format(runtime=runtime))

    def _make_namespaces(self) -> Process:
        """Make them, and return the process that keeps them, which does nothing else."""
        unshare = ["unshare", "--net", "--mount", "sh", "-c", _NAMESPACES.format(mounts=self._mounts)]
        namespaces = Process.spawn(unshare, log=self.directory / "podman.log", environment={"PATH": install.PATH})
        wait_until(lambda: _sleeps(namespaces), seconds=START_TIMEOUT, what="the namespaces of Podman")
        return namespaces

    def _kill_what_is_left(self) -> None:
        """End what is neither a container nor ends with the service: of root's there is nothing."""

    @property
    def _mounts(self) -> str:
        """Shell commands for the mounts in its namespace."""
        return " && ".join(f"mount -t tmpfs tmpfs {path}" for path in _HIDDEN)

    @property
    def _environment(self) -> Mapping[str, str]:
        return {
            "PATH": install.PATH,
            "CONTAINERS_CONF": str(self.directory / "containers.conf"),
            "HOME": "/root",
            "TMPDIR": str(self.directory),  # what is imported stays there
        }

    def _options(self) -> list[str]:
        return [f"--root={self.data_root}", f"--runroot={self.directory}/run", f"--tmpdir={self.directory}/tmp"]

    def _inside(self, *command: str) -> list[str]:
        assert self.namespaces is not None
        return ["nsenter", f"--target={self.namespaces.pid}", "--net", "--mount", *command]


@dataclass(kw_only=True)
class RootlessPodman(Owned, Podman):
    """One of an ordinary user's, by Podman's own defaults."""

    @property
    def socket(self) -> Path:
        """The UNIX socket of Docker's API."""
        return self.user.runtime / "podman/podman.sock"

    @property
    def data_root(self) -> Path:
        """The directory of its images and containers."""
        return self.user.home / ".local/share/containers/storage"

    def _prepare(self) -> None:
        """Make the user."""
        self.user.make()
        self.socket.parent.mkdir()
        os.chown(self.socket.parent, self.uid, self.uid)

    def _kill_what_is_left(self) -> None:
        """End what keeps the user's namespaces, and whatever else it runs."""
        self.user.kill_all()

    @property
    def _mounts(self) -> str:
        return f"{super()._mounts} && {self.user.mounts}"

    @property
    def _environment(self) -> Mapping[str, str]:
        return {"PATH": install.PATH}

    def _options(self) -> list[str]:
        # Systemd, which it would else ask for cgroups, does not run here. And it would copy all files of an image for
        # each container, without a look at whether the kernel lets an ordinary user have overlay.
        return ["--cgroup-manager=cgroupfs", "--storage-driver=overlay"]

    def _inside(self, *command: str) -> list[str]:
        return super()._inside(*self.user.command(*command))


def load_base(client: docker.DockerClient) -> str:
    """Make sure that Podman has the busybox image `images.BASE`. Return its ID.

    It drops the tag that an import asks for, so that has to be given afterwards.
    """
    try:
        return str(client.images.get(images.BASE).id)
    except ImageNotFound:
        changes = ['CMD ["/bin/sh"]', f"ENV PATH={images.SEARCH_PATH}"]
        reply = client.api.import_image_from_file(str(rootfs.busybox()), repository="imported", changes=changes)
        image = client.images.get(json.loads(reply.splitlines()[-1])["id"])
        image.tag(*images.BASE.split(":"))
        for tag in set(client.images.get(str(image.id)).tags):
            if "imported" in tag:
                client.images.remove(tag)
        return str(image.id)


def _same_command(process: Process) -> list[Process]:
    """Return the children that run the command of `process`, as rootless Podman does in its user namespace.

    They may outlive it, and would then answer on connections that are open.
    """
    try:
        parent = psutil.Process(process.pid)
        return [Process.of(child.pid) for child in parent.children() if child.cmdline() == parent.cmdline()]
    except (psutil.NoSuchProcess, FileNotFoundError):
        return []


def _sleeps(process: Process) -> bool:
    """Return whether the namespaces are set up: the last command in them is a sleep."""
    if not process.is_alive():
        raise EngineError("the namespaces of Podman could not be made")
    return Path(f"/proc/{process.pid}/comm").read_text().strip() == "sleep"


def _remove_empty_cgroups() -> None:
    """Remove the cgroups that nothing is in any more. Others' containers may be below the same parent."""
    for point in {mount.point for mount in mounts() if mount.filesystem in {"cgroup", "cgroup2"}}:
        for directory, _, _ in os.walk(point / CGROUP_PARENT.lstrip("/"), topdown=False):
            with suppress(OSError):
                Path(directory).rmdir()
