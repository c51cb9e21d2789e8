"""The metrics of a container agree with the work that it did."""

from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from tests.harness import images
from tests.harness.engine import Engine
from tests.harness.inside import run_inside
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import Daemon, running, write_config

pytestmark = pytest.mark.kernel

MIB = 1024 * 1024

# Both ends of a connection are in the container: nc stops listening when it has one, and may listen by IPv6.
TALK = "sleep 600 | nc -l -p 8080 & sleep 600 | until nc 127.0.0.1 8080; do sleep 0.1; done & exec tail -f /dev/null"


@pytest.fixture
def config(tmp_path: Path, clean_engine: Engine) -> Path:
    return write_config(tmp_path, clean_engine.host)


def read(daemon: Daemon, series: str, **labels: str) -> float:
    """Return a value. That of a new container is there half a second after its start."""
    wait_until(lambda: daemon.value(series, **labels) is not None, seconds=10, what=series)
    value = daemon.value(series, **labels)
    assert value is not None
    return value


def test_cpu_seconds_are_those_that_the_container_used(config: Path, docker_client: docker.DockerClient) -> None:
    # The shell itself measures: `times` prints the user and system time of its children.
    work = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; times; sleep 600"
    with running(config) as daemon:
        container = docker_client.containers.run(images.BASE, ["sh", "-c", work], name="worker", detach=True)
        wait_until(container.logs, seconds=60, what="the work to be done")
        read(daemon, "container_cpu_usage_seconds_total", name="worker", cpu="total")
        own = container.logs().decode().split()[:2]
        spent = sum(60 * float(minutes) + float(seconds) for minutes, seconds in (t[:-1].split("m") for t in own))
        used = daemon.value("container_cpu_usage_seconds_total", name="worker", cpu="total")
        split = [daemon.value(f"container_cpu_{mode}_seconds_total", name="worker") for mode in ("user", "system")]
    assert spent > 0
    assert used is not None
    # The cgroup also has what the runtime did to start the process, and `times` counts in ticks of 10 ms.
    assert spent - 0.02 <= used <= spent + 0.3
    assert sum(value or 0.0 for value in split) == pytest.approx(used, abs=0.1)


def test_a_cpu_limit_throttles_and_is_told(config: Path, docker_client: docker.DockerClient) -> None:
    docker_client.containers.run(
        images.BASE, ["sh", "-c", "while :; do :; done"], name="limited", detach=True, nano_cpus=50_000_000
    )
    with running(config) as daemon:
        wait_until(
            lambda: (daemon.value("container_cpu_cfs_throttled_periods_total", name="limited") or 0) > 5,
            seconds=10,
            what="the limit to bite",
        )
        quota = daemon.value("container_spec_cpu_quota", name="limited")
        period = daemon.value("container_spec_cpu_period", name="limited")
    assert quota is not None
    assert period is not None
    assert quota / period == pytest.approx(0.05)


def test_memory_is_what_the_container_holds(config: Path, docker_client: docker.DockerClient) -> None:
    # dd fills its buffer and then waits for a reader that never comes.
    hold = "dd if=/dev/zero bs=32M count=1 2>/dev/null | sleep 600"
    docker_client.containers.run(images.BASE, ["sh", "-c", hold], name="holder", detach=True, mem_limit=256 * MIB)
    with running(config) as daemon:
        wait_until(
            lambda: (daemon.value("container_memory_rss", name="holder") or 0) >= 32 * MIB,
            seconds=20,
            what="the memory to be held",
        )
        page = daemon.scrape()
    told = {
        name: value for name, all_ in page.items() for labels, value in all_.items() if ("name", "holder") in labels
    }
    assert told["container_spec_memory_limit_bytes"] == 256 * MIB
    rss, usage, working_set, peak = (
        told[f"container_memory_{name}"] for name in ("rss", "usage_bytes", "working_set_bytes", "max_usage_bytes")
    )
    assert 32 * MIB <= rss <= 34 * MIB
    assert rss <= usage <= peak
    assert rss <= working_set <= usage


def on_interface(container: Container) -> dict[str, int]:
    """Return the bytes that passed through the interface of a container, from `/proc/<pid>/net/dev`."""
    container.reload()
    lines = Path(f"/proc/{container.attrs['State']['Pid']}/net/dev").read_text().splitlines()
    (fields,) = (line.split() for line in lines if line.lstrip().startswith("eth0:"))
    return {"received": int(fields[1]), "sent": int(fields[9])}


