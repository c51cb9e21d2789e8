"""The timeline: the lives and uses of the objects of an engine. Times are seconds since the epoch."""

from dataclasses import dataclass, field

from watchd.model.objects.kinds import Key

Span = tuple[float, float]
"""From and to."""

FOUND = "found"
"""Arrival of an object that was already there when watchd first saw it."""


@dataclass(frozen=True, slots=True)
class Use:
    """Runs of a container with short pauses, or other uses of an object. `last` None: it still runs."""

    first: float
    last: float | None
    count: int = 1
    longest_gap: float = 0.0  # seconds in which it was not in use
    exit_code: int | None = None  # of the last run


@dataclass(frozen=True, slots=True)
class Appearance:
    """Fields of an object from a time on, as JSON in `text`; `how` it came again then, if it did ("pull").

    Containers have their name beside it: many differ in nothing else.
    """

    since: float
    text: str
    name: str = ""
    how: str = ""


@dataclass(frozen=True, slots=True)
class Life:
    """The life of an object. `by` is what removed it: a policy, `watchd prune`, "" anything else."""

    key: Key  # kind and identity
    arrived: float
    how: str  # the engine's word: pull, load, import, tag, create; or FOUND
    appearances: tuple[Appearance, ...]  # the oldest first
    left: float | None = None
    by: str = ""
    uses: tuple[Use, ...] = ()
    sizes: tuple[tuple[float, int], ...] = ()  # bytes, since when; of containers and volumes


@dataclass(frozen=True, slots=True)
class Came:
    """Step of the timeline: an object came."""

    key: Key
    at: float
    how: str
    text: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """Step of the timeline: an object changed, or came again."""

    key: Key
    at: float
    text: str
    name: str = ""
    how: str = ""


@dataclass(frozen=True, slots=True)
class Used:
    """Step of the timeline: a use began, went on or ended."""

    key: Key
    use: Use


@dataclass(frozen=True, slots=True)
class Sized:
    """Step of the timeline: the size of an object was measured."""

    key: Key
    at: float
    size: int


@dataclass(frozen=True, slots=True)
class Left:
    """Step of the timeline: an object is gone."""

    key: Key
    at: float


Step = Came | Changed | Used | Sized | Left


@dataclass(slots=True)
class Open:
    """Latest record of an object that is there."""

    text: str
    name: str = ""
    use: Use | None = None
    size: int | None = None
    started: float = 0.0  # last start that a look showed


@dataclass(frozen=True, slots=True)
class DiskMark:
    """A disk at a time, in bytes and inodes, with the kinds of objects on it."""

    at: float
    path: str
    kinds: tuple[str, ...] = field(default=())
    used: int = 0
    available: int = 0
    inodes_used: int = 0
    inodes: int = 0
