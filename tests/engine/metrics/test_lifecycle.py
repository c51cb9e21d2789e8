"""The lives of containers in metrics, also where cAdvisor is wrong or has none."""

import os
import re
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import APIError
from docker.models.containers import Container

from tests.harness import images
from tests.harness.engine import Engine
from tests.harness.inside import run_inside
from tests.harness.waiting import settled, slowdown, wait_until
from tests.harness.watchd_process import Daemon, Labels, running, write_config
from watchd.metrics.exits.exits import PATIENCE

SOON = 30.0  # seconds, the longest that anything here may take to show: some kernels that this runs on are slow
OWN_LABELS = frozenset(("id", "image", "name"))
OOM_AT_USR1 = ["sh", "-c", "trap 'exec tail -c 100m /dev/zero' USR1; echo ready; while :; do sleep 0.1; done"]


@pytest.fixture
def config(tmp_path: Path, clean_engine: Engine) -> Path:
    return write_config(tmp_path, clean_engine.host)


def run(client: docker.DockerClient, name: str, *command: str, **options: Any) -> Container:
    return client.containers.run(images.BASE, list(command) or ["sleep", "600"], name=name, detach=True, **options)


def metrics_of(daemon: Daemon, name: str) -> set[str]:
    """The metrics that a container has series of."""
    return {metric for metric, series in daemon.scrape().items() for labels in series if ("name", name) in labels}


def identities(daemon: Daemon, name: str) -> set[Labels]:
    """The labels that all series of a container have: one set of them, if all is well."""
    return {
        frozenset((key, value) for key, value in labels if key in OWN_LABELS or key.startswith("container_label_"))
        for series in daemon.scrape().values()
        for labels in series
        if ("name", name) in labels
    }


def becomes(daemon: Daemon, value: float | None, metric: str, **labels: str) -> None:
    wait_until(
        lambda: daemon.value(metric, **labels) == value,
        seconds=SOON,
        what=f"{metric} {labels} to be {value}, not {daemon.value(metric, **labels)}",
    )


def test_a_rename_shows_at_once_and_the_old_name_nowhere(config: Path, docker_client: docker.DockerClient) -> None:
    container = run(docker_client, "old")
    with running(config) as daemon:
        assert identities(daemon, "old")
        container.rename("new")
        wait_until(lambda: not identities(daemon, "old"), seconds=SOON, what="the old name to be gone")
        assert {"container_memory_rss", "watchd_container_state"} <= metrics_of(daemon, "new")


@pytest.mark.kernel
def test_a_first_process_killed_for_want_of_memory(config: Path, docker_client: docker.DockerClient) -> None:
    container = run(docker_client, "greedy", *OOM_AT_USR1, mem_limit="8m", memswap_limit="8m")
    with running(config) as daemon:
        becomes(daemon, 0, "container_oom_events_total", name="greedy")  # there from the start, so that it can rise
        wait_until(container.logs, seconds=SOON, what="the shell to heed the signal")
        container.kill("USR1")
        becomes(daemon, 1, "container_oom_events_total", name="greedy")
        becomes(daemon, 137, "watchd_container_exit_code", name="greedy")
        container.reload()
        # Docker 20.10 does not know it when it hears of the end first and of the reason afterwards.
        assert daemon.value("watchd_container_oom_killed", name="greedy") == container.attrs["State"]["OOMKilled"]
        assert daemon.value("container_memory_usage_bytes", name="greedy") is None


def test_restarts_are_a_counter_and_change_no_label(config: Path, docker_client: docker.DockerClient) -> None:
    waits = "until [ -e /go ]; do sleep 0.1; done; rm /go; exit 7"
    container = run(docker_client, "flapping", "sh", "-c", waits, restart_policy={"Name": "on-failure"})
    with running(config) as daemon:
        first = daemon.value("container_start_time_seconds", name="flapping")
        before = identities(daemon, "flapping")
        assert len(before) == 1
        assert daemon.value("watchd_container_restarts_total", name="flapping") == 0
        with suppress(APIError):  # it ends the container, maybe before the engine is done with it
            container.exec_run(["touch", "/go"], detach=True)
        becomes(daemon, 1, "watchd_container_restarts_total", name="flapping")
        wait_until(
            lambda: daemon.value("container_start_time_seconds", name="flapping") not in (None, first),
            seconds=SOON,
            what="it to run again",
        )
        assert identities(daemon, "flapping") == before
        becomes(daemon, 1, "watchd_exited_containers_total", image=images.BASE, exit_code="7")


