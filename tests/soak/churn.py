"""The load of the soak: everything that people do to containers and images, by several threads at once."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import docker
from docker.errors import APIError, BuildError, NotFound
from docker.models.containers import Container

from tests.harness import images
from tests.harness.engine import Engine

THREADS = 4
MOST_CONTAINERS = 30  # that run at a time, of each thread's
KEEPS = 8
PREFIX = "soak-"


class Churn:
    """Threads that do things to an engine, each to its own containers. `done` counts them."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self._engine = engine
        self._seed = seed
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.done: Counter[str] = Counter()
        self.removed: set[str] = set()  # IDs of containers that it was this that removed

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Do things until the end of the block."""
        threads = [threading.Thread(target=self._work, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _work(self, number: int) -> None:
        chance = random.Random(self._seed + number)  # noqa: S311 - no secret
        own: list[Container] = []
        with closing(self._engine.client()) as client:
            deeds: list[tuple[Callable[[], None], int]] = [
                (lambda: own.append(_run(client, chance, "sleep", "600")), 6),
                (lambda: own.append(_run(client, chance, "true")), 6),
                (lambda: own.append(_run(client, chance, "sh", "-c", f"sleep 0.{chance.randrange(9)}; exit 3")), 3),
                (lambda: own.append(client.containers.create(images.BASE, name=_name(chance))), 2),
                (lambda: chance.choice(own).rename(_name(chance)), 2),
                (lambda: chance.choice(own).kill(), 2),
                (lambda: chance.choice(own).restart(timeout=0), 2),
                (lambda: chance.choice(own).pause(), 1),
                (lambda: chance.choice(own).unpause(), 1),
                (lambda: self._remove(own.pop(chance.randrange(len(own)))), 3),
                (lambda: _build(client, chance), 1),
                (lambda: client.images.remove(f"built:{chance.randrange(5)}"), 1),
            ]
            names = ["run", "short", "fail", "create", "rename", "kill", "restart", "pause", "unpause", "remove"]
            names += ["build", "untag"]
            while not self._stop.is_set():
                chosen = chance.choices(range(len(deeds)), [weight for _, weight in deeds])[0]
                # It cannot be done just now. A build also fails where an image goes while it looks for its cache.
                with suppress(APIError, BuildError, NotFound, IndexError, ValueError):
                    deeds[chosen][0]()
                    with self._lock:
                        self.done[names[chosen]] += 1
                while len(own) > MOST_CONTAINERS:
                    with suppress(APIError, NotFound):
                        self._remove(own.pop(0))
            for container in own[KEEPS:]:
                with suppress(APIError, NotFound):
                    self._remove(container)

    def _remove(self, container: Container) -> None:
        container.remove(force=True)
        with self._lock:
            self.removed.add(str(container.id))


def _name(chance: random.Random) -> str:
    return f"{PREFIX}{chance.getrandbits(64):016x}"


def _run(client: docker.DockerClient, chance: random.Random, *command: str) -> Container:
    return client.containers.run(images.BASE, list(command), name=_name(chance), detach=True, network_mode="none")


def _build(client: docker.DockerClient, chance: random.Random) -> None:
    images.build(client, f"built:{chance.randrange(5)}", f"FROM {images.BASE}\nLABEL n={chance.getrandbits(64)}\n")
