"""`watchd run` against a real engine: what it serves follows what happens there."""

import gzip
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest
from docker.models.containers import Container

from tests.harness import images, proxy
from tests.harness.engine import Engine
from tests.harness.open_files import count_open, is_cgroup, open_files
from tests.harness.pinging import NEVER, OFTEN, pinging
from tests.harness.waiting import Deadline, slowdown, wait_until
from tests.harness.watchd_process import Daemon, running, starting, watchd, write_config
from watchd.store import Store

SOON = 5.0  # seconds, the longest that anything here may take to show

PATIENT = """
from watchd.engine.connection.requester import Requester
Requester._json.__kwdefaults__["timeout"] = 3600.0  # no request fails by itself before the test does
from watchd.cli import main
main()
"""


@pytest.fixture
def config(tmp_path: Path, clean_engine: Engine) -> Path:
    return write_config(tmp_path, clean_engine.host)


def run(client: docker.DockerClient, name: str, *command: str, **options: Any) -> Container:
    return client.containers.run(images.BASE, list(command) or ["sleep", "600"], name=name, detach=True, **options)


def shows(daemon: Daemon, *names: str) -> None:
    wait_until(lambda: daemon.names() == set(names), seconds=SOON, what=f"series of just {names or 'none'}")


def test_each_running_container_is_served_by_name(config: Path, docker_client: docker.DockerClient) -> None:
    run(docker_client, "before")
    with running(config) as daemon:
        assert daemon.names("container_cpu_usage_seconds_total") == {"before"}
        run(docker_client, "after")
        shows(daemon, "before", "after")
        assert daemon.names("container_memory_usage_bytes") == {"before", "after"}
        assert daemon.names("container_network_receive_bytes_total") == {"before", "after"}


def test_a_stopped_container_has_no_series_and_a_started_one_has_them_again(
    config: Path, docker_client: docker.DockerClient
) -> None:
    container = run(docker_client, "web")
    with running(config) as daemon:
        started = daemon.value("container_start_time_seconds", name="web")
        container.stop(timeout=0)
        assert daemon.names() == set()  # at once: its cgroup is gone when the engine says that it stopped
        container.start()
        shows(daemon, "web")
        assert daemon.value("container_start_time_seconds", name="web") != started


def test_removed_renamed_and_paused_containers_are_followed(config: Path, docker_client: docker.DockerClient) -> None:
    old, gone, paused = (run(docker_client, name) for name in ("old", "gone", "paused"))
    with running(config) as daemon:
        old.rename("new")
        gone.remove(force=True)
        paused.pause()
        shows(daemon, "new", "paused")
        wait_until(lambda: daemon.value("watchd_containers", state="paused") == 1, seconds=SOON, what="the paused one")
        paused.unpause()


def test_the_state_of_containers_is_counted(config: Path, docker_client: docker.DockerClient) -> None:
    run(docker_client, "up")
    run(docker_client, "down", "true").wait()
    docker_client.containers.create(images.BASE, name="new")
    with running(config) as daemon:
        states = {state: daemon.value("watchd_containers", state=state) for state in ("running", "exited", "created")}
        assert states == {"running": 1, "exited": 1, "created": 1}


def test_an_engine_that_is_killed_and_comes_back_is_followed_again(engine_directory: Path, tmp_path: Path) -> None:
    with Engine.start(engine_directory, dockerd_args=["--live-restore"]) as engine:
        client = engine.client()
        images.load_base(client)
        run(client, "survivor")
        with running(write_config(tmp_path, engine.host), command=pinging(NEVER)) as daemon:
            engine.kill()
            wait_until(lambda: daemon.value("watchd_engine_up") == 0, seconds=SOON, what="the engine to be missed")
            assert daemon.get("/readyz")[0] == 503
            assert daemon.get("/healthz")[0] == 200
            assert daemon.names() == {"survivor"}  # its cgroup is still there to be read
            engine.start_again()
            wait_until(daemon.ready, seconds=SOON, what="watchd to follow the engine again")
            assert daemon.names() == {"survivor"}
            assert daemon.value("watchd_event_stream_reconnects_total") == 1
            run(client, "newcomer")
            shows(daemon, "survivor", "newcomer")
        client.close()


