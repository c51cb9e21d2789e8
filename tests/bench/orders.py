"""`python -m tests.bench.orders`: GB that are fetched or built again under disk pressure, by `pressure.order`.

It needs no engine: the planner itself makes room on the hosts of `hosts.py`. The number after a host is the
size of its disk by what it needs on a day. Figures are means of three hosts; in parentheses is the worst of them. Their
seeds are others than those by which the numbers in `watchd/cleanup/plan/cost.py` were chosen.
"""

import bisect
import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

from tests.bench.hosts import GB, HOSTS, Host, Job, pieces_of
from tests.unit.cleanup.builders import cleanup, disks, policy, running, view
from watchd.cleanup.observe.uses import PAUSE
from watchd.cleanup.plan.planner import plan
from watchd.config import Cleanup
from watchd.model import CacheRecord, Disk, Image, Key, Observation, Uses

ORDERS = ("lru", "oldest", "largest", "cost")
SEEDS = (11, 12, 13)
HIGH, LOW = 0.9, 0.8
FUTURE = "knows the future"


class Disks:
    """Pieces of disk space by what holds them."""

    def __init__(self) -> None:
        self.used = self.again = 0  # bytes; fetched again: what was here before
        self._holders: Counter[str] = Counter()
        self._known: set[str] = set()

    def hold(self, pieces: Mapping[str, int]) -> None:
        """Fetch what is missing."""
        for piece, size in pieces.items():
            self._holders[piece] += 1
            if self._holders[piece] == 1:
                self.used += size
                self.again += size if piece in self._known else 0
                self._known.add(piece)

    def drop(self, pieces: Mapping[str, int]) -> None:
        """Free what nothing else holds."""
        for piece, size in pieces.items():
            self._holders[piece] -= 1
            self.used -= 0 if self._holders[piece] else size


class Replay:
    """Live through what is run on a host, with a policy for images and one for the build cache on one disk."""

    def __init__(self, order: str, size: int) -> None:
        self.disk = Disks()
        self._size = size
        self._settings = settings(order)
        self._images: dict[str, Image] = {}
        self._records: dict[str, CacheRecord] = {}
        self._users: Counter[Key] = Counter()
        self._seen: dict[Key, Observation] = {}
        self._uses: dict[Key, tuple[Uses, float]] = {}  # and the end of the last one; removed images keep theirs
        self._made: Counter[Key] = Counter()

    def start(self, job: Job) -> None:
        """Fetch or build what a job needs, and make room."""
        for image in job.images:
            if image.id not in self._images:
                self._images[image.id] = image
                self.disk.hold(pieces_of(image))
                self._seen[image.key] = Observation(job.at, job.at)
            self._use(image.key, job.at)
            self._users[image.key] += 1
        for needed in job.records:
            record = self._records.get(needed.id)
            if record is None:
                record = replace(needed, created_at=job.at)
                self.disk.hold(pieces_of(record))
                self._seen[record.key] = Observation(job.at, job.at)
            used = record.usage_count + 1
            self._records[record.id] = replace(record, last_used_at=job.at, usage_count=used, in_use=True)
            self._users[record.key] += 1
        if self.disk.used > HIGH * self._size:
            self._make_room(job.at)

    def end(self, job: Job) -> None:
        """End a job."""
        for image in job.images:
            self._users[image.key] -= 1
            self._use(image.key, job.until)
            self._seen[image.key] = replace(self._seen[image.key], last_used=job.until)
        for record in job.records:
            self._users[record.key] -= 1
            in_use = self._users[record.key] > 0
            self._records[record.id] = replace(self._records[record.id], last_used_at=job.until, in_use=in_use)

    def _use(self, key: Key, at: float) -> None:
        uses, until = self._uses.get(key, (Uses(0, at), at - 2 * PAUSE))
        begins = self._users[key] == 0 and at - until > PAUSE
        self._uses[key] = Uses(uses.count + begins, uses.first), max(at, until)

    def _make_room(self, now: float) -> None:
        containers = [
            running(name=f"job-{number}", image=image.tags[0], image_id=image.id)
            for number, image in enumerate(self._images.values())
            if self._users[image.key]
        ]
        seen = {
            key: replace(seen, uses=self._uses[key][0]) if key in self._uses else seen
            for key, seen in self._seen.items()
        }
        disk = Disk("/", self.disk.used, max(0, self._size - self.disk.used))
        look = view(*containers, *self._images.values(), *self._records.values(), disks=disks(disk), taken_at=now)
        for item in plan(look, self._settings, seen, now).in_force:
            if item.action == "remove":
                gone = self._images.pop(item.id, None) or self._records.pop(item.id)
                self.disk.drop(pieces_of(gone))
                del self._seen[gone.key]