def test_network_bytes_are_those_that_went_over_it(config: Path, docker_client: docker.DockerClient) -> None:
    network = docker_client.networks.create("traffic")
    size = 5 * MIB
    serve = f"mkdir /www; head -c {size} /dev/urandom > /www/f; echo ready; exec httpd -f -h /www"
    server = docker_client.containers.run(
        images.BASE, ["sh", "-c", serve], name="server", detach=True, network="traffic"
    )
    wait_until(server.logs, seconds=20, what="the server")
    with running(config) as daemon:
        before = read(daemon, "container_network_transmit_bytes_total", name="server")
        server.reload()
        # Not by its name: dockerd needs the kernel's packet filter to answer for names, and User Mode Linux has none.
        address = server.attrs["NetworkSettings"]["Networks"]["traffic"]["IPAddress"]
        fetch = f"wget -qO /tmp/f http://{address}/f && wc -c < /tmp/f; sleep 600"
        client = docker_client.containers.run(
            images.BASE, ["sh", "-c", fetch], name="client", detach=True, network="traffic"
        )
        wait_until(client.logs, seconds=20, what="the download")
        assert int(client.logs()) == size
        received = read(daemon, "container_network_receive_bytes_total", name="client")
        sent = read(daemon, "container_network_transmit_bytes_total", name="server") - before
        passed = (on_interface(server)["sent"] - before, on_interface(client)["received"])
    # The payload, headers, and what a busy machine does not acknowledge in time once more: as the kernel counts.
    for counted, by_kernel in zip((sent, received), passed, strict=True):
        assert size <= counted <= by_kernel < size * 1.5
    network.reload()


def test_containers_that_share_a_network_namespace_have_no_network_series(
    config: Path, docker_client: docker.DockerClient
) -> None:
    for name, mode in (("own", "bridge"), ("host", "host"), ("none", "none"), ("guest", "container:own")):
        docker_client.containers.run(images.BASE, ["sleep", "600"], name=name, detach=True, network_mode=mode)
    with running(config, WATCHD_METRICS__GROUPS='["network", "tcp"]') as daemon:
        assert daemon.names() == {"own", "host", "none", "guest"}
        assert daemon.names("container_network_receive_bytes_total") == {"own"}
        assert daemon.names("watchd_container_network_sockets") == {"own", "none"}


def sockets(daemon: Daemon, metric: str, **labels: str) -> float:
    """Return the sum over IPv4 and IPv6."""
    values = (
        daemon.value(f"container_network_{family}_{metric}", name="talks", **labels) for family in ("tcp", "tcp6")
    )
    return sum(value or 0 for value in values)


def test_sockets_descriptors_and_threads_of_a_container(config: Path, docker_client: docker.DockerClient) -> None:
    limit = docker.types.Ulimit(name="nofile", soft=512, hard=1024)
    talks = docker_client.containers.run(images.BASE, ["sh", "-c", TALK], name="talks", detach=True, ulimits=[limit])
    with running(config, WATCHD_METRICS__GROUPS='["process", "tcp", "files", "tasks"]') as daemon:
        wait_until(
            lambda: (
                sockets(daemon, "usage_total", tcp_state="established") == 2
                and daemon.value("container_sockets", name="talks") == 2
            ),
            seconds=30,
            what="both ends of the connection to be counted",
        )
        assert sockets(daemon, "usage_total") == 2, "and in no other state"
        assert daemon.value("container_tasks_state", name="talks") == daemon.value("container_threads", name="talks")
        used = (
            daemon.value("watchd_container_network_sockets", name="talks", protocol=each) for each in ("tcp", "tcp6")
        )
        assert sum(value or 0 for value in used) == 2
        counters = "container_network_advance_tcp_stats_total"
        assert (daemon.value(counters, name="talks", tcp_state="activeopens") or 0) >= 1
        assert daemon.value(counters, name="talks", tcp_state="retranssegs") == 0
        assert daemon.value("container_ulimits_soft", name="talks", ulimit="max_open_files") == 512
        descriptors = daemon.value("container_file_descriptors", name="talks")
        listed = run_inside(talks, ["sh", "-c", "ls /proc/[0-9]*/fd | grep -c '^[0-9]'"], apart=True).output
        assert descriptors is not None
        # The listing sees itself too: sh, ls and grep, with a few descriptors each.
        assert descriptors < int(listed) <= descriptors + 15
