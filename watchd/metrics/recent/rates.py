"""Rates between two readings of a container. Pure.

No record is changed once it is made; they are not frozen, for the reason in `usage`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from watchd.model.usage import Device, Usage


@dataclass(slots=True)
class Counts:
    """Counters of one run of a container at one moment. Seconds, bytes and periods; None: not known."""

    at: float  # seconds since the epoch
    cpu: float | None = None
    periods: int | None = None
    throttled_periods: int | None = None
    received: float | None = None
    sent: float | None = None
    read: float | None = None
    written: float | None = None


@dataclass(slots=True)
class Rates:
    """Use per second; `throttled` is the share of the CPU quota's periods, from 0 to 1. None: not known."""

    cpu_cores: float | None = None
    throttled: float | None = None
    network_receive_bytes_per_second: float | None = None
    network_transmit_bytes_per_second: float | None = None
    disk_read_bytes_per_second: float | None = None
    disk_write_bytes_per_second: float | None = None


UNKNOWN = Rates()
_STACKED = re.compile(r"/dev/(dm-|md|md_d|bcache|drbd)[0-9]+(p[0-9]+)?")


def counts(usage: Usage, at: float) -> Counts:
    """Return the counters of a reading, summed over interfaces and devices."""
    cpu, disk = usage.cpu, None if usage.disk is None else _lowest(usage.disk)
    network = None if usage.network is None else [each for each in usage.network if not each.is_stacked]
    return Counts(
        at,
        cpu.usage if cpu else None,
        cpu.periods if cpu else None,
        cpu.throttled_periods if cpu else None,
        total([each.received_bytes for each in network]) if network is not None else None,
        total([each.sent_bytes for each in network]) if network is not None else None,
        total([each.read_bytes for each in disk]) if disk is not None else None,
        total([each.written_bytes for each in disk]) if disk is not None else None,
    )


def _lowest(devices: Sequence[Device]) -> Sequence[Device]:
    """Leave out devices of LVM, LUKS, RAID and caches, where there are others: the disks below count the same bytes."""
    below = [each for each in devices if not _is_stacked(each.device)]
    return below or devices


@lru_cache(maxsize=256)  # disks of a host
def _is_stacked(device: str) -> bool:
    return _STACKED.fullmatch(device) is not None


def rates(before: Counts, after: Counts) -> Rates:
    """Return the mean rates between two readings of one run.

    A counter that fell was reset, so its rate is not known. If it is the CPU time, all were reset.
    """
    seconds = after.at - before.at
    if seconds <= 0 or (before.cpu is not None and after.cpu is not None and after.cpu < before.cpu):
        return UNKNOWN

    def rate(earlier: float | None, later: float | None) -> float | None:
        increase = _increase(earlier, later)
        return None if increase is None else increase / seconds

    return Rates(
        rate(before.cpu, after.cpu),
        _share(_increase(before.throttled_periods, after.throttled_periods), _increase(before.periods, after.periods)),
        rate(before.received, after.received),
        rate(before.sent, after.sent),
        rate(before.read, after.read),
        rate(before.written, after.written),
    )


def total(values: Iterable[float | None]) -> float | None:
    """Return the sum of the known values; None: there are values, and none is known."""
    found, is_empty = None, True
    for value in values:
        is_empty = False
        if value is not None:
            found = value if found is None else found + value
    return 0 if is_empty else found


def _increase(earlier: float | None, later: float | None) -> float | None:
    return None if earlier is None or later is None or later < earlier else later - earlier


def _share(part: float | None, whole: float | None) -> float | None:
    """Return the share of `part`; without any period nothing was throttled."""
    if part is None or whole is None:
        return None
    return min(1.0, part / whole) if whole else 0.0
