"""Relations of the objects of a past host: those that the decision about another one rests on. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from watchd.cleanup.observe.observations import called
from watchd.cleanup.plan.rules.keep_rules import groups_of, repositories_of
from watchd.config import Cleanup, Policy
from watchd.config.schema.keep import ImageKeep
from watchd.model import COMPOSE_PROJECT, Container, Image, Key, Kind, Subject
from watchd.model.names.references import normalize

_ABBREVIATED = re.compile(r"(sha256:)?[0-9a-f]+")
_Name = tuple[Kind, str]
_Group = tuple[str, str]  # a policy, and what it counts by


class Relations:
    """Users, children, Compose projects and groups of keep rules, of the objects that are there."""

    def __init__(self, cleanup: Cleanup) -> None:
        self._keeps: defaultdict[str, list[Policy]] = defaultdict(list)
        for policy in cleanup.policies:
            if policy.keep is not None:
                self._keeps[policy.kind].append(policy)
        self._subjects: dict[Key, Subject] = {}
        self._places: dict[Key, list[set[Key]]] = {}  # the sets below that an object is in
        self._called: defaultdict[_Name, set[Key]] = defaultdict(set)
        self._needing: defaultdict[_Name, set[Key]] = defaultdict(set)
        self._abbreviating: set[Key] = set()  # containers made from an image by part of its ID
        self._children: defaultdict[str, set[Key]] = defaultdict(set)
        self._groups: defaultdict[_Group, set[Key]] = defaultdict(set)
        self._members: defaultdict[str, set[Key]] = defaultdict(set)
        self._running: defaultdict[str, set[Key]] = defaultdict(set)

    def replace(self, key: Key, subject: Subject | None) -> set[Key]:
        """Take an object as it is now; None: it is gone. Return those whose decisions may change with it."""
        if subject is not None and subject is self._subjects.get(key):  # only used: images do not count by that
            return set() if isinstance(subject, Image) else self._in_groups_with(subject)
        changed = self._resting_on(key)
        for place in self._places.pop(key, ()):
            place.discard(key)
        self._subjects.pop(key, None)
        if subject is not None:
            self._subjects[key] = subject
            self._places[key] = list(self._places_of(subject))
            for place in self._places[key]:
                place.add(key)
            changed |= self._resting_on(key)
        return changed - {key}

    def needed_by(self, key: Key) -> Iterator[Key]:
        """Yield what may go once an object is gone: what a container needs, and the parent of an image."""
        subject = self._subjects.get(key)
        if isinstance(subject, Container):
            for name in _needs(subject):
                yield from self._called.get(name, ())
        elif isinstance(subject, Image) and subject.parent_id:
            yield from self._called.get(("image", subject.parent_id), ())

    def context(self, key: Key) -> Iterator[Key]:
        """Yield the objects that have to be in a view to decide about one as in a view of all."""
        subject = self._subjects[key]
        for name in called(subject):
            yield from self._needing.get(name, ())
        if isinstance(subject, Image):
            yield from self._abbreviating
            yield from self._children.get(subject.id, ())
            if subject.parent_id:  # deeper images go first: with `max_items` that decides which ones go
                yield from self._called.get(("image", subject.parent_id), ())
        for group in self._groups_of(subject):
            yield from self._groups[group]
        running = self._running.get(subject.labels.get(COMPOSE_PROJECT, ""))
        if running:
            yield min(running)

    def _resting_on(self, key: Key) -> set[Key]:
        subject = self._subjects.get(key)
        if subject is None:
            return set()
        found = {*self.needed_by(key), *self._in_groups_with(subject)}
        if isinstance(subject, Container) and (project := subject.labels.get(COMPOSE_PROJECT)):
            members = self._members[project]
            found |= members
            found |= {needed for member in members for needed in self.needed_by(member)}
        return found

    def _in_groups_with(self, subject: Subject) -> set[Key]:
        return {key for group in self._groups_of(subject) for key in self._groups[group]}

    def _places_of(self, subject: Subject) -> Iterator[set[Key]]:
        for name in called(subject):
            yield self._called[name]
        for group in self._groups_of(subject):
            yield self._groups[group]
        if project := subject.labels.get(COMPOSE_PROJECT):
            yield self._members[project]
        if isinstance(subject, Container):
            if project and subject.is_running:
                yield self._running[project]
            for name in _needs(subject):
                yield self._needing[name]
            if any(map(_ABBREVIATED.fullmatch, (subject.image, *subject.image_mounts))):
                yield self._abbreviating
        elif isinstance(subject, Image) and subject.parent_id:
            yield self._children[subject.parent_id]

    def _groups_of(self, subject: Subject) -> Iterator[_Group]:
        """Yield the groups of all keep rules that an object may count in."""
        for policy in self._keeps.get(subject.kind, ()):
            keep = policy.keep
            if keep is None:
                continue
            groups: Iterable[str] = groups_of(keep.grouping, subject) if keep.last is not None else ()
            if isinstance(keep, ImageKeep) and (keep.newest_tag or keep.by == "version"):
                groups = {*groups, *repositories_of(subject)}
            for group in groups:
                yield policy.name, group


def _needs(container: Container) -> Iterator[_Name]:
    yield "image", container.image_id
    for reference in (container.image, *container.image_mounts):
        if reference:
            yield "image", normalize(reference)
    for name in container.networks:
        yield "network", name
    for name in (*container.volumes, *((container.builder_state,) if container.builder_state else ())):
        yield "volume", name
