"""Disk usage by kind: total, shared, reclaimable by policy; and by disk: what the engine does not account for. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from watchd.cleanup.plan.plan import Item, Plan
from watchd.cleanup.plan.space.space import Space
from watchd.cleanup.report.disk.without_image import layers_without_image
from watchd.cleanup.report.parts import other_platforms, parts_as_json
from watchd.model import Amount, Disk, EngineView, ImageUsage, Kind, amount_as_json, total
from watchd.model.objects.parts import Part, is_told
from watchd.units import format_time

# The cache of a builder is a volume; a log goes with its container, and may be on another disk.
Row = Kind | Literal["builder", "log"]
_KIND_OF: Mapping[Row, Kind] = {"builder": "volume", "log": "container"}
MOST_LARGEST = 25  # of each kind


@dataclass(frozen=True, slots=True)
class Claim:
    """Objects that a policy would remove now."""

    count: int
    amount: Amount


@dataclass(frozen=True, slots=True)
class KindUsage:
    """Disk usage of the objects of one kind, of builders of `docker buildx`, or of logs; None: not known."""

    count: int
    total: Amount | None
    shared: int = 0  # of the total, what several images share: it is freed with the last of them
    without_image: int = 0  # layers that no image has; there may be more
    other_platforms: Mapping[str, int] = field(default_factory=dict)  # bytes at most, by platform: not this host's
    enforced: Mapping[str, Claim] = field(default_factory=dict)  # by policy, what it would remove now
    reported: Mapping[str, Claim] = field(default_factory=dict)  # the same for policies that only report

    @property
    def reclaimable(self) -> Claim:
        """Objects that all policies would remove now, in any mode."""
        claims = (*self.enforced.values(), *self.reported.values())
        return Claim(sum(claim.count for claim in claims), total(claim.amount for claim in claims))


@dataclass(frozen=True, slots=True)
class AccountedDisk:
    """A disk of the engine, and the rows and bytes of what is on it; None if some are unknown."""

    disk: Disk
    accounted: int | None
    kinds: tuple[Row, ...] = ()

    @property
    def unaccounted(self) -> int | None:
        """Bytes used by anything else: other programs' files, images of a store that is switched off."""
        return None if self.accounted is None else max(0, self.disk.used - self.accounted)


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Disk usage of an engine."""

    created_at: float
    kinds: Mapping[Row, KindUsage]
    disks: tuple[AccountedDisk, ...]
    unmeasured: Mapping[Kind, str] = field(default_factory=dict)  # why the disk of a kind is not known
    largest: tuple[Item, ...] = ()  # of each kind, the largest first, by the bytes that nothing else shares
    mounted_in: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # names of containers, by volume
    parts: Mapping[str, tuple[Part, ...]] = field(default_factory=dict)  # of images, by ID

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
                    "kinds": list(each.kinds),
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
                    **amount_as_json(item),
                    "mounted_in": list(self.mounted_in.get(item.id, ())) if item.kind == "volume" else [],
                    "parts": parts_as_json(self.parts.get(item.id, ())),
                }
                for item in self.largest
            ],
        }


def usage_report(view: EngineView, images: ImageUsage | None, plan: Plan) -> UsageReport:
    """Compute the disk usage of a view; `images` has the sizes of image layers, if the engine reports them."""
    space = Space.of(view)
    claims = _claims(plan)
    without_image = layers_without_image(view, images)
    kinds = {
        row: KindUsage(
            count=count,
            total=None if _KIND_OF.get(row, row) in view.failures else amount,
            shared=_shared(view, space, images) if row == "image" else 0,
            without_image=without_image if row == "image" else 0,
            other_platforms=other_platforms(view.images) if row == "image" else {},
            enforced=claims[row, "enforce"],
            reported=claims[row, "report"],
        )
        for row, (count, amount) in _totals(view, space, images).items()
    }
    on_disk = _on_disk(view)
    if kinds["log"].total is None:  # then they are among what nothing accounts for
        on_disk.pop("log", None)
    by_path = {disk.path: disk for disk in on_disk.values()}
    rows_on = {path: tuple(row for row in kinds if row in on_disk and on_disk[row].path == path) for path in by_path}
    disks = [
        AccountedDisk(disk, _exactly(kinds[row].total for row in rows_on[path]), rows_on[path])
        for path, disk in sorted(by_path.items())
    ]
    largest = _largest(plan)
    mounted_in = {
        item.id: tuple(sorted(container.name for container in view.containers if item.id in container.volumes))
        for item in largest
        if item.kind == "volume"
    }
    parts = {image.id: image.parts for image in view.images if is_told(image.parts)}
    return UsageReport(view.taken_at, kinds, tuple(disks), view.unmeasured, largest, mounted_in, parts)


def _largest(plan: Plan) -> tuple[Item, ...]:
    sized = [item for item in plan.items if item.action != "untag" and item.bytes]
    of_kind: Counter[Kind] = Counter()
    largest = []
    for item in sorted(sized, key=lambda item: -item.bytes):
        of_kind[item.kind] += 1
        if of_kind[item.kind] <= MOST_LARGEST:
            largest.append(item)
    return tuple(largest)


def _totals(view: EngineView, space: Space, images: ImageUsage | None) -> Mapping[Row, tuple[int, Amount | None]]:
    """Return the number of objects in each row, and their bytes.

    What images and the build cache both hold counts for images.
    """
    of_images = None if images is None or images.layers is None else Amount(images.layers)
    of_cache = space.amount(view.build_cache, beside=view.images)
    if view.engine.store == "containerd":  # what it tells of images includes the build cache's copies (28.5.2)
        of_images = space.amount(view.images) if images and _has_layers(view) else of_images
    else:
        of_cache = Amount(of_cache.bytes)  # what it shares with images in an unknown way counts for them
    volumes = [volume.size for volume in view.volumes if not volume.builder]
    builders = [volume.size for volume in view.volumes if volume.builder]
    logs = [container.log_size for container in view.containers if container.log_size is not None]
    return {
        "container": (len(view.containers), _amount(container.size_rw for container in view.containers)),
        "image": (len(view.images), of_images),
        "network": (len(view.networks), Amount()),
        "volume": (len(volumes), _amount(volumes)),
        "build_cache": (len(view.build_cache) if "build_cache" in view.kinds else 0, of_cache),
        "builder": (len(builders), _amount(builders)),
        "log": (len(logs), None if view.logs.unknown else _amount(logs)),
    }


def _amount(sizes: Iterable[int | None]) -> Amount:
    known = list(sizes)
    return Amount(sum(size or 0 for size in known), None in known)


def _on_disk(view: EngineView) -> dict[Row, Disk]:
    """Return the disk of each row, as far as it is known."""
    on_disk: dict[Row, Disk] = {kind: disk for kind, disk in view.disks.items()}  # noqa: C416 - of another type
    if "volume" in view.disks:
        on_disk["builder"] = view.disks["volume"]
    if view.log_disk is not None:
        on_disk["log"] = view.log_disk
    return on_disk


def _exactly(totals: Iterable[Amount | None]) -> int | None:
    """Return the sum in bytes, None if a part of it is not known."""
    known = list(totals)
    return sum(each.bytes for each in known if each) if all(each and not each.at_least for each in known) else None


def _shared(view: EngineView, space: Space, images: ImageUsage | None) -> int:
    if _has_layers(view):
        of_images = space.only(view.images)
        return of_images.total() - sum(of_images.alone(image.key) for image in view.images)
    if images is None or images.layers is None:
        return 0
    return max(0, images.layers - sum(images.unique.values()))


def _has_layers(view: EngineView) -> bool:
    return all(image.history is not None for image in view.images)


def _claims(plan: Plan) -> Mapping[tuple[Row, str], dict[str, Claim]]:
    """Return the removals that policies would make, by row and mode, then by policy."""
    claims: dict[tuple[Row, str], dict[str, Claim]] = defaultdict(dict)
    for item in plan.items:
        if item.action == "remove" and item.mode is not None:
            for row, amount in _parts(item):
                of_row, policy = claims[row, item.mode], item.policy or ""
                claim = of_row.get(policy, Claim(0, Amount()))
                of_row[policy] = Claim(claim.count + 1, total([claim.amount, amount]))
    return claims


def _parts(item: Item) -> Iterator[tuple[Row, Amount]]:
    """Yield the rows that a removal belongs to, with the bytes that it frees in each."""
    log = item.facts.get("log_bytes", 0) if item.kind == "container" else 0
    if log:
        yield "log", Amount(log)
    is_builder = item.kind == "volume" and "builder" in item.facts
    yield ("builder" if is_builder else item.kind), Amount(item.bytes - log, item.at_least)


def _kind_as_json(usage: KindUsage) -> dict[str, Any]:
    reclaimable = usage.reclaimable
    modes = (("enforce", usage.enforced), ("report", usage.reported))
    return {
        "count": usage.count,
        "total": None if usage.total is None else amount_as_json(usage.total)["bytes"],
        "at_least": usage.total is None or usage.total.at_least,
        "shared": usage.shared,
        "without_image": usage.without_image,
        "other_platforms": dict(usage.other_platforms),
        "reclaimable": _claim_as_json(reclaimable),
        "policies": [
            {"name": name, "mode": mode, **_claim_as_json(claim)}
            for mode, policies in modes
            for name, claim in policies.items()
        ],
    }


def _claim_as_json(claim: Claim) -> dict[str, Any]:
    return {"count": claim.count, **amount_as_json(claim.amount)}
