"""Generated hosts: which images are run and which records of the build cache are used, and when. Seeded.

What is drawn for each is in its function. Sizes have that median and are log-normal (0.6, where nothing else is said).
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from tests.unit.cleanup.builders import DAY, HOUR, hex_id
from watchd.model import CacheRecord, Image, Layer

MINUTE = 60.0
MB = 10**6
GB = 10**9

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Job:
    """A run of a container, or a build: what it needs from `at` until `until`. Times are seconds from the first day."""

    at: float
    until: float
    images: tuple[Image, ...] = ()
    records: tuple[CacheRecord, ...] = ()

    def pieces(self) -> dict[str, int]:
        """Return the layers and records that it needs, with their bytes."""
        subjects: tuple[Image | CacheRecord, ...] = (*self.images, *self.records)
        return {piece: size for each in subjects for piece, size in pieces_of(each).items()}


@dataclass(frozen=True, slots=True)
class Host:
    """What is run on a host, by time, and the sizes of disks for it, by what it needs on a day."""

    jobs: Sequence[Job]
    disks: tuple[float, float]

    def bytes_a_day(self) -> int:
        """Return the bytes of all that is needed on a day, on average."""
        pieces: defaultdict[int, dict[str, int]] = defaultdict(dict)
        for job in self.jobs:
            for day in range(int(job.at // DAY), int(job.until // DAY) + 1):
                pieces[day] |= job.pieces()
        return sum(sum(of_day.values()) for of_day in pieces.values()) // len(pieces)


def ci_runner(seed: int, days: int = 14) -> Host:
    """Return a CI runner with nightly bases.

    - 20 jobs an hour on workdays from 8 to 20 h, else one; 6 minutes (log-normal, 0.7) each; of 30 projects (Zipf 0.9).
    - A project builds on one of 8 nightly bases (60 % of them) or of 12 toolchains (Zipf 0.8); 40 % start one of 8
      services.
    - A nightly base has 1 GB that changes every 7 days and 0.7 GB that change every night. A toolchain has 0.7 GB, anew
      about every 14 days, on one of 3 distributions of 80 MB.
    - At 1 h each night a matrix of 40 test images of 0.4 GB, on Saturday 25 of 0.6 GB more. They are the same each
      time, anew about every 30 days.
    - A project's build has 4 to 8 steps of 40 MB (log-normal, 1.2) in the cache. 60 % of the jobs change a step of the
      last half and those after it.
    """
    random = Random(seed)  # noqa: S311 - no secret
    distributions = [_layers(f"distribution {number}", 80 * MB) for number in range(3)]
    tools = [
        _versions(random, f"tool-{number}", random.choice(distributions), 700 * MB, days, every=14 * DAY)
        for number in range(12)
    ]
    services = [
        _versions(random, f"service-{number}", random.choice(distributions), 200 * MB, days, every=30 * DAY)
        for number in range(8)
    ]
    matrix = [
        _versions(random, f"matrix-{number}", random.choice(distributions), 400 * MB, days, every=30 * DAY)
        for number in range(40)
    ]
    weekly = [
        _versions(random, f"weekly-{number}", random.choice(distributions), 600 * MB, days, every=30 * DAY)
        for number in range(25)
    ]
    bases = [_nightly(random, f"nightly-{number}", days) for number in range(8)]
    of_project = [
        random.choice(bases) if random.random() < 0.6 else _zipf(random, tools, 0.8) for _ in range(30)
    ]  # fmt: skip
    with_service = [random.choice(services) if random.random() < 0.4 else None for _ in range(30)]
    steps = [_Build(random, f"project-{number}", random.randint(4, 8)) for number in range(30)]
    jobs: list[Job] = []
    numbers = range(30)
    for at in _times(random, days, lambda at: 20.0 if _is_working_hour(at) else 1.0):
        number = _zipf(random, numbers, 0.9)
        until = at + 6 * MINUTE * random.lognormvariate(0, 0.7)
        service = with_service[number]
        images = (of_project[number](at), *([service(at)] if service else []))
        if random.random() < 0.6:
            steps[number].change(at)
        jobs.append(Job(at, until, images, steps[number].records))
    for day in range(days):
        for number, version in enumerate([*matrix, *(weekly if day % 7 == 5 else [])]):
            at = day * DAY + HOUR + number * 2 * MINUTE
            jobs.append(Job(at, at + 8 * MINUTE, (version(at),)))
    return Host(_by_time(jobs), (0.9, 1.3))


def home_server(seed: int, days: int = 90) -> Host:
    """Return a home server.

    - 25 services of 0.35 GB that always run, each updated about every 12 days. After 3 % of the updates the version
      before runs again for 2 hours.
    - 12 tools of 0.3 GB, each run about every 1, 3, 7, 14 or 30 days for 20 minutes, anew about every 45 days.
    - 4 builds of its own images, about every 5 days each, of 4 to 8 steps of 40 MB (log-normal, 1.2).
    """
    random = Random(seed)  # noqa: S311 - no secret
    base = [_layers(f"distribution {number}", 80 * MB) for number in range(4)]
    jobs: list[Job] = []
    for number in range(25):
        jobs += _service(random, f"service-{number}", random.choice(base), 350 * MB, days, every=12 * DAY, back=0.03)
    for number in range(12):
        tool = _versions(random, f"tool-{number}", random.choice(base), 300 * MB, days, every=45 * DAY)
        pause = DAY * random.choice((1, 3, 7, 14, 30))
        jobs += [Job(at, at + 20 * MINUTE, (tool(at),)) for at in _times(random, days, _each(pause))]
    for number in range(4):
        build = _Build(random, f"own-{number}", random.randint(4, 8))
        for at in _times(random, days, _each(5 * DAY)):
            build.change(at)
            jobs.append(Job(at, at + 5 * MINUTE, (), build.records))
    return Host(_by_time(jobs), (1.4, 1.8))


def many_services(seed: int, days: int = 21) -> Host:
    """Return a host with many services.

    - 100 services of 0.12 GB on 10 bases of 0.2 GB (anew about every 20 days), each deployed about every 2 days. After
      5 % of the deployments the version before runs again for 2 hours.
    - 40 images of cron jobs of 0.25 GB, with periods of 1 hour, 6 hours, 1 day and 7 days, anew about every 10 days.
    """
    random = Random(seed)  # noqa: S311 - no secret
    bases = [_versions(random, f"base-{number}", (), 200 * MB, days, every=20 * DAY) for number in range(10)]
    jobs: list[Job] = []
    for number in range(100):
        jobs += _service(random, f"service-{number}", random.choice(bases), 120 * MB, days, every=2 * DAY, back=0.05)
    for number in range(40):
        distribution = random.choice(bases)(0.0).history or ()
        version = _versions(random, f"cron-{number}", distribution, 250 * MB, days, every=10 * DAY)
        period = random.choice((HOUR, 6 * HOUR, DAY, 7 * DAY))
        for at in _every(period, random.random() * period, days):
            jobs.append(Job(at, at + 3 * MINUTE, (version(at),)))
    return Host(_by_time(jobs), (0.9, 1.1))


def pieces_of(subject: Image | CacheRecord) -> dict[str, int]:
    """Return the layers of an image, or a record, with their bytes."""
    if isinstance(subject, CacheRecord):
        return {subject.id: subject.size}
    return {layer.id: layer.size for layer in subject.history or ()}


HOSTS: Mapping[str, Callable[[int], Host]] = {
    "CI runner": ci_runner,
    "home server": home_server,
    "many services": many_services,
}

_Version = Callable[[float], Image]  # what a tag is at a time


class _Build:
    """A build whose steps change."""

    def __init__(self, random: Random, name: str, steps: int) -> None:
        self._random = random
        self._name = name
        self._number = itertools.count()
        self._sizes = [_size(random, 40 * MB, 1.2) for _ in range(steps)]
        self.records: tuple[CacheRecord, ...] = ()
        self._make(0, 0.0)

    def change(self, at: float) -> None:
        """Change a step of the last half, and so all those after it."""
        self._make(self._random.randrange(len(self._sizes) // 2, len(self._sizes)), at)

    def _make(self, first: int, at: float) -> None:
        records = list(self.records[:first])
        for size in self._sizes[first:]:
            parents = (records[-1].id,) if records else ()
            id_ = f"{self._name}-{next(self._number)}"
            records.append(CacheRecord(id_, parents=parents, size=size, created_at=at, last_used_at=at))
        self.records = tuple(records)


def _versions(
    random: Random, name: str, base: "Sequence[Layer] | _Version", median: int, days: int, *, every: float
) -> _Version:
    """Return a tag that gets another image after times that are exponential with a mean."""
    size = _size(random, median, 0.6)
    begins = [0.0, *_times(random, days, _each(every))]
    images = [
        _image(f"{name}-{number}", (*_at(base, at), *_layers(f"{name}-{number}", size)))
        for number, at in enumerate(begins)
    ]
    return lambda at: images[sum(begin <= at for begin in begins) - 1]


def _nightly(random: Random, name: str, days: int) -> _Version:
    lower, upper = _size(random, 1 * GB, 0.4), _size(random, 700 * MB, 0.4)
    first = random.randrange(7)
    images = [
        _image(
            f"{name}-{day}",
            (*_layers(f"{name} lower {(day + first) // 7}", lower), *_layers(f"{name} upper {day}", upper)),
        )
        for day in range(-1, days + 1)
    ]
    return lambda at: images[int((at - 3 * HOUR) // DAY) + 1]


def _service(
    random: Random, name: str, base: "Sequence[Layer] | _Version", median: int, days: int, *, every: float, back: float
) -> Iterator[Job]:
    """Yield the runs of a service: one version after the other, now and then the one before again."""
    size = _size(random, median, 0.6)
    before: Image | None = None
    times = [0.0, *_times(random, days, _each(every)), days * DAY]
    for number, (at, end) in enumerate(itertools.pairwise(times)):
        image = _image(f"{name}-{number}", (*_at(base, at), *_layers(f"{name}-{number}", size)))
        if before is not None and random.random() < back:
            noticed = min(end, at + random.expovariate(1 / (3 * HOUR)))
            again = min(end, noticed + 2 * HOUR)
            yield Job(at, noticed, (image,))
            yield Job(noticed, again, (before,))
            yield Job(again, end, (image,))
        else:
            yield Job(at, end, (image,))
        before = image


def _each(pause: float) -> Callable[[float], float]:
    """Return a rate: one event after each pause, on average."""
    return lambda _: HOUR / pause


def _times(random: Random, days: int, rate: Callable[[float], float]) -> Iterator[float]:
    """Yield times of a Poisson process whose rate, in events an hour, is at most 20."""
    at, most = 0.0, max(rate(10 * HOUR), rate(0.0))
    while (at := at + random.expovariate(most / HOUR)) < days * DAY:
        if random.random() * most < rate(at):
            yield at


def _every(period: float, first: float, days: int) -> Iterator[float]:
    return itertools.takewhile(lambda at: at < days * DAY, itertools.count(first, period))


def _is_working_hour(at: float) -> bool:
    return at % (7 * DAY) < 5 * DAY and 8 * HOUR <= at % DAY < 20 * HOUR


def _size(random: Random, median: int, spread: float) -> int:
    return max(1, round(median * random.lognormvariate(0, spread)))


def _zipf(random: Random, items: Sequence[T], exponent: float) -> T:
    return random.choices(items, [1 / (rank + 1) ** exponent for rank in range(len(items))])[0]


def _layers(name: str, size: int) -> tuple[Layer, ...]:
    return (Layer(hex_id(name), size, 0),)


def _at(base: "Sequence[Layer] | _Version", at: float) -> Sequence[Layer]:
    return base(at).history or () if callable(base) else base


def _image(name: str, layers: Sequence[Layer]) -> Image:
    return Image(
        id=f"sha256:{hex_id(name)}",
        tags=(f"{name}:1",),
        digests=(f"{name}@sha256:{hex_id(name)}",),
        size=sum(layer.size for layer in layers),
        history=tuple(layers),
        layers=tuple(layer.id[:16] for layer in layers),
        created_at=0.0,
    )


def _by_time(jobs: Sequence[Job]) -> list[Job]:
    return sorted(jobs, key=lambda job: (job.at, job.until))
