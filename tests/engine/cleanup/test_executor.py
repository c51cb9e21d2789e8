"""Carrying a plan out on a real engine, where something always happens between deciding and doing."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from tests.harness import images
from tests.harness.bound import bound
from tests.harness.engine import Engine
from tests.harness.waiting import slowdown, wait_until
from tests.unit.settings import checked
from watchd.cleanup.observe.observer import Observer
from watchd.cleanup.plan.plan import Item, Outcome
from watchd.cleanup.plan.planner import Trigger
from watchd.cleanup.run.control import RunControl
from watchd.cleanup.run.planning import Prepared, look_and_plan
from watchd.cleanup.run.run import RunContext, execute, room_for
from watchd.cleanup.run.run_events import RunEvents
from watchd.config import Cleanup
from watchd.config.schema.config import Engine as EngineConfig
from watchd.engine.client import EngineClient
from watchd.errors import StateError
from watchd.model import Event
from watchd.store import Removal, Store

pytestmark = pytest.mark.newest

EVERYTHING_UNUSED = checked(
    Cleanup,
    {
        "mode": "enforce",
        "grace": "0s",
        "protect": {"images": ["base"]},
        "policies": [
            {"name": "containers", "kind": "container", "when": {"finished_for": "0s"}},
            {"name": "images", "kind": "image", "when": {"unused_for": "0s"}},
            {"name": "networks", "kind": "network", "when": {"unused_for": "0s"}},
            {
                "name": "volumes",
                "kind": "volume",
                "when": {"unused_for": "0s"},
                "select": {"named": True, "name": ["*"], "driver": "local"},
            },
        ],
    },
)


class Cleaner(RunControl):
    """Plan and execute on the engine under test, as the commands do."""

    def __init__(self, host: str, directory: Path) -> None:
        super().__init__()
        self.client = EngineClient(EngineConfig(host=host), read_only=False)
        self.store = Store.open(directory)
        self.observer = Observer(self.store, writable=True, count_unwatched=False)
        self.told: list[str] = []

    def prepare(self) -> Prepared:
        return look_and_plan(self.client, EVERYTHING_UNUSED, self.observer)

    def carry_out(self, prepared: Prepared) -> dict[tuple[str, str], str]:
        context = RunContext(self.client, self.store, self.observer, EVERYTHING_UNUSED)
        outcomes = execute(prepared, context, self, room_for(prepared, context))
        return {(action, name): outcome.value for (_, _, action, name), outcome in outcomes.items()}

    def on_outcome(self, item: Item, outcome: Outcome, detail: str) -> None:
        self.told.append(f"{outcome} {item.name} {detail}")


@pytest.fixture
def cleaner(clean_engine: Engine, tmp_path: Path) -> Iterator[Cleaner]:
    cleaner = Cleaner(clean_engine.host, tmp_path / "state")
    yield cleaner
    cleaner.client.close()
    cleaner.store.close()


def ended(client: docker.DockerClient, name: str, image: str = images.BASE) -> Container:
    container = client.containers.run(image, ["true"], name=name, detach=True)
    container.wait()
    return container


def build(client: docker.DockerClient, tag: str, base: str = images.BASE) -> str:
    return images.build(client, tag, f"FROM {base}\nCOPY f /f\n", {"f": os.urandom(1000)})


def image_tags(client: docker.DockerClient) -> set[str]:
    return {tag for image in client.images.list(all=True) for tag in image.tags}


def test_an_image_that_was_built_on_meanwhile_stays(cleaner: Cleaner, clean_engine: Engine) -> None:
    images.build_with_buildkit(clean_engine.host, f"FROM {images.BASE}\nRUN echo base > /base\n", "--tag", "corp:1")
    prepared = cleaner.prepare()
    images.build_with_buildkit(clean_engine.host, "FROM corp:1\nRUN echo app > /app\n", "--tag", "app:1")
    cleaner.prepare()  # as the daemon does, or another command
    assert cleaner.carry_out(prepared) == {("remove", "corp:1"): "drifted"}
    assert "was built on it" in cleaner.told[0]


def test_a_container_that_runs_again_has_drifted(cleaner: Cleaner, docker_client: docker.DockerClient) -> None:
    container = docker_client.containers.run(images.BASE, ["sleep", "600"], name="again", detach=True)
    container.kill()
    prepared = cleaner.prepare()
    container.start()
    assert cleaner.carry_out(prepared) == {("remove", "again"): "drifted"}
    assert cleaner.told == ["drifted again it is running now"]
    container.reload()
    assert container.status == "running"


def test_a_container_that_ran_in_between_has_drifted(cleaner: Cleaner, docker_client: docker.DockerClient) -> None:
    container = ended(docker_client, "short")
    prepared = cleaner.prepare()
    container.start()
    container.wait()
    assert cleaner.carry_out(prepared) == {("remove", "short"): "drifted"}


def test_a_renamed_container_has_drifted(cleaner: Cleaner, docker_client: docker.DockerClient) -> None:
    container = ended(docker_client, "old")
    prepared = cleaner.prepare()
    container.rename("precious")
    assert cleaner.carry_out(prepared) == {("remove", "old"): "drifted"}


def test_what_someone_else_removed_is_already_gone(cleaner: Cleaner, docker_client: docker.DockerClient) -> None:
    container = ended(docker_client, "gone")
    build(docker_client, "gone:1")
    prepared = cleaner.prepare()
    container.remove()
    docker_client.images.remove("gone:1")
    assert cleaner.carry_out(prepared) == {("remove", "gone"): "already_gone", ("remove", "gone:1"): "already_gone"}


def test_an_image_whose_container_stays_is_deferred(cleaner: Cleaner, docker_client: docker.DockerClient) -> None:
    build(docker_client, "app:1")
    container = ended(docker_client, "user", "app:1")
    prepared = cleaner.prepare()
    container.start()
    container.wait()
    assert cleaner.carry_out(prepared) == {("remove", "user"): "drifted", ("remove", "app:1"): "deferred"}
    assert "app:1" in image_tags(docker_client)


def test_a_parent_whose_child_stays_is_deferred(cleaner: Cleaner, docker_client: docker.DockerClient) -> None:
    build(docker_client, "parent:1")
    build(docker_client, "child:1", base="parent:1")
    prepared = cleaner.prepare()
    docker_client.images.get("child:1").tag("child", "new")
    assert cleaner.carry_out(prepared) == {("remove", "child:1"): "drifted", ("remove", "parent:1"): "deferred"}


def test_a_tag_that_moved_to_another_image_stays_there(cleaner: Cleaner, docker_client: docker.DockerClient) -> None:
    build(docker_client, "app:1")
    docker_client.images.get("app:1").tag("app", "2")
    prepared = cleaner.prepare()
    new = build(docker_client, "app:2")
    assert cleaner.carry_out(prepared) == {("untag", "app:2"): "drifted", ("remove", "app:1"): "deferred"}
    assert docker_client.images.get("app:2").id == new


def test_an_image_that_a_container_came_to_use_keeps_all_its_tags(
    cleaner: Cleaner, docker_client: docker.DockerClient
) -> None:
    build(docker_client, "app:1")
    docker_client.images.get("app:1").tag("app", "2")
    prepared = cleaner.prepare()
    docker_client.containers.create("app:1", name="newcomer")
    assert cleaner.carry_out(prepared) == {("untag", "app:2"): "drifted", ("remove", "app:1"): "deferred"}
    assert {"app:1", "app:2"} <= image_tags(docker_client)


def test_what_belongs_to_a_project_that_started_since_the_plan_stays(
    cleaner: Cleaner, docker_client: docker.DockerClient
) -> None:
    labels = {"com.docker.compose.project": "shop"}
    dockerfile = f"FROM {images.BASE}\nCOPY f /f\nLABEL com.docker.compose.project=shop\n"
    images.build(docker_client, "job:1", dockerfile, {"f": b""})
    docker_client.networks.create("back", labels=labels)
    docker_client.containers.run(images.BASE, ["true"], name="migrate", labels=labels, detach=True).wait()
    prepared = cleaner.prepare()
    docker_client.containers.run(images.BASE, ["sleep", "600"], name="web", labels=labels, detach=True)
    outcomes = cleaner.carry_out(prepared)
    names = ("migrate", "job:1", "back")
    assert [outcomes["remove", name] for name in names] == ["drifted"] * 3
    told = [f"drifted {name} its Compose project shop runs now" for name in names]
    assert [line for line in cleaner.told if line.startswith("drifted")] == told


@pytest.mark.newest(unless="containerd's store does not refuse it")
def test_a_new_child_makes_the_engine_refuse(cleaner: Cleaner, docker_client: docker.DockerClient) -> None:
    build(docker_client, "parent:1")
    prepared = cleaner.prepare()
    build(docker_client, "child:1", base="parent:1")
    assert cleaner.carry_out(prepared) == {("remove", "parent:1"): "refused"}
    assert "dependent child images" in cleaner.told[0]


def test_one_failure_ends_nothing_else(cleaner: Cleaner, docker_client: docker.DockerClient) -> None:
    first, second = ended(docker_client, "first"), ended(docker_client, "second")
    prepared = cleaner.prepare()
    first.start()
    first.wait()
    assert cleaner.carry_out(prepared) == {("remove", "first"): "drifted", ("remove", "second"): "removed"}
    assert second.id not in {container.id for container in docker_client.containers.list(all=True)}


def test_untagged_parents_stay_when_only_the_child_goes(cleaner: Cleaner, docker_client: docker.DockerClient) -> None:
    """The engine itself would take an untagged parent along with its last child."""
    parent = build(docker_client, "parent:1")
    docker_client.containers.create("parent:1", name="needs-parent")
    build(docker_client, "child:1", base="parent:1")
    docker_client.images.remove("parent:1", force=True)
    assert cleaner.carry_out(cleaner.prepare()) == {("remove", "child:1"): "removed"}
    assert parent in {image.id for image in docker_client.images.list(all=True)}


def test_an_anonymous_volume_stays(cleaner: Cleaner, docker_client: docker.DockerClient) -> None:
    docker_client.containers.run(images.BASE, ["true"], name="with-volume", detach=True, volumes=["/data"]).wait()
    assert len(docker_client.volumes.list()) == 1
    assert cleaner.carry_out(cleaner.prepare()) == {("remove", "with-volume"): "removed"}
    assert len(docker_client.volumes.list()) == 1


def test_a_stop_ends_the_run_after_the_item_in_hand(cleaner: Cleaner, docker_client: docker.DockerClient) -> None:
    ended(docker_client, "first")
    ended(docker_client, "second")
    cleaner.stop.set()
    assert cleaner.carry_out(cleaner.prepare()) == {}
    assert len(docker_client.containers.list(all=True)) == 2


def test_what_cannot_be_recorded_is_not_removed(
    cleaner: Cleaner, docker_client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_removals: list[Removal]) -> list[int]:
        raise StateError("the disk is full")

    ended(docker_client, "kept")
    prepared = cleaner.prepare()
    monkeypatch.setattr(cleaner.store, "record_all", full)
    assert cleaner.carry_out(prepared) == {("remove", "kept"): "failed"}
    assert cleaner.told == ["failed kept it cannot be recorded, so it stays: the disk is full"]
    assert len(docker_client.containers.list(all=True)) == 1


@pytest.mark.parametrize("lose", [Engine.kill, Engine.pause])
def test_an_engine_that_is_lost_midway_is_an_outcome(
    engine_directory: Path, tmp_path: Path, lose: Callable[[Engine], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults = EngineClient._json.__kwdefaults__
    assert defaults is not None
    with Engine.start(engine_directory) as engine:
        with closing(engine.client()) as client:
            images.load_base(client)
            ended(client, "left")
        cleaner = Cleaner(engine.host, tmp_path / "state")
        prepared = cleaner.prepare()
        monkeypatch.setitem(defaults, "timeout", 1.0)  # seconds, of what has no other
        lose(engine)
        assert cleaner.carry_out(prepared) == {("remove", "left"): "failed"}
        assert engine.host in cleaner.told[0]
        if lose is Engine.pause:
            engine.resume()
        cleaner.store.close()


def test_a_volume_or_network_that_came_into_use_since_the_plan_stays(
    cleaner: Cleaner, docker_client: docker.DockerClient
) -> None:
    docker_client.volumes.create("data")
    docker_client.networks.create("net")
    prepared = cleaner.prepare()
    docker_client.containers.create(images.BASE, name="new", volumes=["data:/data"], network="net")
    assert cleaner.carry_out(prepared) == {("remove", "data"): "refused", ("remove", "net"): "drifted"}
    drifted, refused = sorted(cleaner.told)
    assert drifted == "drifted net container new is attached to it now"
    assert "volume is in use" in refused


def test_a_volume_that_came_into_use_unseen_by_the_watch_stays(
    cleaner: Cleaner, docker_client: docker.DockerClient
) -> None:
    for name in ("data", "free"):
        docker_client.volumes.create(name)
    followed = cleaner.prepare().view
    docker_client.containers.create(images.BASE, name="new", volumes=["data:/data"])
    (volumes,) = (policy for policy in EVERYTHING_UNUSED.policies if policy.kind == "volume")
    only = replace(EVERYTHING_UNUSED, policies=(volumes,))
    prepared = look_and_plan(cleaner.client, only, cleaner.observer, followed=followed)
    assert cleaner.carry_out(prepared) == {("remove", "data"): "refused", ("remove", "free"): "removed"}


def test_a_container_that_was_started_unseen_by_the_watch_stays_and_its_volume(
    cleaner: Cleaner, docker_client: docker.DockerClient
) -> None:
    again, ended = (
        docker_client.containers.create(images.BASE, command, name=name, volumes=["/data"])
        for name, command in (("again", ["sh", "-c", "test -e /data/f && sleep 600; touch /data/f"]), ("ended", "true"))
    )
    for each in (again, ended):
        each.start()
        each.wait()
    followed = cleaner.prepare().view
    again.start()
    (containers,) = (policy for policy in EVERYTHING_UNUSED.policies if policy.kind == "container")
    along = replace(EVERYTHING_UNUSED, policies=(replace(containers, anonymous_volumes=True),))
    trigger = Trigger(due=("containers",))
    prepared = look_and_plan(cleaner.client, along, cleaner.observer, trigger, followed=followed)
    outcomes = cleaner.carry_out(prepared)
    assert outcomes.pop(("remove", "again")) == "drifted"
    assert outcomes.pop(("remove", "ended")) == "removed"
    assert sorted(outcomes.values()) == ["deferred", "removed"], "a volume stays as its container does"
    again.reload()
    assert again.status == "running"


def test_what_comes_into_use_while_others_go_stays(
    cleaner: Cleaner, docker_client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The containers were listed a moment ago, and an event tells that the list is not true any more."""
    networks = [docker_client.networks.create(name) for name in ("a", "b", "c")]
    known = threading.Event()
    take = RunEvents._take

    def note(events: RunEvents, event: Event) -> None:
        take(events, event)
        if (event.type, event.action) == ("container", "create"):
            known.set()

    def use_the_next(item: Item, _outcome: Outcome, _detail: str) -> None:
        if item.name == "a":
            docker_client.containers.create(images.BASE, name="new", network="b")
            assert known.wait(30 * slowdown()), "the run follows the events"

    monkeypatch.setattr(RunEvents, "_take", note)
    monkeypatch.setattr(cleaner, "on_outcome", use_the_next)
    outcomes = cleaner.carry_out(cleaner.prepare())
    assert outcomes == {("remove", "a"): "removed", ("remove", "b"): "drifted", ("remove", "c"): "removed"}
    assert {network.id for network in docker_client.networks.list()} > {networks[1].id}


