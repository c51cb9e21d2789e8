"""The policies that mean `docker container prune` and `docker image prune` select what the engine's own commands do.

On many hosts, drawn at random, on a real engine: it prunes after watchd has said what it would remove. Where both are
meant to differ (ages, protections) the policies opt out, or such hosts are not drawn.
"""

import io
import random
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.harness import images, newer
from tests.harness.engine import Engine
from tests.harness.install import UnavailableError
from tests.unit.settings import checked
from watchd.cleanup.observe.observer import Observer
from watchd.cleanup.plan.reasons import Reason
from watchd.cleanup.run.planning import look_and_plan
from watchd.config import Cleanup
from watchd.config.schema.config import Engine as EngineConfig
from watchd.engine.client import EngineClient
from watchd.model import Key

STATES = 50
ENGINES = 2

AS_PRUNE = checked(
    Cleanup,
    {
        "mode": "enforce",
        "grace": "0s",
        "honor_labels": False,
        "policies": [
            {
                "name": "exited",
                "kind": "container",
                "when": {"finished_for": "0s"},
                "restart_policy": "ignore",
                "compose_active": "ignore",
            },
            {
                "name": "created",
                "kind": "container",
                "when": {"never_started_for": "0s"},
                "restart_policy": "ignore",
                "compose_active": "ignore",
            },
            {
                "name": "dangling",
                "kind": "image",
                "select": {"class": ["dangling"]},
                "when": {"dangling_for": "0s"},
                "compose_active": "ignore",
            },
        ],
    },
)
PROJECT = {"com.docker.compose.project": "shop", "watchd.keep": "true"}


class Host:
    """Containers and images on an engine, some of which its own prune would take.

    What there is to be is drawn first. It is then made side by side, where neither needs the other.
    """

    def __init__(self, client: docker.DockerClient, draw: random.Random) -> None:
        self.client = client
        self.draw = draw
        self.numbers = iter(range(10**6))

    def make(self) -> None:
        """Make some of everything."""
        layers = [(f"i{next(self.numbers)}", self.draw.randbytes(64)) for _ in range(self.draw.randint(1, 4))]
        children = [
            (f"child{next(self.numbers)}:1", self.draw.randrange(len(layers)), self.draw.random())
            for _ in range(self.draw.randint(0, 2))
        ]
        number = len(layers) + len(children)
        containers = [self._draw_container(number) for _ in range(self.draw.randint(0, 4))]
        renames = [self.draw.choice(["untag", "untag", "tag", "leave"]) for _ in range(number)]
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda layer: self._import(*layer), layers))
            # One after the other: two of the same parent have a step in common, which the second takes from the first.
            made += [self._build(name, made[parent], label) for name, parent, label in children]
            list(pool.map(lambda drawn: self._contain([images.BASE, *made], *drawn), containers))
        for image, what in zip(made, renames, strict=True):
            self._rename(image, what)

    def _import(self, name: str, data: bytes) -> str:
        """Import an image of a file of its own, with one tag or none."""
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as tar:
            member = tarfile.TarInfo("f")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        reply = self.client.api.import_image_from_data(content.getvalue(), repository=name, tag="1")
        return str(reply).partition('"status":"')[2].partition('"')[0]

    def _build(self, name: str, parent: str, label: float) -> str:
        """Build an image on another one; the classic builder remembers which."""
        return images.build(self.client, name, f"FROM {parent}\nLABEL l=1\nLABEL m={label}\n")

    def _draw_container(self, number: int) -> tuple[int, str, dict[str, Any]]:
        """Draw a container: of which of the base image and so many others, its state and options."""
        image = self.draw.randrange(1 + number)
        state = self.draw.choice(["created", "created", "exited", "running", "paused"])
        options: dict[str, Any] = {"command": ["sleep", "600"], "labels": self.draw.choice([{}, PROJECT])}
        if self.draw.random() < 0.3:
            options["restart_policy"] = {"Name": "unless-stopped"}
        return image, state, options

    def _contain(self, made: Sequence[str], image: int, state: str, options: dict[str, Any]) -> None:
        if state == "created":
            self.client.containers.create(made[image], **options)
            return
        container = self.client.containers.create(images.BASE, network_mode="none", **options)
        container.start()
        if state == "exited":
            container.kill()
            container.wait()
        elif state == "paused":
            container.pause()

    def _rename(self, image: str, what: str) -> None:
        """Take its tag off, give it another one, or leave it."""
        found = self.client.images.get(image)
        if what == "tag":
            found.tag(f"also{next(self.numbers)}", "1")
        elif what == "untag" and len(found.tags) == 1:
            # Another image takes the tag, as in a build that is done again: a container of it is no hindrance then.
            self.client.images.get(images.BASE).tag(found.tags[0])

    def clear(self) -> None:
        """Remove what is left."""
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda container: container.remove(force=True), self.client.containers.list(all=True)))
        for image in self.client.images.list():
            for tag in set(image.tags) - {images.BASE}:
                self.client.images.remove(tag)


