"""Bring the mirror up to date: by full lists, and by one look at each object that events are about."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import requests

from watchd.engine.client import EngineClient
from watchd.engine.decode.fields import MalformedReply
from watchd.engine.watch.affected import Affected, affected
from watchd.engine.watch.drift import differences
from watchd.engine.watch.mirror import Mirror
from watchd.errors import EngineError, EngineRefused
from watchd.model import UNKNOWN_ENGINE, EngineInfo, Event, Image, Key, Kind, Listing, Subject

logger = logging.getLogger(__name__)

_PUBLISH_INTERVAL = 1.0  # seconds between views while a first list is being inspected

_OTHERS: tuple[Listing, ...] = ("image", "network", "volume", "service")

T = TypeVar("T")


class Refresher:
    """Asks the engine and writes the mirror. Used by one thread; `beat` is called after each answer.

    Methods raise `EngineError` where the engine cannot be reached, or does not list its containers. Any other list
    that is refused costs only its kind, and is a failure in the view.
    """

    def __init__(self, client: EngineClient, mirror: Mirror, beat: Callable[[], None]) -> None:
        self._client = client
        self._mirror = mirror
        self._beat = beat
        self._skipped: set[Listing] = set()  # lists that took too long: not requested until the next full list
        self._told: dict[str, str] = {}  # messages about lists and the engine that were logged, to log each once

    def list_all(self) -> None:
        """List everything, and inspect all containers."""
        self._skipped.clear()
        self._mirror.replace(engine=self._describe_engine())
        listed = self._client.container_references()
        self._beat()
        known = self._mirror.view.container_by_id
        containers = {each.id: known.get(each.id, each) for each in listed}
        failures = dict(self._mirror.view.failures)
        failures.pop("container", None)
        self._mirror.replace(containers=tuple(containers.values()), failures=failures)
        publish_at = time.monotonic() + _PUBLISH_INTERVAL
        for before, inspected in zip(listed, self._client.inspect_all(listed), strict=True):
            self._beat()
            if inspected is None:
                del containers[before.id]
            elif inspected != containers[before.id]:
                containers[before.id] = inspected
            if time.monotonic() >= publish_at:  # slow engines take minutes: what is known already is shown
                self._mirror.replace(containers=tuple(containers.values()))
                publish_at = time.monotonic() + _PUBLISH_INTERVAL
        self._mirror.replace(containers=tuple(containers.values()))
        self._lists(_OTHERS)

    def list_again(self) -> None:
        """List everything, and inspect the containers that are new or in another state."""
        self._skipped.clear()
        self._mirror.replace(engine=self._describe_engine())
        self._lists(_OTHERS)
        listed = {each.id: each for each in self._client.container_references()}
        known = self._mirror.view.container_by_id
        changed: dict[Key, Subject | None] = {("container", id_): None for id_ in known.keys() - listed.keys()}
        suspects = [each for id_, each in listed.items() if id_ not in known or known[id_].status != each.status]
        for suspect, inspected in zip(suspects, self._client.inspect_all(suspects), strict=True):
            self._beat()
            changed["container", suspect.id] = inspected
        if changed:
            self._mirror.update(changed)

    def apply(self, events: Sequence[Event]) -> set[Key]:
        """Inspect the objects that events are about, and return their keys."""
        if not events:
            return set()
        view = self._mirror.view
        about = affected(events, view.container_by_id)
        changed: dict[Key, Subject | None] = {}
        seen: set[Key] = set()
        try:
            self._look_at_containers(about, changed)
            seen |= self._publish(changed)
            self._look_at_images(about, changed)
            self._look_at("network", about.networks, self._client.network, about, changed)
            self._look_at("volume", about.volumes, self._client.volume, about, changed)
        finally:  # what was seen before the engine went away is right
            seen |= self._publish(changed)
        if about.engine:
            self._mirror.replace(engine=self._describe_engine())
        if about.lists:
            before = self._mirror.view
            self._lists(sorted(about.lists))
            seen |= differences(before, self._mirror.view)
        return seen

    def _publish(self, changed: dict[Key, Subject | None]) -> set[Key]:
        keys = set(changed)
        if changed:
            self._mirror.update(changed)
            changed.clear()
        return keys

    def _look_at_containers(self, about: Affected, changed: dict[Key, Subject | None]) -> None:
        for id_, is_gone in about.containers.items():
            if is_gone:
                changed["container", id_] = None
                continue
            try:
                changed["container", id_] = self._found(self._client.container, id_)
            except (EngineRefused, MalformedReply) as error:
                logger.warning("container %.12s cannot be inspected: %s", id_, error)

    def _look_at_images(self, about: Affected, changed: dict[Key, Subject | None]) -> None:
        """Inspect images, and those that lost a reference to them."""
        known = {image.id: image for image in self._mirror.view.images}
        waiting = [] if "image" in self._skipped else list(about.images)
        seen = set(waiting)
        while waiting:
            asked = waiting.pop()
            try:
                image = self._found(self._client.image, asked)
            except EngineError:  # listed instead, which also tells whether the engine is there at all
                about.lists.add("image")
                continue
            if image is None:
                changed["image", asked] = None
                further = {id_ for id_, each in known.items() if asked in each.references}
            else:
                changed["image", image.id] = _completed(image, known.get(image.id))
                references = set(image.references)
                further = {id_ for id_, each in known.items() if not references.isdisjoint(each.references)}
                further.discard(image.id)
                if image.parent_id and image.parent_id not in known:
                    further.add(image.parent_id)
            waiting += further - seen
            seen |= further

    def _look_at(
        self,
        kind: Kind,
        objects: dict[str, bool],
        inspect: Callable[[str], Subject],
        about: Affected,
        changed: dict[Key, Subject | None],
    ) -> None:
        for id_, is_gone in ({} if kind in self._skipped else objects).items():
            if is_gone:
                changed[kind, id_] = None
                continue
            try:
                changed[kind, id_] = self._found(inspect, id_)
            except EngineError:
                about.lists.add(kind)

    def _found(self, inspect: Callable[[str], T], id_: str) -> T | None:
        """Inspect one object; None: there is none any more."""
        try:
            return inspect(id_)
        except EngineRefused as error:
            if error.status != requests.codes.not_found:
                raise
            return None
        finally:
            self._beat()

    def _lists(self, kinds: Sequence[Listing]) -> None:
        for kind in (each for each in kinds if each not in self._skipped):
            match kind:
                case "image":
                    self._list(kind, "images", self._images)
                case "network":
                    self._list(kind, "networks", self._client.networks)
                case "volume":
                    self._list(kind, "volumes", self._client.volumes)
                case "service":
                    manages = self._mirror.view.engine.swarm == "manager"
                    self._list(kind, "services", self._client.services if manages else list)
        self._beat()

    def _images(self) -> list[Image]:
        """List images, with the layers of those that were inspected."""
        layers = {image.id: image.layers for image in self._mirror.view.images}
        return [replace(each, layers=layers.get(each.id)) for each in self._client.image_references()]

    def _list(self, kind: Listing, field: str, list_: Callable[[], Sequence[T]]) -> None:
        failures = dict(self._mirror.view.failures)
        try:
            listed: Sequence[T] = list_()
        except (EngineRefused, MalformedReply) as error:
            self._log_once(field, f"the {field} are not known: {error}")
            self._mirror.replace(failures={**failures, kind: str(error)}, **{field: ()})
            return
        except EngineError as error:
            self._client.ping()  # an engine that is gone is no matter of one list
            self._log_once(field, f"the {field} are not up to date: {error}")
            self._skipped.add(kind)
            self._mirror.replace(failures={**failures, kind: str(error)})
            return
        self._told.pop(field, None)
        failures.pop(kind, None)
        known = {each.id: each for each in getattr(self._mirror.view, field)}
        # Equal objects stay identical: caches compare by identity.
        same = tuple(known[each.id] if known.get(each.id) == each else each for each in listed)  # type: ignore[attr-defined]
        self._mirror.replace(failures=failures, **{field: same})

    def _describe_engine(self) -> EngineInfo:
        known = self._mirror.view.engine
        try:
            engine = self._client.info()
        except (EngineRefused, MalformedReply) as error:
            self._log_once("engine", f"the engine at {self._client.host} does not tell what it is: {error}")
            # One that does not tell just now has the traits that it had.
            return replace(UNKNOWN_ENGINE, container_cgroups=known.container_cgroups, tells_oom=known.tells_oom)
        finally:
            self._beat()
        self._told.pop("engine", None)
        return engine

    def _log_once(self, what: str, message: str) -> None:
        if self._told.get(what) != message:
            logger.warning("%s", message)
        self._told[what] = message


def _completed(image: Image, known: Image | None) -> Image:
    """Add the fields that an inspect lacks, some only since API 1.52."""
    if known is None:
        return image
    return replace(image, size=known.size, shared_size=known.shared_size, parent_id=image.parent_id or known.parent_id)