def test_a_volume_that_something_was_mounted_at_since_the_plan_stays(
    cleaner: Cleaner, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    options = {"type": "none", "o": "bind", "device": str(tmp_path)}
    point = docker_client.volumes.create("bound", driver_opts=options).attrs["Mountpoint"]
    prepared = cleaner.prepare()
    with bound(tmp_path, point):
        assert cleaner.carry_out(prepared) == {("remove", "bound"): "drifted"}
    assert cleaner.carry_out(cleaner.prepare()) == {("remove", "bound"): "removed"}


def test_a_volume_made_again_since_the_plan_is_another_one(
    cleaner: Cleaner, docker_client: docker.DockerClient
) -> None:
    volume = docker_client.volumes.create("data")
    prepared = cleaner.prepare()
    volume.remove()
    wait_until(lambda: _made_anew(docker_client, volume.attrs["CreatedAt"]), seconds=5, what="another second to begin")
    assert cleaner.carry_out(prepared) == {("remove", "data"): "drifted"}


def _made_anew(client: docker.DockerClient, created: str) -> bool:
    """Make the volume; its creation is told to the second alone."""
    volume = client.volumes.create("data")
    if volume.attrs["CreatedAt"] != created:
        return True
    volume.remove()
    return False


def test_a_volume_or_network_that_someone_else_removed_is_already_gone(
    cleaner: Cleaner, docker_client: docker.DockerClient
) -> None:
    volume = docker_client.volumes.create("data")
    network = docker_client.networks.create("net")
    prepared = cleaner.prepare()
    volume.remove()
    network.remove()
    assert cleaner.carry_out(prepared) == {("remove", "data"): "already_gone", ("remove", "net"): "already_gone"}