def settings(order: str) -> Cleanup:
    """Return the policies."""
    pressure = {"high": f"{HIGH:.0%}", "low": f"{LOW:.0%}", "order": order}
    return cleanup(policy("images", "image", pressure=pressure), policy("cache", "build_cache", pressure=pressure))


def fetched_again(host: Host, order: str, size: int) -> int:
    """Return the bytes that are fetched again on a disk of a size."""
    replay = Replay(order, size)
    running_jobs: list[tuple[float, int, Job]] = []
    for number, job in enumerate(host.jobs):
        while running_jobs and running_jobs[0][0] <= job.at:
            replay.end(heapq.heappop(running_jobs)[2])
        replay.start(job)
        heapq.heappush(running_jobs, (job.until, number, job))
    return replay.disk.again


def fetched_again_at_best(host: Host, size: int) -> int:
    """Return the bytes with the rule of Belady: what is needed last goes first.

    It takes single layers, and no more than it must, which no order can: what is fetched again is fewer bytes than the
    best order would.
    """
    times: defaultdict[str, list[float]] = defaultdict(list)
    until: dict[str, float] = {}
    sizes: dict[str, int] = {}
    disk = Disks()
    here: set[str] = set()
    for job in host.jobs:
        for piece in job.pieces():
            times[piece].append(job.at)
    for job in host.jobs:
        needed = job.pieces()
        sizes |= needed
        until |= {piece: max(job.until, until.get(piece, 0.0)) for piece in needed}
        disk.hold({piece: size for piece, size in needed.items() if piece not in here})
        here |= needed.keys()
        if disk.used > HIGH * size:
            idle = [piece for piece in here if until[piece] <= job.at]
            for piece in sorted(idle, key=lambda piece: (_next(times[piece], job.at), piece), reverse=True):
                if disk.used <= HIGH * size:
                    break
                disk.drop({piece: sizes[piece]})
                here.remove(piece)
    return disk.again


def _next(times: Sequence[float], now: float) -> float:
    place = bisect.bisect_right(times, now)
    return times[place] if place < len(times) else float("inf")


def _measure(case: tuple[str, int, int, str]) -> int:
    name, disk, seed, order = case
    host = HOSTS[name](seed)
    size = round(host.disks[disk] * host.bytes_a_day())
    return fetched_again_at_best(host, size) if order == FUTURE else fetched_again(host, order, size)


def main() -> None:
    """Measure and print."""
    columns = (*ORDERS, FUTURE)
    rows = [(name, disk) for name in HOSTS for disk in range(2)]
    print(__doc__)
    print(f"{'':20}{''.join(f'{each:>10}' for each in ORDERS)}{FUTURE:>18}   cost / lru")
    with ProcessPoolExecutor(2) as pool:
        results = pool.map(_measure, [(*row, seed, order) for row in rows for seed in SEEDS for order in columns])
        for name, disk in rows:
            found = [dict(zip(columns, itertools.islice(results, len(columns)), strict=True)) for _ in SEEDS]
            means = {order: sum(each[order] for each in found) / len(SEEDS) for order in columns}
            figures = "".join(f"{means[order] / GB:{max(10, len(order) + 2)}.1f}" for order in columns)
            worst = max(each["cost"] / max(1, each["lru"]) for each in found)
            ratio = f"{means['cost'] / means['lru']:10.2f} ({worst:.2f})"
            print(f"{name:14}{HOSTS[name](0).disks[disk]:6.1f}{figures}{ratio}", flush=True)


if __name__ == "__main__":
    main()
