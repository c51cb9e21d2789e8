"""Containers that nobody expects: one of them never costs the others their metrics or their decision."""

import json
import string
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import docker
import psutil
import pytest

from tests.harness import images
from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.open_files import count_open
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import decisions, plan_of, running, write_config
from watchd.store import Store

SOON = 5.0
KEPT = 12  # connections to the engine that are kept for the next request
EVERY_BYTE = "a" + string.ascii_letters + string.digits + "_.-"  # that Docker admits in a name
ODD = {
    "quotes": "say \"hi\" \\ and 'bye'",
    "lines": "one\ntwo\r\nthree\ttab",
    "not_utf8": "\udcff\udcfe",  # is sent as it is, and kept as U+FFFD
    "controls": "\x00\x01\x1b[31m\x7f\u2028\ufeff",
    "html": "<script>alert(1)</script>",
    "format": "%s {0} ${x} {{.ID}}",
    "empty": "",
    "emoji": "🐳" * 50,
}
RAN, CREATED = 20, 80  # by each of those who make them: fewer events than the 1,024 that the engine keeps for a reader
CLEANUP = """
mode = "enforce"
grace = "0s"
[[cleanup.policies]]
name = "exited"
kind = "container"
when.finished_for = "0s"
"""


@pytest.fixture
def config(tmp_path: Path, clean_engine: Engine) -> Path:
    file = write_config(tmp_path, clean_engine.host, CLEANUP)
    file.write_text(file.read_text() + '\n[metrics]\ncontainer_labels = ["*"]\n')
    return file


def labels_of(kind: str) -> dict[str, str]:
    match kind:
        case "4,000 labels":
            return {f"label-{number}": str(number) for number in range(4_000)}
        case "a label of 200 kB":
            return {"large": "x" * 200_000}
        case "labels that collide":
            return {"a.b": "1", "a-b": "2", "a_b": "3", "a/b": "4", "": "5", "é": "6", "0": "7"}
    return ODD


@pytest.mark.parametrize("kind", ["4,000 labels", "a label of 200 kB", "labels that collide", "odd values"])
def test_labels(kind: str, config: Path, docker_client: docker.DockerClient) -> None:
    labels = labels_of(kind)
    for name, command in (("odd", ["sleep", "600"]), ("odd-done", ["true"])):
        body = json.dumps({"Image": images.BASE, "Cmd": command, "Labels": labels}, ensure_ascii=kind != "odd values")
        api = docker_client.api
        made = api.post(
            f"{api.base_url}/v{api.api_version}/containers/create",
            data=body.encode(errors="surrogateescape"),
            params={"name": name},
            headers={"Content-Type": "application/json"},
        )
        made.raise_for_status()
        docker_client.containers.get(name).start()
    docker_client.containers.run(images.BASE, ["sleep", "600"], name="plain", detach=True)
    docker_client.containers.run(images.BASE, ["true"], name="plain-done", detach=True).wait()
    docker_client.containers.get("odd-done").wait()
    with running(config) as daemon:
        assert daemon.names("container_memory_usage_bytes") == {"odd", "plain"}
        assert daemon.value("watchd_scrape_errors_total") in (None, 0)
    explained = watchd_here("explain", "odd-done", "-c", config)
    assert explained.returncode == 0
    assert "remove" in explained.stdout
    carried_out = watchd_here("prune", "--yes", "--json", "-c", config)
    assert carried_out.returncode == 0
    gone = {name for kind_, name, _, _ in decisions(plan_of(carried_out), "remove") if kind_ == "container"}
    assert gone == {"odd-done", "plain-done"}
    history = watchd_here("history", "-c", config)
    assert history.returncode == 0
    assert "\x1b" not in explained.stdout + history.stdout + carried_out.stdout
    recorded = json.loads(watchd_here("history", "--json", "-c", config).stdout)
    assert {row["name"] for row in recorded} == gone


def test_names_with_every_byte_that_docker_admits(config: Path, docker_client: docker.DockerClient) -> None:
    names = {EVERY_BYTE, "a" * 120 + "." * 60, "0", "a-", "a..", "CAPS_and-more.9"}
    names = {name if len(name) > 1 else f"{name}0" for name in names}
    for name in names:
        docker_client.containers.run(images.BASE, ["sleep", "600"], name=name, detach=True)
    with running(config) as daemon:
        assert daemon.names() == names
    for name in names:
        assert watchd_here("explain", name, "-c", config).returncode == 0


def test_containers_that_come_and_go_as_fast_as_the_engine_can(
    clean_engine: Engine, docker_client: docker.DockerClient, config: Path
) -> None:
    """A 2-core machine has some 30 a second. What more of them would tell comes from a fake: see test_faulty_engine."""
    docker_client.containers.run(images.BASE, ["sleep", "600"], name="steady", detach=True)
    with running(config) as daemon:
        process = psutil.Process(daemon.process.pid)
        wait_until(lambda: daemon.names() == {"steady"}, seconds=SOON, what="the first one")
        files, threads = count_open(process.pid), process.num_threads()

        def come_and_go(number: int) -> None:
            with closing(clean_engine.client()) as client:
                for made in range(CREATED if number else RAN):
                    if number == 0:
                        client.containers.run(images.BASE, ["true"], name=f"run-{made}", remove=True)
                    else:
                        client.containers.create(images.BASE, ["true"], name=f"n{number}-{made}").remove()

        with ThreadPoolExecutor(6) as pool:
            making = [pool.submit(come_and_go, number) for number in range(6)]
            while not all(each.done() for each in making):
                assert daemon.names() >= {"steady"}
                time.sleep(0.2)
        for each in making:
            each.result()
        wait_until(lambda: daemon.names() == {"steady"}, seconds=SOON, what="only the first one to be left")
        wait_until(
            lambda: daemon.value("watchd_exited_containers_total") == RAN, seconds=SOON, what="each end to be counted"
        )
        wait_until(lambda: daemon.value("watchd_containers") == 1, seconds=SOON, what="the last one to be gone")
        wait_until(lambda: count_open(process.pid) <= files + KEPT, seconds=SOON, what="descriptors to be let go of")
        assert process.num_threads() < threads + 10  # pools start theirs one by one
    with closing(Store.open(config.with_name("state"))) as store:
        assert len({exit_.name for exit_ in store.exits(docker_client.info()["ID"])}) == RAN
