"""Container logs on real engines: their size and limit, and what goes with them."""

import json
import os
import re
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.engine.watch.test_security import DOCKER_GROUP, open_to_all
from tests.harness import images
from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.user import enterable
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import Daemon, plan_of, running, watchd, write_config

pytestmark = pytest.mark.newest(stores="both")

MB = 1_000_000
POLICY = """
mode = "enforce"
grace = "0s"
max_bytes = "{most}"
policies = [{{ name = "exited", kind = "container", when = {{ finished_for = "0s" }} }}]
"""
JSON_FILE = ("large", "rotated", "compressed", "never")
LOG, LIMIT = "watchd_container_log_bytes", "watchd_container_log_limit_bytes"


def chatter(client: docker.DockerClient, name: str, kilobytes: int, driver: str = "json-file", **options: str) -> Any:
    """Run a container to its end that writes lines of a kilobyte."""
    script = f"yes $(printf %0999d 0) | head -n {kilobytes}"
    log_config = docker.types.LogConfig(type=driver, config=options)
    container = client.containers.run(images.BASE, ["sh", "-c", script], name=name, detach=True, log_config=log_config)
    assert container.wait()["StatusCode"] == 0
    return container


def on_disk(engine: Engine, container: Any) -> int:
    """Return the bytes of the files of a container's log."""
    folder = engine.data_root / "containers" / container.id
    files = [*folder.glob(f"{container.id}-json.log*"), *folder.glob("local-logs/*")]
    return sum(file.stat().st_size for file in files)


@pytest.fixture
def containers(clean_engine: Engine, docker_client: docker.DockerClient) -> dict[str, Any]:
    never = docker_client.containers.create(images.BASE, ["true"], name="never")
    made = {
        "large": chatter(docker_client, "large", 20_000),
        "rotated": chatter(docker_client, "rotated", 5_000, **{"max-size": "1m", "max-file": "3"}),
        "compressed": chatter(
            docker_client, "compressed", 300, **{"max-size": "100k", "max-file": "3", "compress": "true"}
        ),
        "local": chatter(docker_client, "local", 2_000, "local", **{"max-size": "1m", "max-file": "4"}),
        "short": chatter(docker_client, "short", 1, "local"),
        "none": chatter(docker_client, "none", 100, "none"),
        "never": never,
    }
    folder = clean_engine.data_root / "containers" / made["compressed"].id
    # The engine compresses what it has rotated in the background.
    wait_until(
        lambda: sorted(file.suffix for file in folder.glob("*.log.*")) == [".gz", ".gz"], seconds=20, what="compression"
    )
    return made


def sizes(daemon: Daemon, metric: str) -> dict[str, float]:
    return {dict(labels)["name"]: value for labels, value in daemon.scrape().get(metric, {}).items()}


def test_each_log_has_its_size_and_its_limit(clean_engine: Engine, containers: dict[str, Any], tmp_path: Path) -> None:
    expected = {name: on_disk(clean_engine, each) for name, each in containers.items() if name != "none"}
    assert 20 * MB < expected["large"] < 24 * MB
    assert 2 * MB < expected["rotated"] < 3.1 * MB
    assert expected["never"] == 0 < expected["short"]
    config = write_config(tmp_path, clean_engine.host)
    with running(config) as daemon:
        wait_until(lambda: sizes(daemon, LOG), seconds=20, what="logs to be measured")
        assert sizes(daemon, LOG) == expected
        assert sizes(daemon, LIMIT) == {
            "large": 0,
            "rotated": 3 * MB,
            "compressed": 300_000,
            "local": 4 * MB,
            "short": 5 * 20 * 1024**2,
            "never": 0,
        }
        told = {row["name"]: row for row in daemon.ask("/api/v1/containers")["containers"]}
        assert {name: row["log_bytes"] for name, row in told.items()} == {**expected, "none": None}
        assert told["rotated"]["log_limit_bytes"] == 3 * MB
        assert told["none"]["log_limit_bytes"] is None
        assert daemon.value("watchd_disk_log_bytes") == sum(expected.values())
        wait_until(lambda: daemon.get("/api/v1/usage")[0] == 200, seconds=60, what="sizes")
        usage = daemon.ask("/api/v1/usage")
    top = watchd("top", "--once", "-c", config).stdout
    assert "LOG" in top
    assert f"{expected['large'] / MB:.3g}MB" in next(line for line in top.splitlines() if line.startswith("large "))
    df = json.loads(watchd_here("df", "--json", "-c", config).stdout)
    for told in (usage, df):
        assert told["kinds"]["log"]["total"] == sum(expected.values())
        (disk,) = [each for each in told["disks"] if str(clean_engine.data_root).startswith(each["path"])]
        assert disk["accounted"] >= sum(expected.values())


