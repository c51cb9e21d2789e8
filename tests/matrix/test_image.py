"""The image: built without any package index, and run as README.md and deploy/README.md say."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from tests import ROOT
from tests.engine.metrics.test_sources import NOT_TOLD, TOLERANCE, is_between, make_containers
from tests.harness import filling, images, newer, watchd_image
from tests.harness.engine import Engine
from tests.harness.inside import run_inside
from tests.harness.install import PATH
from tests.harness.waiting import settled, wait_until
from tests.harness.watchd_process import Labels, running, series_of, write_config
from watchd.kernel.cgroup_paths import Hierarchy
from watchd.metrics.groups import METRICS


@pytest.fixture(scope="module")
def image(engine: Engine, watchd_tarball: Path) -> Iterator[docker.DockerClient]:
    """A client of an engine that has the image."""
    with closing(engine.client(timeout=300)) as client:
        images.load_base(client)
        watchd_image.load(client, watchd_tarball)
        yield client
        remove_containers(client)
        client.images.remove(watchd_image.TAG, force=True)


def remove_containers(client: docker.DockerClient) -> None:
    for container in client.containers.list(all=True, ignore_removed=True):
        container.remove(force=True, v=True)


def start(client: docker.DockerClient, engine: Engine, name: str = "watchd", **options: Any) -> Container:
    """Run it as a user would: not root, nothing to write to but its volume."""
    environment = {"WATCHD_HTTP__LISTEN": "127.0.0.1:10210", **options.pop("environment", {})}
    every_second = {"test": ["CMD", "watchd", "healthcheck"], "interval": 10**9, "timeout": 15 * 10**9}
    return client.containers.run(
        watchd_image.TAG,
        name=name,
        detach=True,
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        group_add=options.pop("group_add", [str(engine.socket.stat().st_gid)]),
        network_mode="none",
        environment=environment,
        healthcheck=options.pop("healthcheck", every_second),
        **options,
    )


def page(container: Container, path: str = "/metrics") -> str:
    """Return what it serves, its metrics for example, asked for inside."""
    ask = f"import urllib.request as r; print(r.urlopen('http://127.0.0.1:10210{path}').read().decode())"
    done = run_inside(container, ["python3", "-c", ask], apart=True)
    return done.output if done.exit_code == 0 else ""


def shows(container: Container, source: str, name: str) -> bool:
    """Return whether it shows what a container uses, read from a source: that is named before anything is read."""
    shown = page(container)
    used = re.search(rf'^container_memory_usage_bytes{{.*name="{name}"', shown, re.MULTILINE)
    return used is not None and f'watchd_sampler_info{{source="{source}"}} 1.0' in shown


@pytest.mark.newest
def test_the_readme_has_a_command_that_runs_it(image: docker.DockerClient, engine: Engine) -> None:
    remove_containers(image)
    (command,) = re.findall(r"^    (docker run (?:.*\\\n)*.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    there = re.sub(r"(?<!:)/var/run/docker\.sock", str(engine.socket), command)  # outside; in the container it stays
    environment = {"DOCKER_HOST": engine.host, "PATH": PATH}
    subprocess.run(["sh", "-c", there], env=environment, check=True, stdout=subprocess.DEVNULL)
    container = image.containers.get("watchd")
    try:
        wait_until(lambda: shows(container, "cgroup", "watchd"), seconds=60, what="it to read cgroups")
    finally:
        print(container.logs().decode())  # noqa: T201 - pytest shows it where the test fails
        container.remove(force=True)
        image.volumes.get("watchd").remove()


@pytest.mark.newest
def test_with_the_engines_data_it_tells_what_is_there(image: docker.DockerClient, engine: Engine) -> None:
    """As docs/operations.md says: for one command, with user 0 and one capability."""
    remove_containers(image)
    web = image.containers.run(images.BASE, ["sh", "-c", "echo x; sleep 600"], name="web", detach=True)
    wait_until(web.logs, seconds=30, what="its log")
    data = [engine.data_root, engine.directory / "containerd"]
    volumes = {str(path): {"bind": str(path), "mode": "ro"} for path in data}
    volumes[str(engine.socket)] = {"bind": "/var/run/docker.sock"}
    options: dict[str, Any] = {"cap_drop": ["ALL"], "read_only": True, "network_mode": "none", "volumes": volumes}
    options |= {"user": "0", "cap_add": ["DAC_READ_SEARCH"], "remove": True}
    told = json.loads(image.containers.run(watchd_image.TAG, ["df", "--deep", "--json"], **options))
    shares = {(each["kind"], each["holder"]): each for each in told["data"]}
    layers = "snapshot" if image.info()["Driver"] == "overlayfs" else "layer"
    named = {each["name"] for each in shares[layers, "image"]["largest"]}
    assert images.BASE in named
    assert named & {watchd_image.TAG, images.PYTHON}, "the one that is named first has the layers of both"
    assert shares["log", None]["largest"][0]["name"] == "web"
    assert (layers, "nobody") not in shares
    assert told["notes"] == []
    options["cap_add"] = []
    with pytest.raises(docker.errors.ContainerError, match=r"is for root alone: .* capability DAC_READ_SEARCH"):
        image.containers.run(
            watchd_image.TAG,
            ["df", "--deep"],
            **{**options, "user": "10210", "group_add": [str(engine.socket.stat().st_gid)]},
        )


def test_nothing_that_it_imports_is_compiled_anew(image: docker.DockerClient, engine: Engine) -> None:
    remove_containers(image)
    mounts = {str(engine.socket): {"bind": "/var/run/docker.sock"}}
    container = start(image, engine, volumes=mounts, environment={"PYTHONVERBOSE": "1"}, healthcheck=None)
    try:
        wait_until(lambda: page(container), seconds=60, what="it to serve")
        told = {"run": container.logs().decode()}
        for command in ("python -m watchd.config", "watchd healthcheck", "watchd prune --dry-run"):
            told[command] = run_inside(container, command.split()).output
    finally:
        container.remove(force=True, v=True)
    for command, text in told.items():
        assert re.search(r"^# code object from '.*/socket\.[\w.-]*pyc'$", text, re.MULTILINE), command
        assert re.findall(r"^# code object from (?!.*\.pyc'$).*", text, re.MULTILINE) == [], command


@pytest.mark.parametrize("source", ["cgroup", "api"])
def test_it_runs_as_nobody_in_particular_and_is_healthy(
    source: str, image: docker.DockerClient, engine: Engine
) -> None:
    remove_containers(image)
    image.containers.run(images.BASE, ["sleep", "600"], name="web", detach=True)
    mounts = {str(engine.socket): {"bind": "/var/run/docker.sock"}}
    options: dict[str, Any] = {"volumes": mounts}
    if source == "cgroup":
        mounts["/sys/fs/cgroup"] = {"bind": "/sys/fs/cgroup", "mode": "ro"}
        options |= {"pid_mode": "host", "cgroupns": "host"}
    container = start(image, engine, **options)
    try:
        wait_until(lambda: shows(container, source, "web"), seconds=60, what="it to know where to read")
        wait_until(lambda: _health(container) == "healthy", seconds=60, what="it to be healthy")
        assert run_inside(container, ["id", "-u"]).output == "10210"
        assert run_inside(container, ["watchd", "prune", "--dry-run"]).exit_code == 0
        container.stop(timeout=60)
        container.reload()
        assert container.attrs["State"]["ExitCode"] == 0
    finally:
        print(container.logs().decode())  # noqa: T201 - pytest shows it where a test fails
        container.remove(force=True, v=True)


@pytest.mark.newest
def test_it_works_out_advice_with_nothing_to_write_to_but_its_volume(
    image: docker.DockerClient, engine: Engine
) -> None:
    remove_containers(image)
    volumes = {str(engine.socket): {"bind": "/var/run/docker.sock"}}
    container = start(image, engine, volumes=volumes, environment={"WATCHD_METRICS__SOURCE": "api"})

    def has_watched() -> bool:
        return run_inside(container, ["watchd", "advise", "--json"]).exit_code == 0

    def told() -> Any:
        answer = json.loads(page(container, "/api/v1/advice"))
        return answer if answer["state"] != "computing" else None

    try:
        wait_until(has_watched, seconds=120, what="it to note what it watched")
        answer: Any = wait_until(told, seconds=60, what="the answer")
        assert (answer["state"], answer["error"]) == ("ready", None)
        assert answer["advice"]["kinds"].keys() == {"container", "image", "network", "volume"}
    finally:
        print(container.logs().decode())  # noqa: T201 - pytest shows it where a test fails
        remove_containers(image)


def test_where_it_may_start_no_process_a_reload_keeps_what_is_in_force(
    image: docker.DockerClient, engine: Engine
) -> None:
    remove_containers(image)
    container = start(
        image,
        engine,
        volumes={str(engine.socket): {"bind": "/var/run/docker.sock"}},
        environment={"WATCHD_METRICS__SOURCE": "api"},
        healthcheck={"test": ["NONE"]},
    )

    def processes() -> int:
        told: Any = container.stats(stream=False)
        return int(told["pids_stats"]["current"])

    def limited(most: int) -> None:
        api: Any = image.api  # docker-py's own update knows no limit of PIDs
        url = api._url("/containers/{0}/update", container.id)
        api._raise_for_status(api._post_json(url, data={"PidsLimit": most}))

    def hang_up(said: str) -> None:
        before = container.logs().count(said.encode())
        container.kill("HUP")
        wait_until(lambda: container.logs().count(said.encode()) > before, seconds=30, what=said)

    try:
        wait_until(lambda: b"following the engine" in container.logs(), seconds=60, what="it to follow the engine")
        hang_up("the configuration was read again")
        limited(settled(processes, still=3, seconds=30, what="its processes"))
        hang_up("the previous one stays in force")
        assert b"no process can be started: " in container.logs()
        limited(processes() + 5)
        hang_up("the configuration was read again")
        container.reload()
        assert container.status == "running"
    finally:
        print(container.logs().decode())  # noqa: T201 - pytest shows it where a test fails
        container.remove(force=True, v=True)


def test_with_a_mount_and_the_group_root_it_sees_the_sizes_of_logs(image: docker.DockerClient, engine: Engine) -> None:
    remove_containers(image)
    image.containers.run(images.BASE, ["echo", "once"], name="web", detach=True).wait()
    logs = str(engine.data_root / "containers")
    mount = docker.types.Mount(logs, logs, type="bind", read_only=True)
    mount["BindOptions"] = {"NonRecursive": True}
    socket = {str(engine.socket): {"bind": "/var/run/docker.sock"}}
    groups = [str(engine.socket.stat().st_gid), "0"]
    without, with_it = (
        start(image, engine, "without", volumes=socket),
        start(image, engine, volumes=socket, mounts=[mount], group_add=groups),
    )
    shown = re.compile(r'^watchd_container_log_bytes{.*name="web".*} \d{2}', re.MULTILINE)
    wait_until(lambda: shown.search(page(with_it)), seconds=60, what="the size of a log")
    why = f"the sizes of container logs in {logs} are not known: mount it at the same path, read-only, and give watchd"
    wait_until(lambda: why in without.logs().decode(), seconds=60, what="what would help")
    assert not shown.search(page(without))
    assert why not in with_it.logs().decode()
    remove_containers(image)


SIDECARS: dict[str, dict[str, Any]] = {
    "api": {},
    "cgroup": {
        "/proc": {"bind": "/host/proc", "mode": "ro"},
        "/sys/fs/cgroup": {"bind": "/host/sys/fs/cgroup", "mode": "ro"},
    },
}
"""The mounts besides the socket, by the source that watchd then chooses."""

OUT_OF_SIGHT = {1: {"process.processes"}, 2: set[str]()}
"""Metrics that cgroups lack within a container, by version: v1 leaves out processes of other PID namespaces."""

FIELDS = {
    (name, frozenset(metric.fixed)): f"{metric.record}.{metric.field}"
    for metric in METRICS
    for name in (metric.name, f"{metric.name}_total")  # the parser adds that to a counter which goes without
}
FIXED = {(name, label) for name, labels in FIELDS for label, _ in labels}


def test_as_a_sidecar_it_shows_what_it_shows_on_the_host(
    image: docker.DockerClient, engine: Engine, tmp_path: Path
) -> None:
    """The same series with the same labels, and values between those on the host before and after."""
    remove_containers(image)
    make_containers(image)
    names = {str(container.name) for container in image.containers.list(all=True)}
    same_ids = {"WATCHD_METRICS__CONTAINER_ID": "docker"}  # an engine does not tell its own --cgroup-parent
    sidecars = {}
    for source, mounts in SIDECARS.items():
        volumes = {str(engine.socket): {"bind": "/var/run/docker.sock"}, **mounts}
        sidecars[source] = start(
            image,
            engine,
            f"sidecar-{source}",
            volumes=volumes,
            environment=same_ids,
            healthcheck={"test": ["NONE"]},
        )
    version = Hierarchy.read(Path("/proc")).version
    with running(write_config(tmp_path, engine.host), **same_ids) as daemon:
        for source, sidecar in sidecars.items():
            shown = f'watchd_sampler_info{{source="{source}"}} 1.0'
            for ready in (shown, "watchd_container_writable_layer_bytes{"):
                told = partial(_shows, sidecar, ready)
                wait_until(told, seconds=120, what=f"{ready} of {source}")
        wait_until(lambda: "watchd_container_writable_layer_bytes" in daemon.scrape(), seconds=60, what="sizes")
        for source, sidecar in sidecars.items():
            before = _of(daemon.scrape(), names)
            inside = wait_until(partial(_newer, sidecar, before, names), seconds=60, what="a new reading")
            after = _of(daemon.scrape(), names)
            assert inside is not None
            _assert_same(before, inside, after, NOT_TOLD[version] if source == "api" else OUT_OF_SIGHT[version])
    remove_containers(image)


def _shows(container: Container, text: str) -> bool:
    return text in page(container)


Series = dict[tuple[str, Labels], float]


def _of(shown: dict[str, dict[Labels, float]], names: set[str]) -> Series:
    """The series of these containers."""
    return {
        (metric, labels): value
        for metric, series in shown.items()
        for labels, value in series.items()
        if dict(labels).get("name") in names
    }


def _newer(container: Container, before: Series, names: set[str]) -> Series | None:
    """Its metrics of these containers, from a later reading than the last; one is reused for 5 s."""
    shown = _of(series_of(page(container)), names)
    seen = {labels: value for (metric, labels), value in shown.items() if metric == "container_last_seen"}
    known = {labels: value for (metric, labels), value in before.items() if metric == "container_last_seen"}
    return shown if all(value > known.get(labels, 0) for labels, value in seen.items()) else None


def _assert_same(before: Series, inside: Series, after: Series, not_told: set[str]) -> None:
    assert len(inside) > 100
    for metric, labels in sorted(before.keys() | inside.keys() | after.keys(), key=str):
        values = (before.get((metric, labels)), inside.get((metric, labels)), after.get((metric, labels)))
        field = FIELDS[metric, frozenset((label, value) for label, value in labels if (metric, label) in FIXED)]
        if field.startswith("filesystem.") or field == "state.log" or field in not_told:
            assert values[1] is None, f"it shows {metric} {dict(labels)} after all"
        else:
            assert None not in values, f"{metric} {dict(labels)} is {values}"
            assert is_between(*values, TOLERANCE.get(field, 0)), f"{metric} {dict(labels)} is {values}"


def test_it_makes_room_on_the_disk_of_containerd(
    new_engine_directory: Callable[[], Path], watchd_tarball: Path
) -> None:
    """With containerd's store on a disk of its own, of which nothing is mounted but watchd's own root."""
    disks = {"data": 256 * filling.MEBIBYTE, "containerd": 1024 * filling.MEBIBYTE}
    newest: dict[str, Any] = {"environment": newer.environment(), "config": newer.CONTAINERD_STORE}
    with (
        Engine.start(new_engine_directory(), disks=disks, **newest) as engine,
        closing(engine.client(timeout=300)) as client,
    ):
        images.load_base(client)
        watchd_image.load(client, watchd_tarball)
        filling.fill(client)
        containerd = engine.directory / "containerd"
        low = filling.used_percent(containerd) - 100 * 0.7 * filling.EACH / disks["containerd"]
        mounts = {str(engine.socket): {"bind": "/var/run/docker.sock"}, "state": {"bind": "/var/lib/watchd"}}
        room = filling.policy(low + 0.1, low)
        container = start(client, engine, volumes=mounts, environment=room, pid_mode="host")
        try:
            wait_until(lambda: filling.used_percent(containerd) <= low, seconds=60, what="room")
            for series in (f'watchd_disk_used_bytes{{path="{containerd}"}}', 'watchd_disk_measured{kind="image"} 1.0'):
                wait_until(lambda series=series: series in page(container), seconds=30, what=series)  # type: ignore[misc]
            assert filling.left(client), "it ends at the low mark"
        finally:
            print(container.logs().decode())  # noqa: T201 - pytest shows it where a test fails


def _health(container: Container) -> str:
    container.reload()
    return str(container.attrs["State"]["Health"]["Status"])
