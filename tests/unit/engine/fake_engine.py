"""An engine in memory for the watch: what it lists, what one of it is, and the events that a test lets it tell."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tests.unit.cleanup.builders import ENGINE
from watchd.engine.data.disks import EngineDisks
from watchd.errors import EngineRefused, EngineUnreachable
from watchd.model import Container, EngineInfo, Event, Image, Layer, Network, Service, Subject, Volume
from watchd.model.names.references import normalize
from watchd.model.objects.parts import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from watchd.engine.client import EngineClient

T = TypeVar("T", bound=Subject)


class FakeEngine:
    """Objects by ID. `asked` is every request; `failing` has what a request raises, by its name."""

    host = "unix:///fake"
    progress = staticmethod(lambda inspected, _: inspected)

    def __init__(self, *subjects: Subject) -> None:
        self.subjects: dict[tuple[str, str], Subject] = {subject.key: subject for subject in subjects}
        self.asked: list[str] = []
        self.disks = EngineDisks()
        self.failing: dict[str, Exception] = {}
        self.past: list[Event] = []
        self.engine: EngineInfo = ENGINE

    @property
    def client(self) -> "EngineClient":
        return cast("EngineClient", self)

    def image_parts(self) -> dict[str, tuple[Part, ...]]:
        return {}

    def histories(self, _: "Iterable[str]") -> dict[str, tuple[Layer, ...]]:
        return {}

    def add(self, *subjects: Subject) -> None:
        self.subjects |= {subject.key: subject for subject in subjects}

    def remove(self, *subjects: Subject) -> None:
        for subject in subjects:
            del self.subjects[subject.key]

    def ping(self) -> None:
        self._ask("ping")

    def info(self) -> EngineInfo:
        self._ask("info")
        return self.engine

    def container_references(self) -> list[Container]:
        return self._all("containers", Container)

    def inspect_all(self, listed: "Iterable[Container]") -> "Iterator[Container | None]":
        for each in listed:
            try:
                yield self.container(each.id)
            except EngineRefused:
                yield None

    def container(self, id_: str) -> Container:
        return self._one("container", id_, Container)

    def image_references(self) -> list[Image]:
        return [replace(image, layers=None) for image in self._all("images", Image)]

    def image(self, reference: str) -> Image:
        self._ask(f"image {reference}")
        for image in self._objects(Image):
            if reference == image.id or normalize(reference) in map(normalize, image.references):
                return image
        raise EngineRefused("no such image", 404)

    def networks(self) -> list[Network]:
        return self._all("networks", Network)

    def network(self, id_: str) -> Network:
        return self._one("network", id_, Network)

    def volumes(self) -> list[Volume]:
        return self._all("volumes", Volume)

    def volume(self, name: str) -> Volume:
        return self._one("volume", name, Volume)

    def services(self) -> list[Service]:
        self._ask("services")
        return []

    def past_events(self, since_nano: int, until: float) -> list[Event]:
        self._ask("past events")
        return [event for event in self.past if since_nano <= event.time_nano <= until * 1e9]

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        error = self.failing.get(what.partition(" ")[0])
        if error is not None:
            raise error

    def _objects(self, type_: type[T]) -> list[T]:
        return [subject for subject in self.subjects.values() if isinstance(subject, type_)]

    def _all(self, what: str, type_: type[T]) -> list[T]:
        self._ask(what)
        return self._objects(type_)

    def _one(self, kind: str, id_: str, type_: type[T]) -> T:
        self._ask(f"{kind} {id_}")
        found = self.subjects.get((kind, id_))
        if not isinstance(found, type_):
            raise EngineRefused("no such object", 404)
        return found


def refused(status: int = 403) -> EngineRefused:
    return EngineRefused("not for you", status)


def unreachable() -> EngineUnreachable:
    return EngineUnreachable("no answer in time")


def event(type_: str, action: str, id_: str, at: float = 0.0, **attributes: Any) -> Event:
    return Event(type_, action, id_, int(at * 1e9), attributes)
