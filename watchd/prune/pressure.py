"""Disk pressure: from which mark on a policy acts, and when it is enough. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from watchd.config import Cleanup, Pressure
from watchd.model import Disk, Kind


@dataclass(frozen=True, slots=True)
class Mark:
    """One pair of marks. Shares are from 0 to 1, free room is in bytes."""

    name: str  # of the key with the first mark
    start: float
    end: float

    def is_exceeded(self, disk: Disk) -> bool:
        """Whether it is time to act."""
        return self._pressing(disk) > self._signed(self.start)

    def is_reached(self, disk: Disk) -> bool:
        """Whether it is enough."""
        return self._pressing(disk) <= self._signed(self.end)

    def in_bytes(self, disk: Disk) -> tuple[int, int] | None:
        """Return how much of a disk is used at both marks; None: they are not about bytes."""
        size = disk.used + disk.available
        match self.name:
            case "free_below":
                return max(0, round(size - self.start)), max(0, round(size - self.end))
            case "high":
                return round(size * self.start), round(size * self.end)
        return None

    def facts(self, disk: Disk) -> dict[str, Any]:
        """Return what to tell of it: how things stand, and both marks, as the configuration writes them."""
        if self.name == "free_below":
            return {"disk": disk.path, "available": disk.available, "free_below": self.start, "free_until": self.end}
        end = self.name.replace("high", "low")
        share = disk.used_share if self.name == "high" else disk.inodes_used_share
        shown = {"used" if self.name == "high" else "inodes_used": share, self.name: self.start, end: self.end}
        return {"disk": disk.path, **{key: f"{value:.1%}" for key, value in shown.items()}}

    def _pressing(self, disk: Disk) -> float:
        match self.name:
            case "free_below":
                return -disk.available
            case "inodes_high":
                return disk.inodes_used_share
        return disk.used_share

    def _signed(self, mark: float) -> float:
        return -mark if self.name == "free_below" else mark


def marks(pressure: Pressure) -> Iterator[Mark]:
    """Yield the pairs that a policy has."""
    if pressure.high is not None and pressure.low is not None:
        yield Mark("high", pressure.high, pressure.low)
    if pressure.free_below is not None and pressure.free_until is not None:
        yield Mark("free_below", pressure.free_below, pressure.free_until)
    if pressure.inodes_high is not None and pressure.inodes_low is not None:
        yield Mark("inodes_high", pressure.inodes_high, pressure.inodes_low)


def pressing(pressure: Pressure, disk: Disk, *, acts_already: bool = False) -> tuple[Mark, ...]:
    """Return the marks that a policy has to act for: those exceeded; once it acts already, those not yet reached."""
    if acts_already:
        return tuple(mark for mark in marks(pressure) if not mark.is_reached(disk))
    return tuple(mark for mark in marks(pressure) if mark.is_exceeded(disk))


def marked(disks: Mapping[Kind, Disk], cleanup: Cleanup) -> list[dict[str, Any]]:
    """Return how full each disk is, and between which uses policies act on it, in bytes (not the marks of inodes)."""
    return [
        {
            "path": path,
            "size_bytes": disk.used + disk.available,
            "used_bytes": disk.used,
            "marks": [
                {"policy": policy.name, "high": in_bytes[0], "low": in_bytes[1]}
                for policy in cleanup.policies
                if policy.pressure is not None and policy.kind in disks and disks[policy.kind].path == path
                for mark in marks(policy.pressure)
                if (in_bytes := mark.in_bytes(disk)) is not None
            ],
        }
        for path, disk in sorted({disk.path: disk for disk in disks.values()}.items())
    ]
