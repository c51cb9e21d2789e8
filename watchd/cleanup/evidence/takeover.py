"""Steps of a timeline from records made before there was one. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from watchd.cleanup.evidence.appearance import as_text
from watchd.cleanup.evidence.runs import started, stopped
from watchd.model import COMPOSE_PROJECT, COMPOSE_SERVICE, Container, Exit, Image, Key, Network, Observation, Volume
from watchd.model.history.timeline import FOUND, Came, Left, Step, Use, Used
from watchd.store import Recorded

_GONE = ("removed", "already_gone")


def earlier_lives(
    present: Mapping[Key, object], exits: Iterable[Exit], removals: Iterable[Recorded], merge_within: float
) -> Iterator[Step]:
    """Yield the lives of former objects: containers from their exits, all kinds from the removals."""
    runs = runs_by_container(exits, merge_within)
    gone: dict[Key, Recorded] = {}
    for row in removals:
        if row.removal.action == "remove" and row.outcome in _GONE:
            gone[row.removal.kind, row.removal.id] = row
    for id_, (described, uses) in runs.items():
        key: Key = ("container", id_)
        if key not in present:
            last = max(use.last or use.first for use in uses)
            removed = gone.pop(key).removal.time if key in gone else last
            yield Came(key, uses[0].first, FOUND, as_text(described), described.name)
            yield from (Used(key, use) for use in uses)
            yield Left(key, max(removed, last))
    for key, row in gone.items():
        subject = _removed(row)
        if subject is not None and key not in present:
            yield Came(key, row.removal.time, FOUND, as_text(subject))
            yield Left(key, row.removal.time)


def runs_by_container(exits: Iterable[Exit], merge_within: float) -> dict[str, tuple[Container, list[Use]]]:
    """Return the uses of each container by the ends of its runs, the oldest first."""
    ended: defaultdict[str, list[Exit]] = defaultdict(list)
    for each in sorted(exits, key=lambda each: each.ended):
        ended[each.container_id].append(each)
    found: dict[str, tuple[Container, list[Use]]] = {}
    for id_, of_one in ended.items():
        uses: list[Use] = []
        for each in of_one:
            before = uses[-1] if uses else None
            use = started(before, each.ended if each.started is None else each.started, merge_within)
            after = stopped(use, each.ended, each.exit_code) or use
            if before is not None and before.first == after.first:
                uses.pop()
            uses.append(after)
        last = of_one[-1]
        labels = {COMPOSE_PROJECT: last.project, COMPOSE_SERVICE: last.service}
        described = Container(
            id=id_,
            name=last.name,
            image=last.image,
            image_id="",
            status="exited",
            created_at=None,
            labels={name: value for name, value in labels.items() if value},
        )
        found[id_] = described, uses
    return found


def last_use(seen: Observation | None) -> Use | None:
    """Return the only use of an image, a network or a volume that an observation tells of."""
    if seen is None or seen.last_used is None:
        return None
    return Use(seen.last_used, seen.last_used)


def _removed(row: Recorded) -> Image | Network | Volume | None:
    removal = row.removal
    match removal.kind:
        case "image":
            tags = tuple(name for name in removal.names if "@" not in name)
            digests = tuple(name for name in removal.names if "@" in name)
            return Image(removal.id, tags, digests, size=removal.bytes, labels=removal.labels)
        case "network":
            return Network(removal.id, removal.name, labels=removal.labels)
        case "volume":
            return Volume(removal.name, labels=removal.labels)
    return None