def test_stopped_containers_have_their_state_and_exit_code(config: Path, docker_client: docker.DockerClient) -> None:
    run(docker_client, "failed", "sh", "-c", "exit 3").wait()
    docker_client.containers.create(images.BASE, name="new")
    up = run(docker_client, "up")
    with running(config) as daemon:
        assert daemon.value("watchd_container_state", name="failed", state="exited") == 1
        assert daemon.value("watchd_container_exit_code", name="failed") == 3
        assert daemon.value("watchd_container_oom_killed", name="failed") == 0
        assert daemon.value("watchd_container_state", name="new", state="created") == 1
        assert daemon.value("watchd_container_exit_code", name="new") is None
        assert daemon.value("watchd_container_state", name="up") == 1, "just the one that holds"
        up.pause()
        becomes(daemon, 1, "watchd_container_state", name="up", state="paused")
        assert daemon.value("watchd_container_state", name="up", state="running") is None
        up.unpause()
        up.remove(force=True)
        becomes(daemon, None, "watchd_container_state", name="up")


def test_starting_unhealthy_and_healthy_are_told_apart(config: Path, docker_client: docker.DockerClient) -> None:
    check = {"test": ["CMD-SHELL", "[ -e /ok ]"], "interval": 10**9, "timeout": 5 * 10**9, "retries": 2}
    with running(config) as daemon:
        container = run(docker_client, "checked", healthcheck={**check, "start_period": 600 * 10**9})
        becomes(daemon, 1, "watchd_container_health", name="checked", status="starting")
        assert daemon.value("container_health_state", name="checked") == 0
        run(docker_client, "unchecked")
        becomes(daemon, -1, "container_health_state", name="unchecked")
        assert daemon.value("watchd_container_health", name="unchecked") is None
        assert run_inside(container, ["touch", "/ok"]).exit_code == 0
        becomes(daemon, 1, "watchd_container_health", name="checked", status="healthy")
        assert daemon.value("container_health_state", name="checked") == 1
        assert run_inside(container, ["rm", "/ok"]).exit_code == 0
        becomes(daemon, 1, "watchd_container_health", name="checked", status="unhealthy")
        assert daemon.value("watchd_container_health", name="checked") == 1, "just the one that holds"
        assert daemon.value("container_health_state", name="checked") == 0


@pytest.mark.kernel
def test_a_container_that_is_gone_is_last_seen_and_has_nothing_else(
    config: Path, docker_client: docker.DockerClient
) -> None:
    container = run(docker_client, "gone")
    with running(config) as daemon:
        before = daemon.value("container_last_seen", name="gone")
        container.remove(force=True)
        wait_until(
            lambda: metrics_of(daemon, "gone") == {"container_last_seen", "container_oom_events_total"},
            seconds=SOON,
            what="its other series to be gone",
        )
        seen = daemon.value("container_last_seen", name="gone")
        assert before is not None
        assert seen is not None
        assert before <= seen <= time.time()
        time.sleep(0.1)
        assert daemon.value("container_last_seen", name="gone") == seen, "it is frozen: alerts count from there"


def test_no_sample_has_a_timestamp(config: Path, docker_client: docker.DockerClient) -> None:
    """With one, Prometheus would go on showing what is gone for five minutes."""
    run(docker_client, "web")
    with running(config) as daemon:
        lines = daemon.get("/metrics")[1].decode().splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    assert samples
    assert all(len(line.rpartition("}")[2].split()) == 1 for line in samples if "{" in line)
    assert all(len(line.split()) == 2 for line in samples if "{" not in line)


def test_each_container_has_its_own_labels_and_no_others(config: Path, docker_client: docker.DockerClient) -> None:
    project = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web", "secret": "x"}
    run(docker_client, "composed", labels=project)
    run(docker_client, "plain")
    with running(config) as daemon:
        series = [dict(labels) for labels in daemon.scrape()["container_memory_rss"]]
    labels = {labels.get("name"): labels.keys() for labels in series}
    assert labels[None] == {"id"}, "the host"
    assert labels["plain"] == {"id", "image", "name"}
    assert labels["composed"] == {
        *labels["plain"],
        "container_label_com_docker_compose_project",
        "container_label_com_docker_compose_service",
    }


