"""An engine in memory, with volumes alone: what plans and runs ask of a client, and nothing else."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.unit.cleanup.builders import ENGINE
from watchd.engine.client import EngineClient
from watchd.engine.data.disks import EngineDisks
from watchd.engine.event_stream import EventStream
from watchd.engine.histories import Histories
from watchd.errors import EngineRefused, EngineUnreachable
from watchd.model import CacheRecord, Container, ContainerSize, EngineInfo, Image, Network, Volume

if TYPE_CHECKING:
    from collections.abc import Callable


class FakeEngine(EngineClient):
    """Volumes by name. `on_list` and `on_remove` are called before each list of volumes and each removal."""

    def __init__(self, directory: Path, *volumes: Volume) -> None:
        self.there = {volume.name: volume for volume in volumes}
        self.removed: list[str] = []
        self.lists = 0
        self.on_list: Callable[[], object] = lambda: None
        self.on_remove: Callable[[], object] = lambda: None
        self._root = directory
        self.disks = EngineDisks()
        self._histories = Histories()
        self._measuring = threading.Lock()
        (directory / "engine-id").write_text(ENGINE.id)  # proves that its data is here

    def close(self) -> None:
        pass

    def info(self) -> EngineInfo:
        return replace(ENGINE, root_dir=str(self._root))

    def volumes(self) -> list[Volume]:
        self.lists += 1
        self.on_list()
        return list(self.there.values())

    def volume(self, name: str) -> Volume:
        if name not in self.there:
            raise EngineRefused("no such volume", 404)
        return self.there[name]

    def remove_volume(self, name: str) -> None:
        self.on_remove()
        del self.there[name]
        self.removed.append(name)

    def containers(self) -> list[Container]:
        return []

    def container_references(self, *, since: str = "") -> list[Container]:  # noqa: ARG002 - the client's
        return []

    def container_sizes(self, ids: Sequence[str] = ()) -> dict[str, ContainerSize]:  # noqa: ARG002 - the client's
        return {}

    def images(self) -> list[Image]:
        return []

    def networks(self) -> list[Network]:
        return []

    def volume_sizes(self) -> dict[str, int]:
        return dict.fromkeys(self.there, 10)

    def build_cache(self) -> list[CacheRecord]:
        return []

    def events(
        self, since_nano: int | None = None, *, types: Sequence[str] = (), actions: Sequence[str] = ()
    ) -> EventStream:
        raise EngineUnreachable(f"no events of {types} {actions} since {since_nano}")
