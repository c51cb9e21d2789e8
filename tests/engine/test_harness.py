"""The harness does what it says: its engines are private, survive crashes, and leave nothing behind."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from tests import ROOT
from tests.harness import __main__ as commands
from tests.harness import demo, images, mountinfo, rootless
from tests.harness.engine import Engine, EngineError, answers
from tests.harness.process import Process, left_behind, of_users
from tests.harness.rootless import Rootless
from tests.harness.user import SUBORDINATE
from tests.harness.waiting import wait_until
from tests.unit.config.test_docker_cli import add_context


@contextmanager
def sleeping_container(engine: Engine) -> Iterator[Container]:
    """A running container. It is stopped by SIGKILL, for `sleep` ignores SIGTERM as the first process."""
    with closing(engine.client()) as client:
        images.load_base(client)
        yield client.containers.run(
            images.BASE, ["sleep", "1000"], name="sleeper", detach=True, stop_signal="SIGKILL", ports={"80/tcp": 80}
        )


def test_engine_has_its_own_cgroup_and_network(clean_engine: Engine) -> None:
    with sleeping_container(clean_engine) as container:
        container.reload()
        pid = container.attrs["State"]["Pid"]

        assert clean_engine.cgroup_parent in Path(f"/proc/{pid}/cgroup").read_text()
        assert not Path("/proc/self/ns/net").samefile(f"/proc/{clean_engine.pid}/ns/net")
        assert clean_engine.network.samefile(f"/proc/{clean_engine.pid}/ns/net")


def test_engines_run_side_by_side_and_each_refuses_to_be_taken_for_another(
    docker_client: docker.DockerClient, engine_directory: Path
) -> None:
    with Engine.start(engine_directory) as other, closing(other.client()) as other_client:
        assert other_client.info()["ID"] != docker_client.info()["ID"]
        other.check_is_mine(other_client)
        with pytest.raises(EngineError, match="has its data in"):
            other.check_is_mine(docker_client)


def test_an_ordinary_users_engine_leaves_nothing_behind_after_a_crash(
    new_engine_directory: Callable[[], Path],
) -> None:
    rootless.ensure()
    directory = new_engine_directory()
    with Rootless.start(directory) as engine, closing(engine.client()) as client:
        images.load_base(client)
        client.containers.run(images.BASE, ["sleep", "1000"], detach=True)
        users = range(engine.uid, engine.uid + 1 + SUBORDINATE)
        engine.kill()
        assert of_users(users), "the container and its shim"

        Rootless.attach(directory).stop()
        assert not of_users(users)
        assert not directory.exists()
        assert not mountinfo.mounts_below(directory)


def test_engine_starts_again_after_a_crash_in_the_same_network(engine_directory: Path) -> None:
    with Engine.start(engine_directory) as engine, sleeping_container(engine) as container:
        before = engine.pid
        engine.kill()
        assert not engine.is_running

        engine.start_again()

        assert engine.pid != before
        assert engine.network.samefile(f"/proc/{engine.pid}/ns/net")
        container.reload()
        assert container.status == "exited"


def test_engine_restarts(engine_directory: Path) -> None:
    with Engine.start(engine_directory) as engine, sleeping_container(engine) as container:
        before = engine.pid
        engine.restart()

        assert engine.pid != before
        container.reload()
        assert container.status == "exited"


def test_paused_engine_does_not_answer(engine: Engine) -> None:
    engine.pause()
    try:
        assert not answers(engine.socket, seconds=0.2)
    finally:
        engine.resume()
    wait_until(lambda: answers(engine.socket), seconds=10, what="the engine to answer again")


@pytest.mark.parametrize("how", ["running", "paused", "crashed"])
def test_stop_leaves_nothing_behind(engine_directory: Path, how: str) -> None:
    engine = Engine.start(engine_directory)
    with sleeping_container(engine) as container:
        container.reload()
        container_process = Process.of(container.attrs["State"]["Pid"])
    assert container_process.is_alive()
    assert mountinfo.mounts_below(engine.directory)
    assert mountinfo.cgroups(engine.cgroup_parent)
    if how == "paused":
        engine.pause()
    if how == "crashed":
        engine.kill()

    engine.stop()

    assert not engine.is_running
    assert not container_process.is_alive()
    assert not mountinfo.mounts_below(engine.directory)
    assert not mountinfo.cgroups(engine.cgroup_parent)
    assert not engine.directory.exists()
    assert not _processes_naming(engine.directory)


def _processes_naming(directory: Path) -> list[str]:
    found = []
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            found.append(cmdline.read_text(errors="replace"))
    return [command for command in found if str(directory) in command]


def test_left_behind_finds_only_what_is_in_the_engines_network(engine: Engine) -> None:
    with subprocess.Popen(["sleep", "1000", str(engine.directory / "x")]) as bystander:
        try:
            assert bystander.pid not in [process.pid for process in left_behind(engine.directory, engine.network)]
        finally:
            bystander.kill()


def test_engine_that_does_not_start_says_why_and_leaves_nothing_behind(engine_directory: Path) -> None:
    with pytest.raises(EngineError, match="--no-such-flag"):
        Engine.start(engine_directory, dockerd_args=["--no-such-flag"])

    assert not engine_directory.exists()


def test_another_process_finds_the_engine_by_its_directory_and_stops_it(engine_directory: Path) -> None:
    engine = Engine.start(engine_directory)
    script = (
        "import pathlib, sys; from tests.harness.engine import Engine; Engine.attach(pathlib.Path(sys.argv[1])).stop()"
    )

    subprocess.run([sys.executable, "-c", script, engine_directory], check=True, cwd=ROOT)

    assert not engine.is_running
    assert not engine_directory.exists()


def test_demonstration_is_made_once(clean_engine: Engine, docker_client: docker.DockerClient) -> None:
    demo.set_up(docker_client)
    containers = {container.id for container in docker_client.containers.list(all=True)}
    dangling = docker_client.images.list(filters={"dangling": True})

    demo.set_up(docker_client)

    assert {container.id for container in docker_client.containers.list(all=True)} == containers
    assert docker_client.images.list(filters={"dangling": True}) == dangling
    assert len(dangling) == 1
    assert docker_client.containers.get("nightly-report").status == "exited"
    fetch = clean_engine.inside("busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:8000/")
    page = wait_until(
        lambda: subprocess.run(fetch, check=False, capture_output=True).stdout, seconds=10, what="my-python-app"
    )
    assert page == demo.APP_PAGE


@pytest.mark.parametrize("named_by", ["DOCKER_HOST", "context"])
def test_run_takes_the_engine_that_answers_and_makes_nothing_on_it(
    clean_engine: Engine,
    docker_client: docker.DockerClient,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    named_by: str,
) -> None:
    executed: list[list[str]] = []
    if named_by == "DOCKER_HOST":
        monkeypatch.setenv("DOCKER_HOST", clean_engine.host)
    else:
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        add_context(tmp_path, "mine", clean_engine.host)
    monkeypatch.setattr(commands, "CONFIG", tmp_path / "run/config.toml")
    monkeypatch.setattr(os, "execv", lambda _, arguments: executed.append(arguments))

    assert commands.main(["run"]) == 0

    [[_, *arguments]] = executed
    assert arguments == ["run", "-c", str(commands.CONFIG)]
    assert tomllib.loads(commands.CONFIG.read_text())["engine"] == {"host": clean_engine.host}
    assert docker_client.containers.list(all=True) == []


@pytest.mark.newest(stores="both")
def test_buildkit_builds_on_each_store(clean_engine: Engine, docker_client: docker.DockerClient) -> None:
    dockerfile = f"FROM {images.BASE}\nCOPY content /content\n"
    built = [
        images.build_with_buildkit(clean_engine.host, dockerfile, "--tag", "web:1", files={"content": content})
        for content in (b"first", b"second")
    ]
    assert docker_client.images.get("web:1").id == built[1]
    assert docker_client.images.get("web:1").attrs.get("Parent", "") == "", "BuildKit records none"
    keeps_untagged = docker_client.info()["Driver"] == "overlay2"
    assert (built[0] in {image.id for image in docker_client.images.list()}) == keeps_untagged
