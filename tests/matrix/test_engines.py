"""The same contract on every engine that can be had here: watched truly, cleaned by plan, and nothing else goes.

What differs from one to the other is in `ENGINES`; what watchd has to know of it, in `watchd/engine/decode/quirks.py`.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from tests.harness import images, newer, podman, rootless, user
from tests.harness.engine import Engine
from tests.harness.podman import Podman, RootlessPodman
from tests.harness.rootless import Rootless
from tests.harness.user import User
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import Daemon, decisions, plan_of, running, watchd, write_config

SOON = 60.0  # seconds, the longest that anything here may take to show
CLEANUP = """
mode = "enforce"
grace = "0s"
[cleanup.protect]
images = ["base"]
[[cleanup.policies]]
name = "exited"
kind = "container"
when.finished_for = "0s"
[[cleanup.policies]]
name = "dangling"
kind = "image"
select.class = ["dangling"]
when.dangling_for = "0s"
[[cleanup.policies]]
name = "unused"
kind = "image"
select.class = ["tagged"]
when.unused_for = "0s"
[[cleanup.policies]]
name = "networks"
kind = "network"
when.unused_for = "0s"
[[cleanup.policies]]
name = "volumes"
kind = "volume"
when.unused_for = "0s"
[[cleanup.policies]]
name = "build-cache"
kind = "build_cache"
when.unused_for = "0s"
"""
HEALTHY = {"test": ["CMD", "true"], "interval": 10**9, "timeout": 10 * 10**9}
OOM = ["sh", "-c", "sleep 1; exec tail -c 100m /dev/zero"]


@dataclass(frozen=True)
class Kind:
    """An engine, how it is started in a directory, and what it does in its own way."""

    start: Callable[[Path], Engine | Podman]
    api_version: str  # the newest that it speaks
    store: str = "graphdriver"
    names_images_in_full: bool = False  # "docker.io/library/base:1", where Docker says "base:1"
    container_cgroups: bool = True  # else nothing is known of what containers use but their network
    gone: str = "destroy"  # what its events call the removal of a container
    tells_oom: bool = True
    health: str = "healthy"  # of a container whose check succeeds; Podman needs systemd to run checks
    stops_containers: bool = True  # when it is restarted
    networks_by_api: bool = True  # whether its stats have the counters of interfaces
    has_build_cache: bool = True
    removes_parents: bool = False  # untagged ones, along with an image


def docker_28(directory: Path, **options: Any) -> Engine:
    environment = {**newer.environment(), **options.pop("environment", {})}
    return Engine.start(directory, environment=environment, **options)


def podman_4(directory: Path) -> Podman:
    podman.ensure()
    return Podman.start(directory)


def rootless_podman_4(directory: Path) -> RootlessPodman:
    user.ensure()
    podman.ensure()
    return RootlessPodman.start(directory)


def rootless_docker(directory: Path) -> Rootless:
    rootless.ensure()
    return Rootless.start(directory)


PODMAN = Kind(
    podman_4,
    "1.41",
    names_images_in_full=True,
    gone="remove",
    tells_oom=False,
    health="starting",
    stops_containers=False,
    networks_by_api=False,
    has_build_cache=False,
    removes_parents=True,
)
ENGINES = {
    "docker-20.10": Kind(Engine.start, "1.41"),
    "docker-28": Kind(docker_28, "1.51"),
    "docker-28-containerd-store": Kind(
        lambda directory: docker_28(directory, config=newer.CONTAINERD_STORE), "1.51", store="containerd"
    ),
    "docker-28-api-1.44": Kind(
        lambda directory: docker_28(directory, environment={"DOCKER_MIN_API_VERSION": "1.44"}), "1.51"
    ),
    "rootless-docker-20.10": Kind(rootless_docker, "1.41", container_cgroups=False, tells_oom=False),
    "podman-4": PODMAN,
    "rootless-podman-4": replace(PODMAN, start=rootless_podman_4, container_cgroups=False),
}

everywhere = pytest.mark.parametrize("started", list(ENGINES), indirect=True, scope="module")
# The oldest version of the API that an engine speaks changes nothing but how watchd and it come together.
where_it_may_differ = pytest.mark.parametrize(
    "started", [name for name in ENGINES if name != "docker-28-api-1.44"], indirect=True, scope="module"
)
where_nobody_is_root = pytest.mark.parametrize("started", ["rootless-docker-20.10"], indirect=True, scope="module")


@dataclass(frozen=True)
class Host:
    """One of them, running."""

    kind: Kind
    engine: Engine | Podman
    client: docker.DockerClient

    @property
    def user(self) -> User | None:
        """Whose it is; None for root's."""
        return self.engine.user if isinstance(self.engine, Rootless | RootlessPodman) else None

    @property
    def through(self) -> list[str]:
        """The command prefix that runs a program as the engine's user."""
        return self.user.command() if self.user else []

    def watchd(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return watchd(*arguments, through=self.through, **environment)

    def running(self, config: Path, **environment: str) -> AbstractContextManager[Daemon]:
        return running(config, through=self.through, **environment)

    def run(self, name: str, *command: str, **options: Any) -> Container:
        command = command or ("sleep", "600")
        return self.client.containers.run(
            options.pop("image", images.BASE), list(command), name=name, detach=True, **options
        )

    def build(self, tag: str, *lines: str) -> str:
        dockerfile = "\n".join((f"FROM {images.BASE}", "COPY f /f", *lines))
        return images.build(self.client, tag, dockerfile, {"f": os.urandom(1000)})

    def named(self, image: str) -> str:
        return f"docker.io/library/{image}" if self.kind.names_images_in_full else image

    def images(self) -> set[str]:
        return {image["Id"] for image in self.client.api.images(all=True)}


@pytest.fixture(scope="module")
def started(request: pytest.FixtureRequest, new_engine_directory: Callable[[], Path]) -> Iterator[Host]:
    kind = ENGINES[request.param]
    directory = new_engine_directory()
    try:
        with kind.start(directory) as engine, closing(engine.client()) as client:
            yield Host(kind, engine, client)
    finally:
        with suppress(FileNotFoundError):
            directory.rmdir()


@pytest.fixture
def host(started: Host) -> Iterator[Host]:
    """The engine with nothing but the base image on it, before the test and after it."""
    load_base = podman.load_base if isinstance(started.engine, Podman) else images.load_base
    load_base(started.client)
    yield started
    api = started.client.api
    for container in api.containers(all=True):
        with suppress(docker.errors.NotFound):
            api.remove_container(container["Id"], force=True, v=True)
    for image in api.images():
        for tag in set(image["RepoTags"] or ()) - {started.named(images.BASE), "<none>:<none>"}:
            api.remove_image(tag, force=True)
    started.client.images.prune()
    for volume in api.volumes()["Volumes"] or ():
        api.remove_volume(volume["Name"], force=True)
    for network in api.networks():
        if network["Name"] not in ("bridge", "host", "none"):
            api.remove_network(network["Id"])


@pytest.fixture
def config(tmp_path: Path, host: Host) -> Path:
    directory = host.user.new_directory() if host.user else tmp_path
    return write_config(directory, host.engine.host, CLEANUP)


def becomes(daemon: Daemon, value: float | None, metric: str, **labels: str) -> None:
    wait_until(lambda: daemon.value(metric, **labels) == value, seconds=SOON, what=f"{metric} {labels} to be {value}")


def shows(daemon: Daemon, used: dict[str, bool], **labels: str) -> None:
    """Wait until of what a container uses that is there which should be, and nothing else."""
    wait_until(
        lambda: {each: daemon.value(f"container_{each}", **labels) is not None for each in used} == used,
        seconds=SOON,
        what=f"{used} of {labels}",
    )


@everywhere
def test_containers_are_shown_as_they_are_and_as_they_change(config: Path, host: Host) -> None:
    host.run("web")
    host.run("failed", "sh", "-c", "exit 3").wait()
    host.run("checked", healthcheck=HEALTHY)
    with host.running(config) as daemon:
        used = dict.fromkeys(
            ("cpu_usage_seconds_total", "memory_usage_bytes", "processes"), host.kind.container_cgroups
        )
        used["network_receive_bytes_total"] = host.kind.container_cgroups or host.kind.networks_by_api
        shows(daemon, used, name="web", image=host.named(images.BASE))
        becomes(daemon, 1, "watchd_sampler_info", source="cgroup" if host.kind.container_cgroups else "api")
        assert daemon.value("watchd_container_state", name="failed", state="exited") == 1
        assert daemon.value("watchd_container_exit_code", name="failed") == 3
        assert daemon.value("container_memory_usage_bytes", name="failed") is None
        becomes(daemon, 1, "watchd_container_health", name="checked", status=host.kind.health)

        late = host.run("late")
        becomes(daemon, 1, "watchd_container_state", name="late", state="running")
        late.rename("renamed")
        becomes(daemon, 1, "watchd_container_state", name="renamed", state="running")
        assert "late" not in daemon.names()
        first = daemon.value("container_start_time_seconds", name="renamed")
        late.restart(timeout=0)
        wait_until(
            lambda: daemon.value("container_start_time_seconds", name="renamed") not in (first, None),
            seconds=SOON,
            what="it to run again",
        )
        late.kill()
        becomes(daemon, 137, "watchd_container_exit_code", name="renamed")
        assert "renamed" not in daemon.names()
        late.remove()
        becomes(daemon, None, "watchd_container_state", name="renamed")
        actions = ("create", "start", "die", "rename", host.kind.gone)
        wait_until(  # the last may come after an inspect told it
            lambda: all(daemon.value("watchd_events_total", type="container", action=action) for action in actions),
            seconds=SOON,
            what="all events to be counted",
        )

        host.client.volumes.create("data")
        becomes(daemon, 1, "watchd_volumes", **{"class": "named"})
        errors = daemon.scrape().get("watchd_scrape_errors_total", {})
        assert not sum(number for labels, number in errors.items() if dict(labels)["source"] != "cgroup")
        # A busy engine says for long that one runs which was killed: so its cgroup may be missed.
        assert not re.search("cannot read cgroup of container (?!late|renamed)", daemon.log)


@where_it_may_differ
def test_processes_killed_for_want_of_memory_are_counted_where_the_engine_tells(config: Path, host: Host) -> None:
    with host.running(config) as daemon:
        greedy = host.run("greedy", *OOM, mem_limit="8m", memswap_limit="8m")
        if host.kind.tells_oom:
            becomes(daemon, 1, "watchd_events_total", type="container", action="oom")
            becomes(daemon, 0, "container_oom_events_total", name="greedy")  # it rises a minute later, for increase()
        if not host.kind.container_cgroups:
            greedy.kill()  # for no limit is in force
        becomes(daemon, 137, "watchd_container_exit_code", name="greedy")
        if not host.kind.tells_oom:
            assert not {"container_oom_events_total", "watchd_container_oom_killed"} & daemon.scrape().keys()


@where_it_may_differ
def test_the_api_gives_what_it_can(config: Path, host: Host) -> None:
    host.run("web")
    with host.running(config, WATCHD_METRICS__SOURCE="api") as daemon:
        wait_until(lambda: "web" in daemon.names(), seconds=SOON, what="it to be read")
        used = dict.fromkeys(("cpu_usage_seconds_total", "memory_usage_bytes", "threads"), host.kind.container_cgroups)
        shows(daemon, {**used, "network_receive_bytes_total": host.kind.networks_by_api}, name="web")
        assert not daemon.value("watchd_scrape_errors_total")


@everywhere
def test_a_restart_of_the_engine_is_survived(config: Path, host: Host) -> None:
    host.run("web", stop_signal="SIGKILL")
    with host.running(config) as daemon:
        host.engine.restart()
        wait_until(
            lambda: (daemon.value("watchd_event_stream_reconnects_total") or 0) >= 1,
            seconds=SOON,
            what="it to reconnect",
        )
        wait_until(daemon.ready, seconds=SOON, what="watchd to be ready again")
        state = "exited" if host.kind.stops_containers else "running"
        becomes(daemon, 1, "watchd_container_state", name="web", state=state)
        host.run("afterwards")
        becomes(daemon, 1, "watchd_container_state", name="afterwards", state="running")
        info = daemon.scrape()["watchd_engine_info"]
        assert [dict(labels)["api_version"] for labels in info] == [host.kind.api_version]


@everywhere
def test_what_is_planned_goes_and_nothing_else(config: Path, host: Host) -> None:
    host.run("ended", "true").wait()
    host.build("in-use:1")
    host.run("user", image="in-use:1")
    host.build("stopped:1", "RUN echo > /a")
    host.client.containers.create(
        "stopped:1", name="new", network=host.client.networks.create("kept").id, volumes=["/v"]
    )
    host.build("labelled:1", "LABEL watchd.keep=true")
    unused = host.build("unused:1", "RUN echo > /a", "RUN echo > /b")
    host.client.images.get("unused:1").tag("unused", "2")
    host.client.networks.create("free")
    host.client.volumes.create("data")
    (anonymous,) = {volume.name for volume in host.client.volumes.list()} - {"data"}
    dangling = host.build("rebuilt:1", "RUN echo > /a")
    host.build("rebuilt:1", "LABEL watchd.keep=true")
    here = host.images()

    dry = host.watchd("prune", "-c", config, "--dry-run", "--json")
    assert dry.returncode == 0, dry.stderr
    plan = plan_of(dry)
    assert plan["engine"]["store"] == host.kind.store
    assert host.images() == here, "a dry run changes nothing"
    kept = {
        ("container", "user", "keep", "condition_not_met"),
        ("container", "new", "keep", "condition_not_met"),
        ("image", host.named(images.BASE), "keep", "protected"),
        ("image", host.named("in-use:1"), "keep", "in_use"),
        ("image", host.named("stopped:1"), "keep", "in_use"),
        ("image", host.named("labelled:1"), "keep", "protected"),
        ("image", host.named("rebuilt:1"), "keep", "protected"),
        ("network", "bridge", "keep", "protected"),
        ("network", "kept", "keep", "in_use"),
        ("volume", "data", "keep", "named_volume"),
        ("volume", anonymous, "keep", "in_use"),
    }
    assert decisions(plan, "keep") >= kept
    going = {
        ("container", "ended", "remove", "exited_too_long"),
        ("image", host.named("unused:1"), "remove", "unused_too_long"),
        ("image", host.named("unused:2"), "untag", "unused_too_long"),
        ("network", "free", "remove", "unused_too_long"),
    }
    assert going <= decisions(plan, "remove", "untag") <= going | {("image", "<none>", "remove", "dangling_too_long")}
    images_going = {item["id"] for item in plan["items"] if (item["kind"], item["action"]) == ("image", "remove")}
    assert unused in images_going
    assert (dangling in images_going) == (dangling in here)

    done = host.watchd("prune", "-c", config, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert decisions(plan_of(done)) == decisions(plan)
    assert {item["outcome"] for item in plan_of(done)["items"] if item["action"] != "keep"} == {"removed"}
    assert here - host.images() == images_going
    assert {container["Names"][0] for container in host.client.api.containers(all=True)} == {"/user", "/new"}
    assert {volume.name for volume in host.client.volumes.list()} == {"data", anonymous}
    assert {network.name for network in host.client.networks.list()} - {"bridge", "host", "none"} == {"kept"}
    rows = json.loads(host.watchd("history", "-c", config, "--json").stdout)
    assert {(row["kind"], row["id"]) for row in rows if row["kind"] == "image"} == {
        ("image", id_) for id_ in images_going
    }
    assert {row["outcome"] for row in rows} == {"removed"}
    again = host.watchd("prune", "-c", config, "--yes", "--json")
    assert (again.returncode, decisions(plan_of(again), "remove", "untag")) == (0, set())


@where_it_may_differ
def test_no_parent_goes_along_that_is_to_stay(config: Path, host: Host) -> None:
    """Podman removes untagged parents along with an image, and ignores `noprune`."""
    top = host.build("top:1", "LABEL watchd.keep=true", "RUN echo > /a", "LABEL watchd.keep=false")
    parents = host.images()
    result = host.watchd("prune", "-c", config, "--yes", "--json")
    assert result.returncode == 0, result.stderr
    if host.kind.removes_parents:
        assert decisions(plan_of(result), "remove") == set()
        assert ("image", host.named("top:1"), "keep", "parent_stays") in decisions(plan_of(result))
        assert host.images() == parents
        explained = host.watchd("explain", "-c", config, "top:1").stdout
        assert "parent_stays" in explained
    else:
        assert top not in host.images()


@where_it_may_differ
def test_one_is_explained_by_name_and_by_the_beginning_of_its_id(config: Path, host: Host) -> None:
    container = host.run("ended", "true")
    container.wait()
    image = host.build("unused:1")
    for reference in ("ended", str(container.id)[:12], "unused:1", image[7:19]):
        result = host.watchd("explain", "-c", config, reference)
        assert result.returncode == 0, result.stderr
        first, second, *_ = result.stdout.splitlines()
        assert " goes at the next run: " in first, result.stdout
        assert second.startswith("  decision: remove, "), result.stdout


@where_it_may_differ
def test_df_tells_where_the_disk_went(config: Path, host: Host) -> None:
    host.run("ended", "sh", "-c", "head -c 3000000 /dev/zero > /f; sync").wait()
    host.build("unused:1", "RUN head -c 3000000 /dev/zero > /f")
    result = host.watchd("df", "-c", config, "--json")
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["kinds"]["container"]["total"] >= 3_000_000
    assert told["kinds"]["container"]["reclaimable"]["count"] == 1
    assert told["kinds"]["image"]["reclaimable"]["bytes"] >= 3_000_000
    assert str(host.engine.data_root) in {disk["path"] for disk in told["disks"]} or host.kind.store == "containerd"
    assert told["disks"], "with no container running, its data is found all the same"
    assert host.watchd("df", "-c", config).returncode == 0


@where_it_may_differ
def test_the_build_cache_is_cleaned_where_there_is_one(config: Path, host: Host) -> None:
    if host.kind.has_build_cache:
        dockerfile = f"FROM {images.BASE}\nRUN echo {host.engine.directory.name} > /a\n"
        images.build_with_buildkit(host.engine.host, dockerfile, "--tag", "built:1")
    result = host.watchd("prune", "-c", config, "--yes", "--json")
    assert result.returncode == 0, result.stderr
    records = [item for item in plan_of(result)["items"] if item["kind"] == "build_cache"]
    assert bool(records) == host.kind.has_build_cache
    again = plan_of(host.watchd("prune", "-c", config, "--yes", "--json"))
    assert decisions(again, "remove") == set()


@where_nobody_is_root
def test_a_user_needs_to_say_no_more_than_where_the_engine_is(host: Host) -> None:
    assert host.user
    host.run("web")
    nowhere = host.watchd("df")
    assert nowhere.returncode == 1
    assert f"there is {host.engine.host}: set engine.host to that" in nowhere.stderr
    told = host.watchd("df", "--json", WATCHD_ENGINE__HOST=host.engine.host)
    assert told.returncode == 0, told.stderr
    assert [disk["path"] for disk in json.loads(told.stdout)["disks"]] == [str(host.engine.data_root)]
    state = host.user.home / ".local/state/watchd"
    assert (state.stat().st_uid, state.stat().st_mode & 0o777) == (host.user.uid, 0o700)


@where_nobody_is_root
def test_what_passes_through_the_network_is_the_containers_own(config: Path, host: Host) -> None:
    host.run("server", "sh", "-c", "head -c 3000000 /dev/zero > /f; exec httpd -f -h /")
    address = host.client.containers.get("server").attrs["NetworkSettings"]["IPAddress"]
    fetching = f"until wget -qO /dev/null http://{address}/f; do sleep 0.1; done; exec sleep 600"
    host.run("client", "sh", "-c", fetching)
    with host.running(config) as daemon:

        def passed(direction: str, name: str) -> float:
            return daemon.value(f"container_network_{direction}_bytes_total", name=name) or 0

        wait_until(lambda: passed("receive", "client") > 3_000_000, seconds=SOON, what="what it fetched")
        wait_until(lambda: passed("transmit", "server") > 3_000_000, seconds=SOON, what="what it sent")
        assert passed("transmit", "server") < 4_000_000
        assert "cannot read" not in daemon.log
        assert "at most their network is known" in daemon.log


@where_nobody_is_root
def test_root_plans_what_the_user_plans(tmp_path: Path, config: Path, host: Host) -> None:
    host.run("ended", "true").wait()
    host.build("unused:1", "RUN echo > /a")
    by_user = plan_of(host.watchd("prune", "-c", config, "--dry-run", "--json"))
    roots = write_config(tmp_path, host.engine.host, CLEANUP)
    by_root = plan_of(watchd("prune", "-c", roots, "--dry-run", "--json"))
    assert decisions(by_root) == decisions(by_user)
    assert ("container", "ended", "remove", "exited_too_long") in decisions(by_root)
    with running(roots) as daemon:
        host.run("web")
        becomes(daemon, 1, "watchd_container_state", name="web", state="running")
        wait_until(lambda: "web" in daemon.names("container_network_receive_bytes_total"), seconds=SOON, what="it")
        becomes(daemon, None, "container_cpu_usage_seconds_total", name="web")
    done = watchd("prune", "-c", roots, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert {item["outcome"] for item in plan_of(done)["items"] if item["action"] != "keep"} == {"removed"}
