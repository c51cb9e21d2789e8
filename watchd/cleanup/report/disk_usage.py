"""Disk usage by kind: total, shared, reclaimable by policy; and by disk: what the engine does not account for. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from watchd.cleanup.plan.plan import KINDS, Item, Plan
from watchd.model import Disk, EngineView, ImageUsage, Kind
from watchd.units import format_time

Amount = tuple[int, int]  # number of objects, and their bytes
MOST_LARGEST = 25  # of each kind


@dataclass(frozen=True, slots=True)
class KindUsage:
    """Disk usage of the objects of one kind, in bytes; None if the engine did not report it."""

    count: int
    total: int | None
    shared: int = 0  # of the total, what several images share: it is freed with the last of them
    enforced: Mapping[str, Amount] = field(default_factory=dict)  # by policy, what it would remove now
    reported: Mapping[str, Amount] = field(default_factory=dict)  # the same for policies that only report

    @property
    def reclaimable(self) -> Amount:
        """Bytes and objects that all policies would remove now, in any mode."""
        amounts = (*self.enforced.values(), *self.reported.values())
        return sum(count for count, _ in amounts), sum(size for _, size in amounts)


@dataclass(frozen=True, slots=True)
class AccountedDisk:
    """A disk of the engine, and the bytes of the objects on it; None if some are unknown."""

    disk: Disk
    accounted: int | None

    @property
    def unaccounted(self) -> int | None:
        """Bytes used by anything else: logs, other programs' files, images of a store that is switched off."""
        return None if self.accounted is None else max(0, self.disk.used - self.accounted)


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Disk usage of an engine."""

    created_at: float
    kinds: Mapping[Kind, KindUsage]
    disks: tuple[AccountedDisk, ...]
    unmeasured: Mapping[Kind, str] = field(default_factory=dict)  # why the disk of a kind is not known
    largest: tuple[Item, ...] = ()  # of each kind, the largest first, by the bytes that nothing else shares
    mounted_in: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # names of containers, by volume

    def as_json(self) -> dict[str, Any]:
        """Return the published form."""
        return {
            "created_at": format_time(self.created_at),
            "kinds": {kind: _kind_as_json(usage) for kind, usage in self.kinds.items()},
            "disks": [
                {
                    "path": each.disk.path,
                    "used": each.disk.used,
                    "available": each.disk.available,
                    "inodes_used": each.disk.inodes_used,
                    "inodes": each.disk.inodes,
                    "accounted": each.accounted,
                    "unaccounted": each.unaccounted,
                }
                for each in self.disks
            ],
            "unmeasured": dict(self.unmeasured),
            "largest": [
                {
                    "kind": item.kind,
                    "id": item.id,
                    "name": item.name,
                    "former_references": list(item.facts.get("former_references", ())),
                    "bytes": item.bytes,
                    "mounted_in": list(self.mounted_in.get(item.id, ())) if item.kind == "volume" else [],
                }
                for item in self.largest
            ],
        }


def usage_report(view: EngineView, images: ImageUsage | None, plan: Plan) -> UsageReport:
    """Compute the disk usage of a view; `images` has the sizes of image layers, if the engine reports them."""
    totals = {
        "container": _sum(container.size_rw for container in view.containers),
        "image": images.layers if images else None,
        "network": 0,
        "volume": _sum(volume.size for volume in view.volumes),
        "build_cache": sum(record.size for record in view.build_cache if not record.shared),
    }
    counts = dict.fromkeys(KINDS, 0)
    for subject in view.subjects():
        counts[subject.kind] += 1
    kinds = {
        kind: KindUsage(
            count=counts[kind],
            total=None if kind in view.failures else totals[kind],
            shared=_shared(images) if kind == "image" else 0,
            enforced=_by_policy(plan, kind, "enforce"),
            reported=_by_policy(plan, kind, "report"),
        )
        for kind in KINDS
    }
    by_path = {disk.path: disk for disk in view.disks.values()}
    disks = [
        AccountedDisk(disk, _sum(kinds[kind].total for kind, on in view.disks.items() if on.path == path))
        for path, disk in sorted(by_path.items())
    ]
    largest = _largest(plan)
    mounted_in = {
        item.id: tuple(sorted(container.name for container in view.containers if item.id in container.volumes))
        for item in largest
        if item.kind == "volume"
    }
    return UsageReport(view.taken_at, kinds, tuple(disks), view.unmeasured, largest, mounted_in)


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


def _by_policy(plan: Plan, kind: Kind, mode: str) -> dict[str, Amount]:
    amounts: dict[str, Amount] = {}
    for item in plan.items:
        if item.kind == kind and item.action == "remove" and item.mode == mode:
            count, size = amounts.get(item.policy or "", (0, 0))
            amounts[item.policy or ""] = count + 1, size + item.bytes
    return amounts


def _kind_as_json(usage: KindUsage) -> dict[str, Any]:
    count, size = usage.reclaimable
    modes = (("enforce", usage.enforced), ("report", usage.reported))
    return {
        "count": usage.count,
        "total": usage.total,
        "shared": usage.shared,
        "reclaimable": {"count": count, "bytes": size},
        "policies": [
            {"name": name, "mode": mode, "count": of_policy, "bytes": its_size}
            for mode, policies in modes
            for name, (of_policy, its_size) in policies.items()
        ],
    }
