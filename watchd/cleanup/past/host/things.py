"""The objects of a past host, those that policies removed included: what they hold, what they are called. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from watchd.cleanup.observe.observations import called
from watchd.cleanup.past.host.ledger import Ledger, Pieces
from watchd.model import Container, Image, Key, Kind, Observation, Subject, Volume
from watchd.model.history.timeline import Life
from watchd.model.names.references import normalize


@dataclass(slots=True)
class Thing:
    """An object that is there by the record. Its use now is not in `seen`."""

    life: Life
    subject: Subject
    seen: Observation
    pieces: Pieces = field(default_factory=dict)
    uses: frozenset[Key] = frozenset()  # of a container: what it uses while it runs
    users: int = 0  # running containers
    references: Mapping[str, float | None] = field(default_factory=dict)
    gone: bool = False  # by the record: watchd removed it, which counts as not done


class Tags:
    """The tags that images have, by the names of all objects."""

    def __init__(self, names: Mapping[tuple[Kind, str], Key]) -> None:
        self._names = names

    def __contains__(self, tag: object) -> bool:
        return ("image", normalize(str(tag))) in self._names


class Things:
    """The objects there, `present`, and those that policies removed, `absent`, by the keys of their observations."""

    def __init__(self) -> None:
        self.present: dict[Key, Thing] = {}
        self.absent: dict[Key, Thing] = {}
        self.names: dict[tuple[Kind, str], Key] = {}
        self.tags = Tags(self.names)
        self.held = Ledger()
        self.without = Ledger()  # as if no policy had removed anything
        self.recorded = Ledger()
        self._kept: dict[tuple[Kind, str], Key] = {}  # those gone, by what they are known by when they come again

    def find(self, key: Key) -> Thing | None:
        """Return an object, there or absent."""
        return self.present.get(key) or self.absent.get(key)

    def image(self, name: str) -> Image | None:
        """Return the image of a name or an ID."""
        key = self.names.get(("image", name)) or self.names.get(("image", normalize(name)))
        thing = self.find(key) if key is not None else None
        return thing.subject if thing is not None and isinstance(thing.subject, Image) else None

    def replaced_by(self, key: Key, subject: Subject) -> list[Key]:
        """Return the keys of the objects that end when this one comes."""
        keys = {key, self._kept.get((subject.kind, _known_by(subject)), key)}
        return [each for each in keys if self.find(each) is not None]

    def add(self, key: Key, thing: Thing) -> None:
        """Add an object that comes by the record."""
        self.present[key] = thing
        for ledger in (self.held, self.without, self.recorded):
            ledger.add(key[0], thing.pieces)

    def remove(self, key: Key) -> int:
        """Remove an object, as a policy does. Return the bytes that this frees."""
        thing = self.absent[key] = self.present.pop(key)
        return self.held.remove(key[0], thing.pieces)

    def bring_back(self, key: Key) -> int:
        """Let a removed object be there again. Return the bytes to fetch for it."""
        thing = self.present[key] = self.absent.pop(key)
        return self.held.add(key[0], thing.pieces)

    def leave(self, key: Key, thing: Thing, *, keep: bool) -> None:
        """Let an object go by the record. Where it is kept, it stays as if that had not been done."""
        self.recorded.remove(key[0], thing.pieces)
        thing.gone = True
        if keep:
            self._kept[key[0], _known_by(thing.subject)] = key

    def forget(self, key: Key) -> None:
        """Forget an object, there or absent."""
        held = key in self.present
        thing = (self.present if held else self.absent).pop(key)
        if not thing.gone:
            self.recorded.remove(key[0], thing.pieces)
        self.without.remove(key[0], thing.pieces)
        if held:
            self.held.remove(key[0], thing.pieces)
        self._kept.pop((key[0], _known_by(thing.subject)), None)
        self.unname(key, thing.subject)

    def resize(self, thing: Thing, size: int) -> None:
        """Let a container or a volume have another size, in bytes."""
        key, subject = thing.life.key, thing.subject
        ledgers = [self.without]
        if not thing.gone:
            ledgers.append(self.recorded)
        if key in self.present:
            ledgers.append(self.held)
        for ledger in ledgers:
            ledger.remove(key[0], thing.pieces)
        thing.pieces = {(key[0], key[1]): size}
        for ledger in ledgers:
            ledger.add(key[0], thing.pieces)
        if isinstance(subject, Container):
            thing.subject = replace(subject, size_rw=size)
        elif isinstance(subject, Volume):
            thing.subject = replace(subject, size=size)

    def name(self, key: Key, subject: Subject) -> None:
        """Let an object be called by its names; another one of the same name is no longer called so."""
        self.names |= dict.fromkeys(called(subject), key)

    def unname(self, key: Key, subject: Subject) -> None:
        """Let an object have no name any more."""
        for name in called(subject):
            if self.names.get(name) == key:
                del self.names[name]


def _known_by(subject: Subject) -> str:
    """Return what an object is known by when it comes again."""
    return subject.id if isinstance(subject, Image) else subject.name
