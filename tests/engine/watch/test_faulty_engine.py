"""An engine that answers as no engine should: a proxy in front of a real one, which has the truth meanwhile."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import psutil
import pytest

from tests.harness import images, proxy
from tests.harness.engine import Engine
from tests.harness.open_files import count_open
from tests.harness.pinging import NEVER, pinging
from tests.harness.waiting import Deadline, slowdown, wait_until
from tests.harness.watchd_process import Daemon, running, starting, write_config

SOON = 5.0  # seconds, within which all is right again
KEPT = 12  # connections to the engine that are kept for the next request
METHODS = {"GET", "HEAD", "POST", "DELETE"}
REMOVES_WHAT_ENDED = """
mode = "enforce"
grace = "0s"
jitter = "0s"
schedule = "1s"
[[cleanup.policies]]
name = "exited"
kind = "container"
when.finished_for = "0s"
[[cleanup.policies]]
name = "unused"
kind = "image"
when.unused_for = "0s"
"""


def silent(handler: proxy.Handler) -> None:
    while handler.server.fault is silent:
        time.sleep(0.05)


def says(answer: bytes) -> proxy.Fault:
    def answers(handler: proxy.Handler) -> None:
        handler.wfile.write(answer)

    return answers


def replies(status: int, body: bytes, length: int | None = None) -> proxy.Fault:
    head = f"HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\n"
    return says(f"{head}Content-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body)


FAULTS = {
    "hangs up": says(b""),
    "speaks something else than HTTP": says(b"\x00\xff\xfe SSH-2.0\r\n\r\n"),
    "replies with something else than JSON": replies(200, b"<html>It works!</html>"),
    "replies with other JSON": replies(200, b"[null, 7, {}]"),
    "replies with half a JSON": replies(200, b'[{"Id": "abc", "Na'),
    "ends in the middle of a reply": replies(200, b'[{"Id": "abc", "Na', 5000),
    "has an error for everything": replies(500, b'{"message": "something went wrong"}'),
    "has an error without a message": replies(500, b""),
}


@pytest.fixture
def between(clean_engine: Engine, tmp_path: Path) -> Iterator[proxy.Proxy]:
    with proxy.in_front_of(clean_engine, tmp_path / "docker.sock", methods=METHODS) as between:
        yield between


def start(client: docker.DockerClient, name: str, *command: str) -> None:
    client.containers.run(images.BASE, list(command) or ["sleep", "600"], name=name, detach=True)


def containers(client: docker.DockerClient) -> set[str | None]:
    return {container.name for container in client.containers.list(all=True, ignore_removed=True)}


def held(daemon: Daemon) -> tuple[int, int]:
    """Return how many descriptors, but for those of cgroups, and threads it has."""
    return count_open(daemon.process.pid), psutil.Process(daemon.process.pid).num_threads()


def states_of(daemon: Daemon) -> list[float | None]:
    """Return how many containers it counts that run and that ended."""
    return [daemon.value("watchd_containers", state=state) for state in ("running", "exited")]


def counted(daemon: Daemon, action: str) -> float:
    """Return how many events of containers with this action it counts."""
    return daemon.value("watchd_events_total", type="container", action=action) or 0.0


def goes_through(daemon: Daemon, between: proxy.Proxy, fault: proxy.Fault, client: docker.DockerClient) -> None:
    """Have an engine with a fault for some time, and without it again."""
    wait_until(lambda: daemon.names() == {"busy"}, seconds=SOON, what="its series")
    before = held(daemon)
    between.fault = fault
    between.cut()
    start(client, "new")
    start(client, "done", "true")
    wait_until(lambda: daemon.value("watchd_engine_up") == 0, seconds=20, what="the engine to be missed")
    began = time.monotonic()
    assert daemon.names() == {"busy"}  # its cgroup is still there to be read
    assert time.monotonic() - began < 20 * slowdown()  # whatever waits for the engine takes 30 s
    assert daemon.get("/readyz")[0] == 503
    assert daemon.get("/healthz")[0] == 200
    wait_until(lambda: " failed: " in daemon.log, seconds=20, what="a run that could not be")
    time.sleep(1)
    assert containers(client) == {"busy", "new", "done"}
    between.fault = None
    deadline = Deadline(SOON)
    deadline.wait_until(daemon.ready, what="it to follow the engine again")
    deadline.wait_until(lambda: daemon.names() == {"busy", "new"}, what="series of what runs")
    deadline.wait_until(lambda: states_of(daemon)[0] == 2, what="their state")
    wait_until(lambda: containers(client) == {"busy", "new"}, seconds=SOON, what="what ended to go")
    wait_until(lambda: states_of(daemon) in ([2, None], [2, 0]), seconds=SOON, what="its state to be counted no more")
    client.containers.get("new").remove(force=True)
    wait_until(lambda: daemon.names() == {"busy"}, seconds=SOON, what="its series alone")

    wait_until(
        lambda: all(now <= then + KEPT for now, then in zip(held(daemon), before, strict=True)),
        seconds=SOON,
        what=f"no more than {before} descriptors and threads, it has {held(daemon)}",
    )
    assert images.BASE in images.tags(client)


@pytest.mark.parametrize("fault", FAULTS)
def test_an_engine_that(fault: str, between: proxy.Proxy, docker_client: docker.DockerClient, tmp_path: Path) -> None:
    start(docker_client, "busy")
    with running(write_config(tmp_path, between.host, REMOVES_WHAT_ENDED)) as daemon:
        goes_through(daemon, between, FAULTS[fault], docker_client)
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.log


def test_an_engine_that_accepts_and_never_answers(
    between: proxy.Proxy, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    start(docker_client, "busy")
    with running(write_config(tmp_path, between.host, REMOVES_WHAT_ENDED)) as daemon:
        goes_through(daemon, between, silent, docker_client)
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.log


def test_a_list_that_fails_removes_nothing_that_rests_on_it(
    between: proxy.Proxy, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    broken = FAULTS["has an error for everything"]

    def without_containers(handler: proxy.Handler) -> None:
        if "/containers/json" in handler.path:
            broken(handler)
        else:
            handler.pass_on()

    with running(write_config(tmp_path, between.host, REMOVES_WHAT_ENDED)) as daemon:
        between.fault = without_containers
        # A run from before would find the image unused, and rightly.
        wait_until(lambda: "not judged" in daemon.log, seconds=20, what="a run that sees too little")
        before = daemon.log.count("not judged")
        images.build(docker_client, "unused:1", f"FROM {images.BASE}\nLABEL a=1\n")
        wait_until(lambda: daemon.log.count("not judged") > before + 1, seconds=20, what="runs that saw the image")
        time.sleep(2)
        assert docker_client.images.get("unused:1").tags == ["unused:1"]
        assert daemon.value("watchd_prune_kept", reason="incomplete_view")
        between.fault = None
        wait_until(lambda: "unused:1" not in images.tags(docker_client), seconds=20, what="the image to go")


def test_an_engine_that_never_lists_its_containers_is_complained_of_once(
    between: proxy.Proxy, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    denied = replies(403, b'{"message": "not for you"}')

    def without_containers(handler: proxy.Handler) -> None:
        if "/containers/json" in handler.path:
            denied(handler)
        else:
            handler.pass_on()

    between.fault = without_containers
    start(docker_client, "web")
    with starting(write_config(tmp_path, between.host)) as daemon:
        wait_until(lambda: "not for you" in daemon.log, seconds=60, what="the complaint")
        time.sleep(4)
        assert daemon.log.count("not for you") == 1
        assert "event stream" not in daemon.log
        assert daemon.get("/readyz")[0] == 503
        between.fault = None
        wait_until(lambda: daemon.names() == {"web"}, seconds=SOON, what="its series")


def test_ten_thousand_events_at_once_leave_the_inventory_right(
    between: proxy.Proxy, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    for number in range(10):
        start(docker_client, f"c{number}")
    ids = [container.id for container in docker_client.containers.list()]
    unknown = [f"{number:064x}" for number in range(200)]
    with running(write_config(tmp_path, between.host), command=pinging(NEVER)) as daemon:
        wait_until(lambda: len(daemon.names()) == 10, seconds=SOON, what="their series")
        before = held(daemon)
        now = time.time_ns()
        burst = [
            {
                "Type": "container",
                "Action": "start" if number % 2 else "top",
                "Actor": {"ID": (ids if number % 50 else unknown)[number % (10 if number % 50 else 200)]},
                "time": now // 10**9,
                "timeNano": now + number,
            }
            for number in range(10_000)
        ]
        between.say(b"".join(json.dumps(event).encode() + b"\n" for event in burst))
        docker_client.containers.get("c3").rename("renamed")
        docker_client.containers.get("c4").remove(force=True)
        names = {f"c{number}" for number in range(10) if number not in (3, 4)} | {"renamed"}
        wait_until(lambda: daemon.names() == names, seconds=20, what="the inventory to be right")
        wait_until(
            lambda: counted(daemon, "top") >= 5_000 and counted(daemon, "start") >= 5_000,
            seconds=20,
            what="each event to be counted",
        )
        assert counted(daemon, "top") == 5_000
        assert daemon.value("watchd_event_stream_reconnects_total") == 0
        wait_until(lambda: held(daemon)[0] <= before[0] + KEPT, seconds=SOON, what="no more descriptors than before")


def test_a_hundred_containers_a_second_that_start_and_die(
    between: proxy.Proxy, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    """No engine here makes so many. So it is told of them, and knows of none when it is asked, as of any so short."""
    start(docker_client, "busy")
    with running(write_config(tmp_path, between.host), command=pinging(NEVER)) as daemon:
        wait_until(lambda: daemon.names() == {"busy"}, seconds=SOON, what="its series")
        before = held(daemon)
        for number in range(400):
            due = time.monotonic() + 0.01
            for step, action in enumerate(("create", "start", "die", "destroy")):
                moment = time.time_ns() + step
                actor = {"ID": f"{number:064x}", "Attributes": {"name": f"short-{number}", "exitCode": "0"}}
                event = {"Type": "container", "Action": action, "Actor": actor, "time": moment // 10**9}
                between.say(json.dumps({**event, "timeNano": moment}).encode() + b"\n")
            if number % 100 == 0:
                assert "busy" in daemon.names()
                start(docker_client, f"real-{number}", "true")
            time.sleep(max(0.0, due - time.monotonic()))
        wait_until(lambda: counted(daemon, "die") >= 404, seconds=SOON + 10, what="all of them to be followed")
        wait_until(lambda: daemon.names() == {"busy"}, seconds=SOON, what="the series of what runs alone")
        assert daemon.value("watchd_containers", state="exited") == 4
        assert daemon.value("watchd_event_stream_reconnects_total") == 0
        wait_until(lambda: held(daemon)[0] <= before[0] + KEPT, seconds=SOON, what="no more descriptors than before")


def test_events_that_are_none_cost_nothing_but_themselves(
    between: proxy.Proxy, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    with running(write_config(tmp_path, between.host), command=pinging(NEVER)) as daemon:
        between.say(b'\n{"half": \nnull\n[]\n{}\n{"Type": 7, "Action": []}\n\xff\xfe\n"text"\n' + b"9" * 5000 + b"\n")
        start(docker_client, "after")
        wait_until(lambda: daemon.names() == {"after"}, seconds=SOON, what="the next event to be followed")
        assert daemon.value("watchd_event_stream_reconnects_total") == 0


def test_a_stream_without_an_end_of_line_is_not_kept_in_memory(
    between: proxy.Proxy, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    with running(write_config(tmp_path, between.host), command=pinging(NEVER)) as daemon:
        process = psutil.Process(daemon.process.pid)
        before = process.memory_info().rss
        between.say(b"x" * 64 * 1024 * 1024)  # until it hangs up
        start(docker_client, "after")
        wait_until(lambda: daemon.names() == {"after"}, seconds=SOON, what="it to follow the engine again")
        assert daemon.value("watchd_event_stream_reconnects_total") == 1
        assert process.memory_info().rss - before < 48 * 1024 * 1024


def test_a_socket_that_is_removed_and_made_again_is_found(
    clean_engine: Engine, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    path = tmp_path / "docker.sock"
    with (
        proxy.in_front_of(clean_engine, path, methods=METHODS) as between,
        running(write_config(tmp_path, between.host)) as daemon,
    ):
        path.unlink()
        between.cut()
        wait_until(lambda: daemon.value("watchd_engine_up") == 0, seconds=SOON, what="the engine to be missed")
        start(docker_client, "meanwhile")
        with proxy.in_front_of(clean_engine, path, methods=METHODS):
            wait_until(daemon.ready, seconds=SOON, what="it to follow the engine again")
            assert daemon.names() == {"meanwhile"}