@pytest.mark.kernel
def test_disk_counters_of_a_container_are_its_own(config: Path, docker_client: docker.DockerClient) -> None:
    """With cAdvisor every container has the host's as well, with milliseconds taken for nanoseconds."""
    run(docker_client, "idle")
    with running(config) as daemon:
        wait_until(lambda: "container_fs_inodes_free" in metrics_of(daemon, "idle"), seconds=SOON, what="sizes")
        page = daemon.scrape()
        host = {metric for metric, _ in _of(page, "/") if metric.startswith("container_fs_")}
    assert {"container_fs_reads_total", "container_fs_read_seconds_total", "container_fs_inodes_free"} <= host
    assert {series[1] for series in _of(page, "/") if series[0] == "container_fs_inodes_free"} != {0}
    idle = {metric: value for metric, value in _of(page, None) if metric.startswith("container_fs_")}
    assert not idle.keys() & {"container_fs_read_seconds_total", "container_fs_io_time_seconds_total"}
    assert idle.get("container_fs_writes_bytes_total", 0) == 0
    assert idle["container_fs_inodes_free"] > 0


def _of(page: dict[str, dict[Labels, float]], id_: str | None) -> list[tuple[str, float]]:
    """Metric and value of the series with an `id`, or of those that have a name."""
    return [
        (metric, value)
        for metric, series in page.items()
        for labels, value in series.items()
        if (dict(labels).get("id") == id_ if id_ else "name" in dict(labels))
    ]


def test_usage_and_limit_of_the_disk_can_be_divided(config: Path, docker_client: docker.DockerClient) -> None:
    writer = run(docker_client, "writer", "sh", "-c", "head -c 3000000 /dev/urandom > /f; sync; echo ok; sleep 600")
    wait_until(writer.logs, seconds=SOON, what="the file to be written")
    with running(config) as daemon:
        wait_until(
            lambda: daemon.value("container_fs_usage_bytes", name="writer") is not None,
            seconds=SOON,
            what="the sizes to be measured",
        )
        page = daemon.scrape()
        usage, limit = page["container_fs_usage_bytes"], page["container_fs_limit_bytes"]
        assert usage.keys() == limit.keys()
        assert daemon.value("container_fs_usage_bytes", name="writer") == pytest.approx(3_000_000, rel=0.01)
        assert daemon.value("watchd_container_writable_layer_bytes", name="writer") == pytest.approx(
            3_000_000, rel=0.01
        )
        assert all(0 <= usage[labels] <= limit[labels] for labels in usage)


