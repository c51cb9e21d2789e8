"""Timelines to replay: what a test does not say is ordinary."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from tests.unit.cleanup.builders import NOW, container, image
from watchd.cleanup.evidence.appearance import as_text
from watchd.cleanup.past.record import Past
from watchd.cleanup.past.replay import replay
from watchd.cleanup.past.result import Judged, Outcome
from watchd.config import Cleanup
from watchd.model import Container, Image, Layer, Subject
from watchd.model.history.timeline import Appearance, Came, DiskMark, Left, Life, Sized, Step, Use, Used
from watchd.store import Notes, Store

BEGIN = NOW
"""When watchd began to watch."""


def life(subject: Subject, arrived: float, *, left: float | None = None, how: str = "", **further: Any) -> Life:
    """Return the life of an object that looked the same all the time. Times are seconds after the beginning."""
    name = subject.name if isinstance(subject, Container) else ""
    looks = [(arrived, subject, ""), *further.pop("looks", ())]
    shift = BEGIN
    uses = tuple(
        Use(shift + first, None if last is None else shift + last, *more)
        for first, last, *more in further.pop("uses", ())
    )
    return Life(
        key=(subject.kind, subject.identity),
        arrived=shift + arrived,
        how=how or ("pull" if isinstance(subject, Image) else "create"),
        appearances=tuple(Appearance(shift + at, as_text(look), name, again) for at, look, again in looks),
        left=None if left is None else shift + left,
        uses=uses,
        sizes=tuple((shift + at, size) for at, size in further.pop("sizes", ())),
        **further,
    )


def layered(name: str, *sizes: int, on: Image | None = None, **further: Any) -> Image:
    """Return an image with layers of these sizes, above those of another one."""
    below = on.history or () if on else ()
    own = tuple(Layer(f"{name}-{number}", size, 0) for number, size in enumerate(sizes))
    layers = (*(on.layers or () if on else ()), *(layer.id for layer in own))
    size = sum(layer.size for layer in (*below, *own))
    return image(name, layers=layers, history=(*below, *own), size=size, **further)


def run(of: str, arrived: float, ended: float | None, *, left: float | None = None, **further: Any) -> Life:
    """Return the life of a container that ran once from an image."""
    name = further.pop("name", f"{of}-{arrived}")
    described = container(name, of=of, **further.pop("fields", {}))
    return life(described, arrived, left=left, uses=[(arrived, ended)], **further)


def past(*lives: Life, watched: Iterable[tuple[float, float]], disks: Sequence[DiskMark] = ()) -> Past:
    """Return a record. Times are seconds after the beginning."""
    spans = tuple((BEGIN + began, BEGIN + ended) for began, ended in watched)
    return Past("engine-1", tuple(sorted(lives, key=lambda each: each.arrived)), disks, spans)


def record_into(store: Store, record: Past, *, ends: float) -> None:
    """Record a past in a store, moved so that it ends then."""
    by = ends - record.watched[-1][1]
    steps: list[tuple[float, Step]] = []
    for each in record.lives:
        first, arrived = each.appearances[0], each.arrived + by
        steps.append((arrived, Came(each.key, arrived, each.how, first.text, first.name)))
        steps += [
            (use.first + by, Used(each.key, replace(use, first=use.first + by, last=use.last and use.last + by)))
            for use in each.uses
        ]
        steps += [(at + by, Sized(each.key, at + by, size)) for at, size in each.sizes]
        steps += [] if each.left is None else [(each.left + by, Left(each.key, each.left + by))]
    store.record_steps(record.engine, [step for _, step in sorted(steps, key=lambda pair: pair[0])])
    ((began, ended),) = record.watched
    for at in (began + by, ended + by):
        store.note(record.engine, at, Notes(), shift=lambda _: 0.0, unwatched=lambda _: 0.0)


def replayed(record: Past, settings: Cleanup, **options: Any) -> Outcome:
    """Replay all of a record."""
    return replay(record, settings, **{"since": 0.0, "until": record.watched[-1][1], **options})


def removals(judged: Judged) -> list[tuple[str, float]]:
    """Return the names of what went, and when: seconds after the beginning."""
    return [(each.name, each.time - BEGIN) for each in judged.removed]


def regrets(judged: Judged) -> list[tuple[str, float, int]]:
    """Return the names of what was needed again, when, and the bytes to fetch."""
    return [(each.removed.name, each.needed_at - BEGIN, each.bytes) for each in judged.regrets]
