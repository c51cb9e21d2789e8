"""Watermarks of disk pressure: at which fill level a policy begins to remove, and at which it stops. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from watchd.config import Cleanup, Policy, Pressure
from watchd.model import Disk, Kind


@dataclass(frozen=True, slots=True)
class Watermark:
    """High and low mark of a disk. Shares are 0 to 1, free space is in bytes."""

    name: str  # key of the high mark in the configuration: high, free_below, inodes_high or total_above
    start: float
    end: float

    def above_high(self, disk: Disk) -> bool:
        """Return whether the policy must begin to remove."""
        return disk.available < self.start if self.name == "free_below" else self._used(disk) > self.start

    def below_low(self, disk: Disk) -> bool:
        """Return whether the policy has removed enough."""
        return disk.available >= self.end if self.name == "free_below" else self._used(disk) <= self.end

    def room(self, disk: Disk) -> float:
        """Return how many bytes, of inodes how many inodes, the disk is below the high mark."""
        match self.name:
            case "free_below":
                return disk.available - self.start
            case "high":
                return self.start * (disk.used + disk.available) - disk.used
        return self.start * disk.inodes - disk.inodes_used

    def in_bytes(self, disk: Disk) -> tuple[int, int] | None:
        """Return the used bytes of a disk at both marks; None for inodes."""
        size = disk.used + disk.available
        match self.name:
            case "free_below":
                return max(0, round(size - self.start)), max(0, round(size - self.end))
            case "high":
                return round(size * self.start), round(size * self.end)
        return None

    def facts(self, disk: Disk) -> dict[str, Any]:
        """Return the facts of a removal: how full the disk is and both marks, by their keys in the configuration."""
        if self.name == "free_below":
            return {"disk": disk.path, "available": disk.available, "free_below": self.start, "free_until": self.end}
        if self.name == "total_above":
            return {"total": disk.used, "total_above": self.start, "total_until": self.end}
        used, low = ("used", "low") if self.name == "high" else ("inodes_used", "inodes_low")
        shares = {used: self._used(disk), self.name: self.start, low: self.end}
        return {"disk": disk.path, **{key: f"{share:.1%}" for key, share in shares.items()}}

    def _used(self, disk: Disk) -> float:
        if self.name == "total_above":
            return disk.used
        return disk.inodes_used_share if self.name == "inodes_high" else disk.used_share


def watermarks(pressure: Pressure) -> Iterator[Watermark]:
    """Yield the watermarks of a policy that are of its disk."""
    if pressure.high is not None and pressure.low is not None:
        yield Watermark("high", pressure.high, pressure.low)
    if pressure.free_below is not None and pressure.free_until is not None:
        yield Watermark("free_below", pressure.free_below, pressure.free_until)
    if pressure.inodes_high is not None and pressure.inodes_low is not None:
        yield Watermark("inodes_high", pressure.inodes_high, pressure.inodes_low)


def total_watermark(pressure: Pressure) -> Watermark | None:
    """Return the watermark of the total of what a policy selects."""
    if pressure.total_above is None or pressure.total_until is None:
        return None
    return Watermark("total_above", pressure.total_above, pressure.total_until)


def active_watermarks(pressure: Pressure, disk: Disk, *, acting: bool = False) -> tuple[Watermark, ...]:
    """Return the watermarks to act on: those above their high mark or, while the policy acts, above their low mark."""
    if acting:
        return tuple(mark for mark in watermarks(pressure) if not mark.below_low(disk))
    return tuple(mark for mark in watermarks(pressure) if mark.above_high(disk))


def without_pressure(policies: Iterable[Policy], unmeasured: Mapping[Kind, str]) -> dict[str, str]:
    """Return the policies with marks of a disk that is not known, each with why it is not."""
    return {
        policy.name: unmeasured[policy.kind]
        for policy in policies
        if policy.pressure is not None and policy.kind in unmeasured and any(watermarks(policy.pressure))
    }


def cannot_act(policy: Policy, unmeasured: Mapping[Kind, str]) -> bool:
    """Return whether a policy has marks of a disk that is not known, and no others."""
    pressure = policy.pressure
    return pressure is not None and total_watermark(pressure) is None and policy.kind in unmeasured


def disks_as_json(disks: Mapping[Kind, Disk], cleanup: Cleanup) -> list[dict[str, Any]]:
    """Return the published form of disks: their size, used bytes, and the policies' watermarks in bytes (no inodes)."""
    return [
        {
            "path": path,
            "size_bytes": disk.used + disk.available,
            "used_bytes": disk.used,
            "marks": [
                {"policy": policy.name, "high": in_bytes[0], "low": in_bytes[1]}
                for policy in cleanup.policies
                if policy.pressure is not None and policy.kind in disks and disks[policy.kind].path == path
                for mark in watermarks(policy.pressure)
                if (in_bytes := mark.in_bytes(disk)) is not None
            ],
        }
        for path, disk in sorted({disk.path: disk for disk in disks.values()}.items())
    ]