def test_a_container_goes_with_its_log_and_that_counts(
    clean_engine: Engine, docker_client: docker.DockerClient, containers: dict[str, Any], tmp_path: Path
) -> None:
    config = write_config(tmp_path, clean_engine.host, POLICY.format(most="10MB"))
    expected = {name: on_disk(clean_engine, each) for name, each in containers.items() if name != "none"}
    dry = plan_of(watchd_here("prune", "--dry-run", "--json", "-c", config))
    of = {item["name"]: item for item in dry["items"] if item["kind"] == "container"}
    for name in ("large", "rotated", "local"):
        assert of[name]["facts"]["log_bytes"] == expected[name]
        assert expected[name] <= of[name]["bytes"] < expected[name] + 100_000, "and what is in its layer"
    assert (of["large"]["action"], of["large"]["reason"]) == ("keep", "budget_spent")
    df = watchd_here("df", "-c", config).stdout
    (row,) = [line for line in df.splitlines() if line.startswith("logs")]
    freed = sum(size for name, size in expected.items() if name not in ("large", "never"))
    assert f"exited: 4, {freed / MB:.3g}MB" in row
    done = watchd_here("prune", "--yes", "--json", "-c", config)
    assert done.returncode == 0, done.stderr
    assert {each.name for each in docker_client.containers.list(all=True)} == {"large", "never"}
    kept = [clean_engine.data_root / "containers" / containers[name].id for name in ("rotated", "local")]
    assert not any(folder.exists() for folder in kept)


def test_without_permission_no_size_is_made_up_and_with_a_capability_it_is_known(
    clean_engine: Engine, containers: dict[str, Any], open_path: Path
) -> None:
    """As deploy/systemd has it, without and with its drop-in."""
    capability = "+dac_read_search"
    user = [*enterable(), "setpriv", "--no-new-privs", "--reuid=65534", "--regid=65534"]
    in_docker, in_root = (f"--groups={DOCKER_GROUP}", f"--groups={DOCKER_GROUP},0")
    without = [*user, in_docker, "--bounding-set=-all", "--inh-caps=-all"]
    with_group = [*user, in_root, "--bounding-set=-all", "--inh-caps=-all"]
    with_capability = [
        *(*user, in_docker, f"--ambient-caps={capability}"),
        *(f"--bounding-set=-all,{capability}", f"--inh-caps=-all,{capability}"),
    ]
    config = write_config(open_path, clean_engine.host, POLICY.format(most="1GB"))
    os.chown(open_path, 65534, 65534)
    before = clean_engine.socket.stat()
    os.chown(clean_engine.socket, 0, DOCKER_GROUP)
    clean_engine.socket.chmod(0o660)
    why = f"the sizes of container logs in {clean_engine.data_root}/containers are not known: run watchd as root, or"
    try:
        with open_to_all(clean_engine.directory):
            with running(config, through=without) as daemon:
                wait_until(lambda: why in daemon.log, seconds=20, what="the reason")
                assert daemon.log.count("container logs") == 1
                assert sizes(daemon, LOG) == {}
                assert sizes(daemon, LIMIT)["large"] == 0
                assert daemon.value("watchd_disk_log_bytes") is None
            df = watchd("df", "-c", config, through=without)
            assert f"Note: {why}" in df.stderr
            assert "unknown" in next(line for line in df.stdout.splitlines() if line.startswith("logs"))
            dry = watchd("prune", "--dry-run", "-c", config, through=without)
            assert re.search("Would remove 6 containers, (of unknown size|at least)", dry.stdout)
            with running(config, through=with_capability) as daemon:
                wait_until(lambda: sizes(daemon, LOG), seconds=20, what="logs to be measured")
                assert sizes(daemon, LOG)["large"] == on_disk(clean_engine, containers["large"])
                assert daemon.log.count("container logs") == 1, "that of before"
            with running(config, through=with_group) as daemon:
                wait_until(lambda: sizes(daemon, LOG), seconds=20, what="logs to be measured")
                seen = {name: on_disk(clean_engine, each) for name, each in containers.items() if name in JSON_FILE}
                assert sizes(daemon, LOG) == seen, "which the group root may look up"
    finally:
        os.chown(clean_engine.socket, before.st_uid, before.st_gid)
        clean_engine.socket.chmod(before.st_mode)
