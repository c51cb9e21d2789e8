"""Hosts that differ: an engine behind TCP that is here all the same, and a /proc that hides much."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import docker
import pytest

from tests.harness import images
from tests.harness.engine import Engine
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import running, write_config

PROC_OF_PROCESSES_ALONE = 'mount -t proc -o subset=pid proc /proc && exec "$@"'


@contextmanager
def behind_tcp(engine: Engine) -> Iterator[str]:
    """Pass connections to a port on to the engine's socket; yield the address."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            with closing(socket.socket(socket.AF_UNIX)) as upstream:
                upstream.connect(engine.host.removeprefix("unix://"))
                answers = threading.Thread(target=_copy, args=(upstream, self.request), daemon=True)
                answers.start()
                _copy(self.request, upstream)
                answers.join(1)

    class Server(ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("source", ["auto", "cgroup"])
def test_an_engine_behind_tcp_on_this_host_is_read_from_its_cgroups(
    clean_engine: Engine, docker_client: docker.DockerClient, tmp_path: Path, source: str
) -> None:
    docker_client.containers.run(images.BASE, ["sleep", "600"], name="web", detach=True)
    with (
        behind_tcp(clean_engine) as address,
        running(write_config(tmp_path, address), WATCHD_METRICS__SOURCE=source) as daemon,
    ):
        wait_until(lambda: daemon.names("container_processes") == {"web"}, seconds=10, what="what only cgroups tell")
        assert daemon.value("watchd_sampler_info", source="cgroup") == 1
        assert daemon.value("container_memory_usage_bytes", id="/") is not None
        assert daemon.value("machine_cpu_cores") is not None


def test_a_proc_of_processes_alone_costs_the_host_and_nothing_else(
    clean_engine: Engine, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    docker_client.containers.run(images.BASE, ["sleep", "600"], name="web", detach=True)
    through = ("unshare", "--mount", "sh", "-c", PROC_OF_PROCESSES_ALONE, "sh")
    with running(write_config(tmp_path, clean_engine.host), through=through) as daemon:
        assert daemon.names("container_cpu_usage_seconds_total") == {"web"}
        assert daemon.names("container_network_receive_bytes_total") == {"web"}
        assert daemon.value("machine_cpu_cores") is None
        assert daemon.value("process_start_time_seconds") is not None
        assert daemon.value("watchd_scrape_errors_total") == 0
        assert "/proc is mounted with subset=pid" in daemon.log