def test_the_same_objects_go_on_many_hosts(new_engine_directory: Callable[[], Path]) -> None:
    compare(new_engine_directory)


def test_the_same_objects_go_where_containerd_keeps_the_images(new_engine_directory: Callable[[], Path]) -> None:
    try:
        environment = newer.environment()
    except UnavailableError as error:
        pytest.skip(str(error))
    compare(new_engine_directory, config=newer.CONTAINERD_STORE, environment=environment)


def compare(new_engine_directory: Callable[[], Path], **options: Any) -> None:
    """Have watchd say what it would remove on each of many hosts, and the engine prune: on two engines at a time."""
    with ExitStack() as stack:
        engines = [stack.enter_context(Engine.start(new_engine_directory(), **options)) for _ in range(ENGINES)]
        with ThreadPoolExecutor() as pool:
            states = [range(number, STATES, ENGINES) for number in range(ENGINES)]
            seen = sum(pool.map(compare_on, engines, states), Counter[str]())
    assert min(seen["container"], seen["image"]) > STATES, "hosts of which something goes are what this is about"


def compare_on(engine: Engine, states: Iterable[int]) -> Counter[str]:
    """Compare on these hosts. Return how many objects of each kind went."""
    own = EngineClient(EngineConfig(host=engine.host), read_only=True)
    seen: Counter[str] = Counter()
    with closing(engine.client()) as client:
        images.load_base(client)
        on_containerd = ["driver-type", "io.containerd.snapshotter.v1"] in client.info()["DriverStatus"]
        assert on_containerd == (engine.config == newer.CONTAINERD_STORE)
        for state in states:
            host = Host(client, random.Random(state))  # noqa: S311 - for tests
            host.make()
            prepared = look_and_plan(own, AS_PRUNE, Observer(None, writable=False, count_unwatched=False))
            planned = {item.subject for item in prepared.plan.in_force if item.action == "remove"}
            there = {subject.key for subject in prepared.view.subjects()}
            # containerd's store lets go of what a classic build left between an image and its base; watchd never takes
            # an image that another one was built on.
            parents = {item.subject for item in prepared.plan.items if item.reason is Reason.HAS_CHILDREN}
            assert planned == (pruned(client) & there) - parents, f"host {state}"
            seen.update(kind for kind, _ in planned)
            host.clear()
    own.close()
    return seen


def pruned(client: docker.DockerClient) -> set[Key]:
    """Have the engine prune, and return what it took: layers too, by whatever it calls them."""
    containers = client.containers.prune()["ContainersDeleted"] or []
    deleted = client.images.prune(filters={"dangling": True})["ImagesDeleted"] or []
    taken: set[Key] = {("container", id_) for id_ in containers}
    return taken | {("image", entry["Deleted"]) for entry in deleted if "Deleted" in entry}