def test_no_capability_is_needed_to_watch(config: Path, docker_client: docker.DockerClient) -> None:
    """Unlike cAdvisor, it needs neither --privileged nor the host's root file system."""
    run(docker_client, "watched")
    with running(config, through=["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]) as daemon:
        status = Path(f"/proc/{daemon.process.pid}/status").read_text()
        assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
        assert {
            "container_cpu_usage_seconds_total",
            "container_memory_working_set_bytes",
            "container_network_receive_bytes_total",
            "container_processes",
        } <= metrics_of(daemon, "watched")
        assert not daemon.value("watchd_scrape_errors_total")
        assert daemon.scrape()["machine_memory_bytes"]


def test_where_processes_cannot_be_seen_the_engine_is_asked(config: Path, docker_client: docker.DockerClient) -> None:
    """As in a container without --pid host."""
    run(docker_client, "elsewhere")
    with running(config, through=["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]) as daemon:
        becomes(daemon, 1, "watchd_sampler_info", source="api")
        assert "container_memory_usage_bytes" in metrics_of(daemon, "elsewhere")
        assert daemon.log.count("the metrics of containers come from") == 1
        children = Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children")
        os.kill(int(children.read_text()), signal.SIGTERM)  # unshare would not pass it on
        assert daemon.process.wait(30 * slowdown()) == 0


def test_between_events_the_engine_is_only_pinged(config: Path, docker_client: docker.DockerClient) -> None:
    run(docker_client, "quiet")
    with running(config) as daemon:
        before = wait_until(lambda: _settled(daemon), seconds=SOON, what="what is asked at the start to be asked")
        for _ in range(20):
            assert daemon.names() == {"quiet"}
        time.sleep(1)
        asked = {endpoint for endpoint, count in _requests(daemon).items() if count != before.get(endpoint)}
    assert asked <= {"/_ping"}
    assert before["/containers/{id}/json"] == 1


def _settled(daemon: Daemon) -> dict[str, float]:
    """Return the requests made so far; nothing until sizes are known and only pings were sent for two seconds.

    A request is counted when it ends. The last ones of the start come at the same time, and may take longer than that.
    """
    before = _requests(daemon)
    time.sleep(2)
    after = _requests(daemon)
    changed = {endpoint for endpoint in after if after[endpoint] != before.get(endpoint)}
    last = {"/system/df", "/images/{id}/history", "/images/{id}/json"}
    return after if last <= after.keys() and changed <= {"/_ping"} else {}


def _requests(daemon: Daemon) -> dict[str, float]:
    return {
        dict(labels)["endpoint"]: value for labels, value in daemon.scrape()["watchd_engine_requests_total"].items()
    }


def test_what_the_engine_is_and_holds(config: Path, docker_client: docker.DockerClient) -> None:
    docker_client.volumes.create("data")
    docker_client.networks.create("net")
    with running(config) as daemon:
        wait_until(lambda: daemon.value("watchd_networks") is not None, seconds=SOON, what="networks to be listed")
        info, version = docker_client.info(), docker_client.version()
        assert daemon.value(
            "watchd_engine_info",
            version=version["Version"],
            api_version=version["ApiVersion"],
            storage_driver=info["Driver"],
            cgroup_version=info["CgroupVersion"],
            cgroup_driver=info["CgroupDriver"],
        )
        assert daemon.value("cadvisor_version_info", dockerVersion=version["Version"])
        assert daemon.value("machine_cpu_cores") == info["NCPU"]
        assert daemon.value("machine_memory_bytes") == info["MemTotal"]
        assert daemon.value("watchd_volumes", **{"class": "named"}) == 1
        assert daemon.value("watchd_networks", **{"class": "custom"}) == 1
        assert daemon.value("watchd_networks", **{"class": "predefined"}) == 3
        assert daemon.value("watchd_images", **{"class": "tagged"}) == 1
        docker_client.volumes.get("data").remove()
        docker_client.networks.get("net").remove()
        becomes(daemon, None, "watchd_volumes", **{"class": "named"})
        becomes(daemon, None, "watchd_networks", **{"class": "custom"})


@pytest.mark.kernel
def test_short_containers_are_told_exactly(config: Path, docker_client: docker.DockerClient) -> None:
    """Their lives fit between two scrapes; the shell itself says what it used."""
    with running(config) as daemon:
        for project in ("first", "second", "third"):  # on a busy machine it may come too late for one, and tells so
            missed = _missed(daemon)
            spent, who = _run_short_ones(daemon, docker_client, project)
            if _missed(daemon) == missed:
                break
        assert _missed(daemon) == missed
        used = daemon.value("watchd_exited_container_cpu_seconds_total", **who)
        peak = daemon.value("watchd_exited_container_memory_peak_bytes", **who)
        run_time = daemon.value("watchd_exited_container_run_seconds_total", **who)
    assert used is not None
    assert peak is not None
    assert run_time is not None
    # The cgroup also has what the runtime did to start them, and `times` counts in ticks of 10 ms.
    assert spent - 0.06 <= used <= spent + 0.9
    assert 100_000 <= peak <= 64 * 2**20
    assert run_time >= spent / 2


def _missed(daemon: Daemon) -> float:
    return daemon.value("watchd_exits_unaccounted_total") or 0.0


def _run_short_ones(daemon: Daemon, client: docker.DockerClient, project: str) -> tuple[float, dict[str, str]]:
    """Run three to their ends. Return the CPU time that they used, and their labels, once each is counted."""
    labels = {"com.docker.compose.project": project, "com.docker.compose.service": "job"}
    work = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; times; exit 4"
    spent = 0.0
    for number in range(3):
        container = run(client, f"{project}-{number}", "sh", "-c", work, labels=labels)
        container.wait()
        own = container.logs().decode().split()[:2]
        spent += sum(60 * float(minutes) + float(rest) for minutes, rest in (t[:-1].split("m") for t in own))
    who = {"image": images.BASE, **{f"container_label_{key.replace('.', '_')}": labels[key] for key in labels}}
    becomes(daemon, 3, "watchd_exited_containers_total", exit_code="4", **who)
    settled(
        lambda: (_missed(daemon), daemon.value("watchd_exited_container_cpu_seconds_total", **who)),
        still=PATIENCE + 1,
        seconds=SOON,
        what="the last readings",
    )
    return spent, who
