"""Observations: when an object was first seen, last used, and first seen dangling.

Pure; `observer` keeps the results in the store. Everything here errs towards keeping: what is seen for the first time
has only just come, and time that nobody watched does not count, since `docker run --rm` may have used an image
meanwhile.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from watchd.cleanup.observe.lineage import last_builds
from watchd.model import (
    SWARM_SERVICE,
    CacheRecord,
    Container,
    EngineView,
    Image,
    Key,
    Kind,
    Network,
    Observation,
    Observations,
    Service,
    Subject,
    Volume,
)
from watchd.model.names.references import normalize
from watchd.store import Generation

Names = Mapping[tuple[Kind, str], Key]  # by kind and the name that containers use

GENERATIONS = 2  # of the tasks of a service whose images stay: the one that runs, and the one to roll back to
CLOCK_TOLERANCE = 60.0  # seconds that the clock may go back and count as going on

Unwatched = Callable[[float, float], float]  # between two times: the seconds in which events were not followed


def observe(known: Observations, view: EngineView, now: float) -> dict[Key, Observation]:
    """Return the observations of every object, updated by one more look.

    An object missing from a complete list is forgotten: under the same ID it would be a new arrival. Objects whose list
    failed, or was not requested, stay as they were.
    """
    listed = view.kinds - set(view.failures)
    seen: dict[Key, Observation] = {key: observation for key, observation in known.items() if key[0] not in listed}
    last_used = _last_used(view, now)
    for subject in view.subjects():
        if subject.kind in listed:
            key = (subject.kind, subject.identity)
            seen[key] = look_at(known.get(key) or Observation(now, now), subject, last_used.get(subject.key), now)
    images = {key: image for key, image in seen.items() if key[0] == "image"}
    for key, built in last_builds(images).items():
        seen[key] = replace(seen[key], last_used=max(built, seen[key].last_used or 0.0))
    return seen


def look_at(before: Observation, subject: Subject, used: float | None, now: float) -> Observation:
    """Return the observation of a listed object. `used` is the time of its last use; None: not known."""
    if isinstance(subject, Container | CacheRecord):  # the engine records their times itself
        return before
    last_used = before.last_used if used is None else max(used, before.last_used or used)
    if not isinstance(subject, Image):
        return replace(before, last_used=last_used)
    dangling_since = None if subject.tags else before.dangling_since or now
    layers = before.layers if subject.layers is None else subject.layers
    pulled = before.pulled or subject.pulled
    return replace(before, last_used=last_used, dangling_since=dangling_since, layers=layers, pulled=pulled)


def _last_used(view: EngineView, now: float) -> dict[Key, float]:
    """Return when a container last used an image, a network or a volume: now while one runs, else when the run ended.

    A container that never ran counts from its creation, one without an inspect as running. A stopped container is no
    use: `in_use` protects its objects all the same. A build uses the images named by its records in the cache.
    """
    used: dict[Key, float] = {}
    names = names_of(view.subjects())
    for container in view.containers:
        runs = container.is_running or not container.inspected
        until = now if runs else container.finished_at or container.created_at
        if until is not None:
            for key in uses(container, names):
                used[key] = max(used.get(key, 0.0), min(until, now))
    for reference, at in view.cache_uses.items():
        forms = (reference, reference.partition("@")[0])  # the tag may have no digest here: it was loaded
        image = next(filter(None, (names.get(("image", normalize(form))) for form in forms)), None)
        if image:  # else it is gone, or the name is that of a stage
            used[image] = max(used.get(image, 0.0), min(at, now))
    return used


def names_of(subjects: Iterable[Subject]) -> Names:
    """Index images, networks and volumes by every name that a container can use for them."""
    return {name: subject.key for subject in subjects for name in called(subject)}


def called(subject: Subject) -> list[tuple[Kind, str]]:
    """Return the names that a container can use for an object: full references, names and IDs."""
    match subject:
        case Image():
            names = (*map(normalize, subject.references), subject.id)
        case Network() | Volume():
            names = (subject.name, subject.id)
        case _:
            names = ()
    return [(subject.kind, name) for name in names]


def uses(container: Container, names: Names) -> set[Key]:
    """Return the keys of the objects that a container uses while it runs."""
    used: list[tuple[Kind, str]] = [
        ("image", container.image_id),
        *(("image", normalize(reference)) for reference in container.image_mounts),
        *(("network", name) for name in container.networks),
        *(("volume", name) for name in container.volumes),
    ]
    return {names[name] for name in used if name in names}


def shift_of(watched_until: float | None, now: float, unwatched: Unwatched, *, count_unwatched: bool) -> float:
    """Return the seconds to move observed times by, so that unwatched time since `watched_until` does not count.

    A clock that was set back moves them back with it.
    """
    if watched_until is None:
        return 0.0
    gap = now - watched_until
    if gap < -CLOCK_TOLERANCE:
        return gap
    return 0.0 if count_unwatched else unwatched(watched_until, now)


def since_then(watched_until: float, now: float) -> float:
    """Return the unwatched time where nobody follows the engine's events: all of it."""
    return max(0.0, now - watched_until)


def shifted(observations: Observations, by: float, now: float) -> dict[Key, Observation]:
    """Return observations with every time moved by some seconds, at most until now."""
    return {
        key: replace(
            seen,
            first_seen=min(seen.first_seen + by, now),
            arrived_at=min(seen.arrived_at + by, now),
            last_used=None if seen.last_used is None else min(seen.last_used + by, now),
            dangling_since=None if seen.dangling_since is None else min(seen.dangling_since + by, now),
        )
        for key, seen in observations.items()
    }


def generations_of(containers: Sequence[Container]) -> list[Generation]:
    """Return which images the tasks of Swarm services ran from."""
    return [
        Generation(container.labels[SWARM_SERVICE], container.image_id, container.created_at or 0.0)
        for container in containers
        if SWARM_SERVICE in container.labels
    ]


def services_of(generations: Iterable[Generation]) -> tuple[Service, ...]:
    """Return the Swarm services that tasks ran for, each with its last two images."""
    images: dict[str, list[str]] = {}
    for generation in sorted(generations, key=lambda each: each.created, reverse=True):
        known = images.setdefault(generation.service, [])
        if generation.image not in known:
            known.append(generation.image)
    return tuple(Service(service, service, tuple(known[:GENERATIONS])) for service, known in images.items())
