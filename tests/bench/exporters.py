"""The exporters that are compared, each run as its users run it: a process of its own that listens on loopback."""

import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.engine import Engine
from tests.harness.install import PATH
from tests.harness.process import Process
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import WATCHD, write_config
from watchd.config.schema.config import Metrics
from watchd.metrics.groups import GROUPS

DOCKER_PY_EXPORTER = Path(__file__).with_name("docker_py_exporter.py")
BASIC_GROUPS = ("cpu", "memory", "network")
BASIC = ", ".join(BASIC_GROUPS)
WATCHD_BASIC = f"watchd (cgroup): {BASIC}"
WATCHD_ALL = "watchd (cgroup): all default groups"
OPTIONAL_GROUPS = tuple(group.name for group in GROUPS if not group.on)
CADVISOR_BASIC = f"cAdvisor: {BASIC}"

START_SECONDS = 60
STOP_SECONDS = 10


@dataclass(frozen=True)
class Exporter:
    """A command that serves /metrics, and how often it is scraped after the first time: at most.

    `reads_cgroups`: it keeps the files that it reads open, so that the floor below it can be measured.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    scrapes: int = 100
    reads_cgroups: bool = False

    @contextmanager
    def running(self, port: int, log: Path) -> Iterator[Process]:
        """Run it until the end of the block. It listens on `port` when the block begins."""
        command = [argument.format(port=port) for argument in self.command]
        environment = {name: value.format(port=port) for name, value in self.environment.items()}
        process = Process.spawn(command, log=log, environment={"PATH": PATH, **environment})
        try:
            wait_until(lambda: _listens(port, process, log), seconds=START_SECONDS, what=f"{self.name} to listen")
            yield process
        finally:
            process.end(STOP_SECONDS)


class ExporterError(Exception):
    """An exporter ended instead of serving. The message has the end of its log."""


def exporters(engine: Engine, directory: Path) -> list[Exporter]:
    """Return what is compared, that which the others are compared with first. Their files go to `directory`."""
    config = write_config(directory, engine.host)
    watchd = (str(WATCHD), "run", "-c", str(config))
    listen = {"WATCHD_HTTP__LISTEN": "127.0.0.1:{port}"}
    groups = {"WATCHD_METRICS__GROUPS": json.dumps(BASIC_GROUPS)}
    cgroup = {**listen, "WATCHD_METRICS__SOURCE": "cgroup"}
    api = {**listen, "WATCHD_METRICS__SOURCE": "api"}
    docker_py = (sys.executable, str(DOCKER_PY_EXPORTER), "{port}")
    docker_host = {"DOCKER_HOST": engine.host}
    found = [
        Exporter(WATCHD_BASIC, watchd, {**cgroup, **groups}, reads_cgroups=True),
        Exporter(WATCHD_ALL, watchd, cgroup, reads_cgroups=True),
        *(
            Exporter(
                f"watchd (cgroup): all default groups and {name}",
                watchd,
                {**cgroup, "WATCHD_METRICS__GROUPS": json.dumps([*Metrics().groups, name])},
                scrapes=20,
            )
            for name in OPTIONAL_GROUPS
        ),
        Exporter(f"watchd (API): {BASIC}", watchd, {**api, **groups}, scrapes=20),
        Exporter("docker-py, one after another", docker_py, docker_host, scrapes=3),
        Exporter("docker-py, 16 threads", (*docker_py, "16"), docker_host, scrapes=5),
    ]
    if cadvisor := os.environ.get("CADVISOR"):
        command = (cadvisor, "--listen_ip=127.0.0.1", "--port={port}", f"--docker={engine.host}", "--docker_only")
        found += [
            Exporter(CADVISOR_BASIC, (*command, f"--enable_metrics={','.join(BASIC_GROUPS)}")),
            Exporter("cAdvisor: as it comes", command),
        ]
    return found


def _listens(port: int, process: Process, log: Path) -> bool:
    if not process.is_alive():
        raise ExporterError("\n".join(["it ended instead of serving:", *log.read_text().splitlines()[-8:]]))
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0