def test_containers_that_end_with_the_engine_have_ended_once(engine_directory: Path, tmp_path: Path) -> None:
    with Engine.start(engine_directory) as engine:
        client = engine.client()
        images.load_base(client)
        run(client, "first", stop_signal="SIGKILL")  # else the engine gives them 10 s
        run(client, "second", stop_signal="SIGKILL")
        with running(write_config(tmp_path, engine.host)) as daemon:
            engine.kill()
            wait_until(lambda: daemon.value("watchd_engine_up") == 0, seconds=SOON, what="the engine to be missed")
            engine.start_again()
            wait_until(daemon.ready, seconds=SOON, what="watchd to follow the engine again")
            wait_until(
                lambda: (daemon.value("watchd_exited_containers_total") or 0) >= 2,
                seconds=SOON,
                what="the ends to show",
            )
            time.sleep(1)  # for events of what a list has already told
            assert daemon.value("watchd_exited_containers_total") == 2
        client.close()


def test_an_engine_that_is_not_there_yet_is_waited_for(engine_directory: Path, tmp_path: Path) -> None:
    socket_path = engine_directory / "docker.sock"
    with starting(write_config(tmp_path, f"unix://{socket_path}")) as daemon:
        wait_until(lambda: "cannot be reached" in daemon.log, seconds=60, what="the complaint")
        assert daemon.get("/readyz")[0] == 503
        assert daemon.value("watchd_engine_up") == 0
        with Engine.start(engine_directory):
            wait_until(daemon.ready, seconds=SOON, what="watchd to be ready")
        assert str(socket_path) in daemon.log


def test_a_frozen_engine_costs_no_metrics(engine_directory: Path, tmp_path: Path) -> None:
    with Engine.start(engine_directory) as engine:
        client = engine.client()
        images.load_base(client)
        run(client, "busy")
        doomed = run(client, "doomed")
        doomed.reload()
        with running(write_config(tmp_path, engine.host), command=pinging(OFTEN)) as daemon:
            shows(daemon, "busy", "doomed")
            engine.pause()
            until = time.monotonic() + 12  # three pings
            try:
                # Only a ping can tell: it has 3 s to be answered.
                wait_until(lambda: daemon.value("watchd_engine_up") == 0, seconds=20, what="the ping to fail")
                os.kill(doomed.attrs["State"]["Pid"], signal.SIGKILL)
                shows(daemon, "busy")  # its cgroup tells, whatever the engine knows
                time.sleep(max(0.0, until - time.monotonic()))
                shows(daemon, "busy")
            finally:
                engine.resume()
            deadline = Deadline(SOON)
            deadline.wait_until(daemon.ready, what="watchd to follow the engine again")
            deadline.wait_until(lambda: daemon.value("watchd_containers", state="exited") == 1, what="its end")
            deadline.wait_until(lambda: daemon.names() == {"busy"}, what="the series of what runs alone")
        client.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(config: Path, number: signal.Signals) -> None:
    with running(config) as daemon:
        assert daemon.stop(number, seconds=5 * slowdown()) == 0
    assert "Traceback" not in daemon.log


@pytest.fixture
def between(clean_engine: Engine, tmp_path: Path) -> Iterator[proxy.Proxy]:
    with proxy.in_front_of(clean_engine, tmp_path / "docker.sock", methods={"GET", "HEAD"}) as between:
        yield between


def freeze(between: proxy.Proxy, asked: str) -> threading.Event:
    """Have the engine answer nothing any longer once a path with `asked` is asked for. Return what is set then."""
    frozen = threading.Event()

    def answers(handler: proxy.Handler) -> None:
        if asked in handler.path:
            frozen.set()
        if frozen.is_set():
            handler.rfile.read(1)  # until watchd hangs up
        else:
            handler.pass_on()

    between.fault = answers
    return frozen


def test_a_run_that_waits_for_a_frozen_engine_does_not_keep_it_from_ending(
    between: proxy.Proxy, tmp_path: Path
) -> None:
    with running(write_config(tmp_path, between.host, 'schedule = "1s"\njitter = "0s"')) as daemon:
        assert freeze(between, "/containers/json").wait(60), "no run has begun"
        assert daemon.stop() == 0
        assert "a run is still under way" in daemon.log


