"""A private Docker engine: dockerd and containerd of their own, in their own network namespace and directory.

    with Engine.start(directory) as engine:
        client = engine.client()

Everything that belongs to it is below its directory:

    engine.json        what `Engine.attach` reads: processes, cgroup, options
    docker.sock        the API
    data/  containerd/ images, containers, volumes
    exec/              what only matters while it runs
    netns              its network namespace, kept by this mount while dockerd is down
    dockerd.log, containerd.log

Only its cgroup is elsewhere, under a name of its own. The host's engine, bridges and packet filter are not touched.
containerd is started here rather than by dockerd, because dockerd would use the host's own where one runs.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Any, Self

import docker
from docker.errors import APIError, DockerException
from requests.exceptions import RequestException

from tests.harness.blkio import count_writes
from tests.harness.install import PATH
from tests.harness.mountinfo import remove_cgroups, unmount_below
from tests.harness.process import Process, left_behind

# Seconds. Starting takes less than one. After a crash dockerd first stops the containers that went on running, and
# gives each the usual 10 s to end by itself.
START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0

# The path of a UNIX socket has at most 107 bytes, and dockerd's own, below the directory, add up to 50.
LONGEST_DIRECTORY = 56


class EngineError(Exception):
    """An engine did not start, or is not the one it should be. The message has the end of its log."""


@dataclass(kw_only=True)
class Engine:
    """One engine. Make it with `start`, or find it again with `attach`."""

    directory: Path
    cgroup_parent: str
    dockerd_args: Sequence[str] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    hostname: str = ""
    disks: Mapping[str, int] = field(default_factory=dict)
    dockerd: Process | None = None
    containerd: Process | None = None

    @classmethod
    def start(
        cls,
        directory: Path,
        *,
        dockerd_args: Sequence[str] = (),
        config: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        hostname: str = "",
        disks: Mapping[str, int] | None = None,
    ) -> Self:
        """Start an engine that lives in `directory`, which must be empty or not be there, and wait until it answers.

        `config` are further keys of daemon.json. `environment` is for both daemons: a `PATH` that begins with another
        version's programs starts that version. `hostname` is what it calls itself, instead of as this machine. `disks`
        has the bytes of file systems of their own, by folder: "data", "containerd". Raise EngineError, with nothing
        left behind, when it does not start.
        """
        directory = directory.resolve()
        if len(os.fsencode(directory)) > LONGEST_DIRECTORY:
            raise EngineError(f"{directory} is too long for UNIX sockets: {LONGEST_DIRECTORY} bytes at most")
        directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise EngineError(f"{directory} is not empty")
        engine = cls(
            directory=directory,
            cgroup_parent=f"/watchd-{token_hex(4)}",
            dockerd_args=tuple(dockerd_args),
            config=config or {},
            environment=environment or {},
            hostname=hostname,
            disks=disks or {},
        )
        engine._record()  # first of all, so that whatever becomes of this process, `attach` can clean up
        try:
            engine._prepare()
            count_writes(engine.directory)
            engine.start_again()
        except BaseException:
            engine.stop()
            raise
        return engine

    @classmethod
    def attach(cls, directory: Path) -> Self:
        """Return the engine that any process started in `directory`. Raise FileNotFoundError where none was.

        It may have ended: see `is_running`. `stop` cleans up after it.
        """
        directory = directory.resolve()
        record = json.loads((directory / "engine.json").read_text())
        for daemon in ("dockerd", "containerd"):
            record[daemon] = record[daemon] and Process(**record[daemon])
        return cls(directory=directory, **record)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def socket(self) -> Path:
        """The UNIX socket of its API."""
        return self.directory / "docker.sock"

    @property
    def host(self) -> str:
        """Its address, in the form of DOCKER_HOST."""
        return f"unix://{self.socket}"

    @property
    def data_root(self) -> Path:
        """Its DockerRootDir."""
        return self.directory / "data"

    @property
    def network(self) -> Path:
        """Its network namespace, as `nsenter --net=` takes it."""
        return self.directory / "netns"

    @property
    def pid(self) -> int:
        """The PID of its dockerd. Raise EngineError when it was never started."""
        if self.dockerd is None:
            raise EngineError(f"the engine in {self.directory} was never started")
        return self.dockerd.pid

    @property
    def is_running(self) -> bool:
        """Return whether its dockerd runs, paused or not."""
        return self.dockerd is not None and self.dockerd.is_alive()

    def inside(self, *command: str) -> list[str]:
        """Return `command` as it is run in the engine's network namespace, where its published ports are."""
        return ["nsenter", f"--net={self.network}", *command]

    def client(self, *, timeout: float = 60) -> docker.DockerClient:
        """Return a new client, with the API version that engine and docker-py both speak. The caller closes it.

        `timeout` is in seconds, for each answer. Raise EngineError when another engine answers.
        """
        client = docker.DockerClient(base_url=self.host, version="auto", timeout=int(timeout))
        self.check_is_mine(client)
        return client

    def check_is_mine(self, client: docker.DockerClient) -> None:
        """Raise EngineError unless `client` speaks to this very engine: its data root is the one made here."""
        if (root := client.info()["DockerRootDir"]) != str(self.data_root):
            raise EngineError(f"the engine at {client.api.base_url} has its data in {root}, not in {self.data_root}")

    def kill(self) -> None:
        """Crash dockerd (SIGKILL). Its containers and its containerd go on running."""
        if self.dockerd is not None:
            self.dockerd.send(signal.SIGKILL)
            self.dockerd.wait(STOP_TIMEOUT)

    def pause(self) -> None:
        """Freeze dockerd (SIGSTOP): its socket still accepts, and nothing is answered."""
        if self.dockerd is not None:
            self.dockerd.freeze()

    def resume(self) -> None:
        """Let dockerd go on after `pause` (SIGCONT)."""
        if self.dockerd is not None:
            self.dockerd.go_on()

    def restart(self) -> None:
        """End dockerd in an orderly way, which stops its containers, and start it again."""
        if self.dockerd is not None:
            self.dockerd.end(STOP_TIMEOUT)
        self.start_again()

    def start_again(self) -> None:
        """Start dockerd, which does not run, in the same network namespace, and wait until it answers.

        Raise EngineError when it does not, within START_TIMEOUT.
        """
        if self.is_running:
            raise EngineError(f"the engine in {self.directory} runs already")
        self._spawn_daemons()
        self._record()
        self._wait_until_it_answers()

    def stop(self) -> None:
        """End the engine and its containers, and remove all that it made. Once that is done, do nothing."""
        if not (self.directory / "engine.json").exists():
            return
        self.resume()
        self._remove_containers()
        for daemon in (self.dockerd, self.containerd):
            if daemon is not None:
                daemon.end(STOP_TIMEOUT)
        self._kill_what_is_left()
        unmount_below(self.directory)
        remove_cgroups(self.cgroup_parent)
        shutil.rmtree(self.directory)

    def _prepare(self) -> None:
        """Make what stays while dockerd is down: its network namespace and disks."""
        self.network.touch()
        subprocess.run(["unshare", f"--net={self.network}", "ip", "link", "set", "lo", "up"], check=True, env=self._env)
        for folder, size in self.disks.items():
            (self.directory / folder).mkdir()
            disk = ["mount", "-t", "tmpfs", "-o", f"size={size}", "watchd-test", str(self.directory / folder)]
            subprocess.run(disk, check=True, env=self._env)

    @property
    def _env(self) -> dict[str, str]:
        return {"PATH": PATH, **self.environment}

    def _spawn_daemons(self) -> None:
        if self.containerd is None or not self.containerd.is_alive():
            self.containerd = self._spawn_containerd()
        self.dockerd = self._spawn_dockerd()

    def _spawn_containerd(self) -> Process:
        # "cri" serves Kubernetes, "opt" would make /opt/containerd: neither is used by dockerd.
        config = f"""\
version = 2
root = "{self.directory}/containerd"
state = "{self.directory}/exec/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "{self._containerd_socket}"
"""
        path = self.directory / "containerd.toml"
        path.write_text(config)
        return self._spawn("containerd", "containerd", "--config", str(path))

    @property
    def _containerd_socket(self) -> Path:
        return self.directory / "containerd.sock"

    def _spawn_dockerd(self) -> Process:
        # Without this key, which has no flag, 20.10 writes /etc/docker/key.json, and all engines of a host have one ID.
        daemon_json = {"deprecated-key-path": f"{self.directory}/key.json", **self.config}
        (self.directory / "daemon.json").write_text(json.dumps(daemon_json, indent=2))
        # After a crash its PID may by now be another process's, and dockerd would take that for itself.
        pid_file = self.directory / "dockerd.pid"
        pid_file.unlink(missing_ok=True)
        return self._spawn(
            "dockerd",
            "dockerd",
            f"--config-file={self.directory}/daemon.json",
            f"--host={self.host}",
            f"--data-root={self.data_root}",
            f"--exec-root={self.directory}/exec",
            f"--pidfile={pid_file}",
            f"--containerd={self._containerd_socket}",
            f"--cgroup-parent={self.cgroup_parent}",
            "--exec-opt=native.cgroupdriver=cgroupfs",  # systemd's would want the parent to be a slice of its own
            "--shutdown-timeout=1",
            *self.dockerd_args,
        )

    def _spawn(self, name: str, *command: str) -> Process:
        """Start a daemon; its log is named after it."""
        if self.hostname:
            named = 'busybox hostname "$0" && exec "$@"'
            command = ("unshare", "--uts", "sh", "-c", named, self.hostname, *command)
        return Process.spawn(self.inside(*command), log=self.directory / f"{name}.log", environment=self._env)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not answers(self.socket):
            if not self.is_running:
                raise EngineError(f"dockerd ended instead of starting{self._end_of_log()}")
            if time.monotonic() > deadline:
                raise EngineError(f"dockerd did not answer within {START_TIMEOUT:g} s{self._end_of_log()}")
            time.sleep(0.02)

    def _end_of_log(self) -> str:
        lines = []
        for log in (self.directory / "containerd.log", self.directory / "dockerd.log"):
            if log.exists():
                lines += [f"\n--- {log.name}", *log.read_text(errors="replace").splitlines()[-8:]]
        return "\n".join(lines)

    def _record(self) -> None:
        record = asdict(self)
        del record["directory"]
        new = self.directory / "engine.json.new"
        new.write_text(json.dumps(record, indent=2))
        new.replace(self.directory / "engine.json")

    def _remove_containers(self) -> None:
        """Remove all containers through the API, if it answers: dockerd itself would wait for each to end by itself."""
        if not answers(self.socket):
            return
        with suppress(DockerException, RequestException), closing(self.client()) as client:
            for container in client.api.containers(all=True, quiet=True):
                with suppress(APIError):  # a container with auto-remove may be gone by now
                    client.api.remove_container(container["Id"], force=True, v=True)

    def _kill_what_is_left(self) -> None:
        """After a crash: end the shims and containers that no daemon is left to end, and remove the shims' sockets."""
        processes = left_behind(self.directory, self.network) if self.network.exists() else []
        for process in processes:
            process.send(signal.SIGKILL)
        for process in processes:
            process.wait(STOP_TIMEOUT)
        for address in (self.directory / "exec/containerd").glob("io.containerd.runtime.v2.task/*/*/address"):
            Path(address.read_text().removeprefix("unix://")).unlink(missing_ok=True)


def new_directory() -> Path:
    """Make an empty directory for an engine. Its path is short, and it is on a disk, which /tmp often is not."""
    return Path(tempfile.mkdtemp(prefix="watchd-", dir="/var/tmp"))


def answers(path: Path, *, seconds: float = 2) -> bool:
    """Return whether an engine at the UNIX socket `path` answers `GET /_ping` within `seconds`."""
    with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
        connection.settimeout(seconds)
        connection.connect(os.fspath(path))
        connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return b" 200 " in connection.recv(64)
    return False
