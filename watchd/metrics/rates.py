"""How fast a container used what it did between two readings. Pure.

Nobody changes what was made. It is not frozen for that, for the reason that `usage` gives.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from watchd.metrics.usage import Device, Usage


@dataclass(slots=True)
class Counts:
    """What one run of a container had used by a moment. Seconds, bytes and periods; None: not told."""

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
    """What is used in a second; `throttled` is the share of the CPU quota's periods, from 0 to 1. None: not known."""

    cpu_cores: float | None = None
    throttled: float | None = None
    network_receive_bytes_per_second: float | None = None
    network_transmit_bytes_per_second: float | None = None
    disk_read_bytes_per_second: float | None = None
    disk_write_bytes_per_second: float | None = None


UNKNOWN = Rates()


def counts(usage: Usage, at: float) -> Counts:
    """Return what counts of a reading, all interfaces and all devices together."""
    cpu, network, disk = usage.cpu, usage.network, usage.disk
    return Counts(
        at,
        cpu.usage if cpu else None,
        cpu.periods if cpu else None,
        cpu.throttled_periods if cpu else None,
        total([each.received_bytes for each in network]) if network is not None else None,
        total([each.sent_bytes for each in network]) if network is not None else None,
        total([each.read_bytes for each in _undermost(disk)]) if disk is not None else None,
        total([each.written_bytes for each in _undermost(disk)]) if disk is not None else None,
    )


def _undermost(devices: Sequence[Device]) -> Sequence[Device]:
    """Return the devices but LVM's, LUKS' and RAID's, where there are others: those count what goes through these."""
    below = [each for each in devices if not each.device.rpartition("/")[2].startswith(("dm-", "md"))]
    return below or devices


def rates(before: Counts, after: Counts) -> Rates:
    """Return the mean rates between two readings of one run.

    A count that fell was begun anew: what there was in between is not known. Where that is the CPU time, all were.
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
    """Return the sum of what is known; None: nothing is, though there were values."""
    found, is_empty = None, True
    for value in values:
        is_empty = False
        if value is not None:
            found = value if found is None else found + value
    return 0 if is_empty else found


def _increase(earlier: float | None, later: float | None) -> float | None:
    return None if earlier is None or later is None or later < earlier else later - earlier


def _share(part: float | None, whole: float | None) -> float | None:
    """What does not run goes through no period, and is not throttled."""
    if part is None or whole is None:
        return None
    return min(1.0, part / whole) if whole else 0.0
