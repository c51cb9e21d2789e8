"""Where the disk went: what each kind takes, what of it is reclaimable, and what nobody accounts for. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from watchd.model import Disk, ImageUsage, Kind, Snapshot
from watchd.prune.plan import KINDS, Item, Plan
from watchd.units import format_time

Claim = tuple[int, int]  # how many objects, and their bytes
MOST_LARGEST = 25  # of each kind


@dataclass(frozen=True, slots=True)
class Account:
    """What objects of one kind take, in bytes; None where the engine did not tell."""

    count: int
    total: int | None
    shared: int = 0  # of the total, what several have in common: it goes with the last of them
    enforced: Mapping[str, Claim] = field(default_factory=dict)  # by policy, what would go if it ran now
    reported: Mapping[str, Claim] = field(default_factory=dict)  # the same of policies that only report

    @property
    def reclaimable(self) -> Claim:
        """What the policies would remove now, whatever their mode."""
        claims = (*self.enforced.values(), *self.reported.values())
        return sum(count for count, _ in claims), sum(size for _, size in claims)


@dataclass(frozen=True, slots=True)
class Shelf:
    """A disk of the engine, and how much of it what is on it accounts for. None: something was not told."""

    disk: Disk
    accounted: int | None

    @property
    def unaccounted(self) -> int | None:
        """Bytes in use beyond that: logs, other programs' files, images of a store that is switched off."""
        return None if self.accounted is None else max(0, self.disk.used - self.accounted)


@dataclass(frozen=True, slots=True)
class Accounts:
    """Everything, at one moment."""

    created_at: float
    kinds: Mapping[Kind, Account]
    shelves: tuple[Shelf, ...]
    largest: tuple[Item, ...] = ()  # some of each kind, the largest first, by the bytes that nothing else shares

    def as_json(self) -> dict[str, Any]:
        """Return the published form."""
        return {
            "created_at": format_time(self.created_at),
            "kinds": {kind: _account_as_json(account) for kind, account in self.kinds.items()},
            "disks": [
                {
                    "path": shelf.disk.path,
                    "used": shelf.disk.used,
                    "available": shelf.disk.available,
                    "inodes_used": shelf.disk.inodes_used,
                    "inodes": shelf.disk.inodes,
                    "accounted": shelf.accounted,
                    "unaccounted": shelf.unaccounted,
                }
                for shelf in self.shelves
            ],
            "largest": [
                {"kind": item.kind, "id": item.id, "name": item.name, "bytes": item.bytes} for item in self.largest
            ],
        }


def take_stock(snapshot: Snapshot, images: ImageUsage | None, plan: Plan) -> Accounts:
    """Return where the disk went; `images` is what the engine tells of the layers of images, if it does."""
    totals = {
        "container": _sum(container.size_rw for container in snapshot.containers),
        "image": images.layers if images else None,
        "network": 0,
        "volume": _sum(volume.size for volume in snapshot.volumes),
        "build_cache": sum(record.size for record in snapshot.build_cache if not record.shared),
    }
    counts = dict.fromkeys(KINDS, 0)
    for subject in snapshot.subjects():
        counts[subject.kind] += 1
    accounts = {
        kind: Account(
            count=counts[kind],
            total=None if kind in snapshot.failures else totals[kind],
            shared=_shared(images) if kind == "image" else 0,
            enforced=_claims(plan, kind, "enforce"),
            reported=_claims(plan, kind, "report"),
        )
        for kind in KINDS
    }
    disks = {disk.path: disk for disk in snapshot.disks.values()}
    shelves = [
        Shelf(disk, _sum(accounts[kind].total for kind, on in snapshot.disks.items() if on.path == path))
        for path, disk in sorted(disks.items())
    ]
    return Accounts(snapshot.taken_at, accounts, tuple(shelves), _largest(plan))


def _largest(plan: Plan) -> tuple[Item, ...]:
    sized = [item for item in plan.items if item.action != "untag" and item.bytes]
    of_kind: Counter[Kind] = Counter()
    largest = []
    for item in sorted(sized, key=lambda item: -item.bytes):
        of_kind[item.kind] += 1
        if of_kind[item.kind] <= MOST_LARGEST:
            largest.append(item)
    return tuple(largest)


def _sum(sizes: Any) -> int | None:
    known = list(sizes)
    return None if None in known else sum(known)


def _shared(images: ImageUsage | None) -> int:
    if images is None or images.layers is None:
        return 0
    return max(0, images.layers - sum(images.unique.values()))


def _claims(plan: Plan, kind: Kind, mode: str) -> dict[str, Claim]:
    claims: dict[str, Claim] = {}
    for item in plan.items:
        if item.kind == kind and item.action == "remove" and item.mode == mode:
            count, size = claims.get(item.policy or "", (0, 0))
            claims[item.policy or ""] = count + 1, size + item.bytes
    return claims


def _account_as_json(account: Account) -> dict[str, Any]:
    count, size = account.reclaimable
    modes = (("enforce", account.enforced), ("report", account.reported))
    return {
        "count": account.count,
        "total": account.total,
        "shared": account.shared,
        "reclaimable": {"count": count, "bytes": size},
        "policies": [
            {"name": name, "mode": mode, "count": claimed, "bytes": claimed_size}
            for mode, claims in modes
            for name, (claimed, claimed_size) in claims.items()
        ],
    }