def test_a_request_that_waits_for_a_frozen_engine_does_not_keep_it_from_ending(
    between: proxy.Proxy, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    up = run(docker_client, "up")
    with running(write_config(tmp_path, between.host), command=(sys.executable, "-c", PATIENT)) as daemon:
        frozen = freeze(between, f"/containers/{up.id}/json")
        host, _, port = daemon.listen.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(f"GET /api/v1/container?id={up.id} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert frozen.wait(60), "the engine is not asked"
            assert daemon.stop() == 0


def test_known_paths_answer_and_others_do_not(config: Path) -> None:
    with running(config) as daemon:
        assert daemon.get("/healthz") == (200, b"ok\n")
        assert daemon.get("/readyz") == (200, b"ready\n")
        for path in ("/metrics/", "/nothing", "//metrics", "/api"):
            assert daemon.get(path)[0] == 404


def test_metrics_are_compressed_for_who_asks(config: Path) -> None:
    with running(config) as daemon:
        plain = daemon.get("/metrics")[1]
        compressed = daemon.get("/metrics", **{"Accept-Encoding": "gzip"})[1]
        assert b"watchd_engine_up 1.0" in plain
        assert b"watchd_engine_up 1.0" in gzip.decompress(compressed)
        assert len(compressed) < len(plain)


def test_a_second_daemon_on_the_same_state_refuses_to_run(config: Path) -> None:
    with running(config):
        second = watchd("run", "-c", config)
    assert second.returncode == 1
    assert "another watchd is running on the state directory" in second.stderr


def test_an_address_in_use_is_a_clear_error(config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        result = watchd("run", "-c", config, WATCHD_HTTP__LISTEN=listen)
    assert result.returncode == 1
    assert f"cannot listen on {listen}: Address already in use (set [http] listen" in result.stderr
    assert "Traceback" not in result.stderr


def test_cgroups_that_are_not_where_they_are_said_to_be_are_a_clear_error(config: Path) -> None:
    result = watchd("run", "-c", config, WATCHD_METRICS__CGROUPFS="/nowhere")
    assert result.returncode == 1
    assert "metrics.cgroupfs: there is no directory /nowhere" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_proc_that_is_not_where_it_is_said_to_be_is_a_clear_error(config: Path) -> None:
    result = watchd("run", "-c", config, WATCHD_METRICS__PROCFS="/nowhere", WATCHD_METRICS__SOURCE="api")

    assert result.returncode == 1
    assert "metrics.procfs: /nowhere is no /proc" in result.stderr


def test_policies_run_on_their_schedule(
    tmp_path: Path, clean_engine: Engine, docker_client: docker.DockerClient
) -> None:
    cleanup = """
mode = "enforce"
grace = "0s"
jitter = "0s"
schedule = "1s"
[[cleanup.policies]]
name = "exited"
kind = "container"
select.name = ["done-*"]
when.finished_for = "0s"
[[cleanup.policies]]
name = "only-told"
kind = "container"
mode = "report"
select.name = ["told-*"]
when.finished_for = "0s"
"""
    run(docker_client, "done-1", "true").wait()
    run(docker_client, "told-1", "true").wait()
    run(docker_client, "done-running")

    def left() -> set[str | None]:
        return {container.name for container in docker_client.containers.list(all=True, ignore_removed=True)}

    with running(write_config(tmp_path, clean_engine.host, cleanup)) as daemon:
        wait_until(lambda: left() == {"told-1", "done-running"}, seconds=10, what="the exited container to go")
        wait_until(lambda: "Removed 1 container" in daemon.log, seconds=SOON, what="the log to say so")
        assert "told-1" in daemon.log
    assert left() == {"told-1", "done-running"}


def test_short_containers_leave_nothing_behind(
    config: Path, clean_engine: Engine, docker_client: docker.DockerClient
) -> None:
    with running(config) as daemon:
        process = psutil.Process(daemon.process.pid)

        def is_closed() -> bool:
            daemon.names()  # it lets go of what is gone at the next reading
            cgroups = filter(is_cgroup, open_files(process.pid))
            kept = 10  # connections to the engine, for the next requests
            return not any(clean_engine.cgroup_parent in file for file in cgroups) and (
                count_open(process.pid) <= before + kept
            )

        run(docker_client, "first", "true", auto_remove=True)
        wait_until(lambda: daemon.value("watchd_exited_containers_total") == 1, seconds=SOON, what="the first end")
        before = count_open(process.pid)
        threads = process.num_threads()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: run(docker_client, f"short-{number}", "true", auto_remove=True), range(25)))
        wait_until(lambda: daemon.value("watchd_exited_containers_total") == 26, seconds=SOON, what="all ends")
        wait_until(is_closed, seconds=SOON, what="descriptors")
        assert process.num_threads() < threads + 10  # pools start theirs one by one
        used = daemon.value("watchd_exited_container_cpu_seconds_total")
        assert used is not None
        assert used > 0
    with closing(Store.open(config.with_name("state"))) as store:
        engine_id = docker_client.info()["ID"]
        assert {exit_.name for exit_ in store.exits(engine_id)} == {"first", *(f"short-{n}" for n in range(25))}
