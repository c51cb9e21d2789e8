"""Rates are what two readings tell, and never what they do not."""

from dataclasses import astuple, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchd.metrics.recent.rates import UNKNOWN, Counts, counts, rates
from watchd.model.usage import Cpu, Device, Interface, Usage

FIRST = Counts(
    100.0, cpu=10.0, periods=1000, throttled_periods=10, received=5_000, sent=1_000, read=2**40, written=7_000
)
LATER = Counts(
    110.0, cpu=25.0, periods=1100, throttled_periods=35, received=6_000, sent=1_500, read=2**40, written=7_100
)

_count = st.none() | st.integers(0, 2**63)
_counts = st.builds(
    Counts,
    st.floats(0, 4e9),
    st.none() | st.floats(0, 1e12),
    _count,
    _count,
    _count,
    _count,
    _count,
    _count,
)


def test_the_increase_by_the_second() -> None:
    assert astuple(rates(FIRST, LATER)) == (1.5, 0.25, 100.0, 50.0, 0.0, 10.0)


@given(_counts, _counts)
def test_a_rate_is_never_negative_and_a_share_never_more_than_all(before: Counts, after: Counts) -> None:
    found = rates(before, after)

    assert all(value is None or value >= 0 for value in astuple(found))
    assert found.throttled is None or found.throttled <= 1
    if after.at <= before.at:
        assert found == UNKNOWN


@given(_counts, _counts)
def test_what_is_told_at_one_end_only_has_no_rate(before: Counts, after: Counts) -> None:
    found = rates(before, after)

    assert found.cpu_cores is None or None not in (before.cpu, after.cpu)
    assert found.network_receive_bytes_per_second is None or None not in (before.received, after.received)
    assert found.disk_write_bytes_per_second is None or None not in (before.written, after.written)


def test_after_a_new_start_nothing_is_known_of_the_time_before() -> None:
    assert rates(LATER, replace(FIRST, at=LATER.at + 10, received=LATER.received)) == UNKNOWN


def test_an_interface_that_was_attached_anew_spoils_no_other_rate() -> None:
    found = rates(FIRST, replace(LATER, received=10))

    assert found == replace(rates(FIRST, LATER), network_receive_bytes_per_second=None)


def test_what_does_not_run_is_not_throttled() -> None:
    idle = replace(LATER, periods=FIRST.periods, throttled_periods=FIRST.throttled_periods)

    assert rates(FIRST, idle).throttled == 0.0


def test_without_a_quota_there_is_no_throttling_to_tell_of() -> None:
    assert rates(replace(FIRST, periods=None, throttled_periods=None), LATER).throttled is None


def test_all_interfaces_and_all_devices_count() -> None:
    usage = Usage(
        cpu=Cpu(usage=3.0),
        network=(Interface("eth0", 1, 0, 0, 0, 10, 0, 0, 0), Interface("eth1", 2, 0, 0, 0, 20, 0, 0, 0)),
        disk=(Device("/dev/sda", "8", "0", read_bytes=5), Device("/dev/sdb", "8", "16", read_bytes=6)),
    )

    assert counts(usage, 7.0) == Counts(7.0, cpu=3.0, received=3, sent=30, read=11)


@pytest.mark.parametrize(("told", "received"), [(None, None), ((), 0)])
def test_a_group_that_was_not_read_is_not_nothing(told: tuple[Interface, ...] | None, received: int | None) -> None:
    assert counts(Usage(network=told), 7.0).received == received


def test_what_goes_through_lvm_luks_or_raid_counts_once() -> None:
    disk, stacked = Device("/dev/sda", "8", "0", read_bytes=5), Device("/dev/dm-0", "253", "0", read_bytes=5)
    assert counts(Usage(disk=(disk, stacked)), 0.0).read == 5
    assert counts(Usage(disk=(stacked,)), 0.0).read == 5, "where the one below is not told of"
