"""The last hour of every container: a point each 15 s, from readings that come when they come."""

import math
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchd.metrics.recent.recent import HOST, POINTS, SERIES, STEP, Recent, Series
from watchd.metrics.sources.source import Reading
from watchd.model import Container
from watchd.model.usage import Cpu, Device, Interface, Memory, Process, Spec, Usage

ID = "a" * 64
WEB = Container(ID, "web", "shop:1", "sha256:1", "running", 0.0, started_at=1.0, pid=7)
NOW = time.time() // STEP * STEP - 3000


def reading(at: float, cpu: float, memory: int = 1000, **more: Any) -> Reading:
    return Reading(
        Usage(
            spec=Spec(memory_limit=0),
            cpu=Cpu(usage=cpu),
            memory=Memory(working_set=memory),
            network=(Interface("eth0", int(cpu * 100), 0, 0, 0, int(cpu * 10), 0, 0, 0),),
            disk=(Device("/dev/sda", "8", "0", read_bytes=int(cpu * 1000), written_bytes=0),),
            process=Process(processes=3),
            **more,
        ),
        at,
    )


def took(readings: Iterable[Reading], container: Container = WEB) -> Recent:
    recent = Recent()
    for each in readings:
        recent.add([container], {container.id: each}, None)
    return recent


def series(recent: Recent, name: str = "cpu_cores", container_id: str = ID) -> list[float | None]:
    points: list[float | None] = recent.tails(container_id)["series"][name]
    return points


def test_a_point_for_every_step() -> None:
    recent = took(reading(NOW + n * STEP, n * 7.5, memory=n) for n in range(5))

    tails = recent.tails(ID)
    assert (tails["end"], tails["step"]) == (NOW + 4 * STEP, STEP)
    assert list(tails["series"]) == list(SERIES)
    assert tails["series"]["cpu_cores"] == [None, 0.5, 0.5, 0.5, 0.5]
    assert tails["series"]["memory_bytes"] == [0, 1, 2, 3, 4]
    assert tails["series"]["network_bytes_per_second"] == [None, 55, 55, 55, 55]
    assert tails["series"]["disk_bytes_per_second"] == [None, 500, 500, 500, 500]
    assert tails["series"]["throttled"] == [None] * 5


def test_what_it_uses_now() -> None:
    use = took([reading(NOW, 0.0), reading(NOW + 2, 3.0)]).use(ID)

    assert use is not None
    assert (use.rates.cpu_cores, use.rates.network_receive_bytes_per_second) == (1.5, 150)
    assert (use.memory_bytes, use.memory_limit_bytes, use.processes) == (1000, None, 3)


def test_throttling_is_that_of_the_last_minute_and_does_not_jump() -> None:
    """Every other reading finds all of its 50 periods throttled: of each minute it is a half."""
    readings, throttled, shares = [], 0, set()
    for n in range(41):
        throttled += 50 * (n % 2)
        cpu = Cpu(usage=float(n), periods=50 * n, throttled_periods=throttled)
        readings.append(Reading(Usage(cpu=cpu), NOW + 5 * n))
        use = took(readings).use(ID)
        assert use is not None
        if n > 12:
            shares.add(round(use.rates.throttled or 0, 1))

    assert shares == {0.5}
    calm = [
        Reading(Usage(cpu=Cpu(41.0 + n, periods=2050 + n, throttled_periods=throttled)), NOW + 205 + n)
        for n in range(0, 90, 5)
    ]
    use = took([*readings, *calm]).use(ID)
    assert use is not None
    assert use.rates.throttled == 0.0


def test_throttling_before_a_new_start_is_not_counted() -> None:
    busy = [Reading(Usage(cpu=Cpu(float(n), periods=50 * n, throttled_periods=50 * n)), NOW + 5 * n) for n in range(4)]
    recent = took(busy)
    again = replace(WEB, pid=8, started_at=2.0)
    for n in range(2):
        reading = Reading(Usage(cpu=Cpu(100.0 + n, periods=900 + 50 * n, throttled_periods=900)), NOW + 20 + 5 * n)
        recent.add([again], {ID: reading}, None)

    use = recent.use(ID)
    assert use is not None
    assert use.rates.throttled == 0.0


def test_readings_that_follow_each_other_closely_change_no_rate() -> None:
    use = took([reading(NOW, 0.0), reading(NOW + 2, 2.0), reading(NOW + 2.01, 2.5, memory=7)]).use(ID)

    assert use is not None
    assert (use.rates.cpu_cores, use.memory_bytes) == (1.0, 7)


def test_readings_more_seldom_than_points_fill_those_between() -> None:
    recent = took(reading(NOW + n * 60.0, n * 30.0) for n in range(3))

    assert series(recent) == [None] + [0.5] * 8


def test_a_long_time_without_readings_is_a_gap() -> None:
    recent = took([reading(NOW, 0.0), reading(NOW + STEP, 15.0), reading(NOW + 40 * STEP, 300.0)])

    assert series(recent) == [None, 1.0] + [None] * 39


def test_a_new_start_is_not_taken_for_a_decrease_nor_for_what_came_before() -> None:
    recent = took([reading(NOW, 100.0), reading(NOW + STEP, 101.5)])
    again = replace(WEB, pid=8, started_at=2.0)
    for n, cpu in enumerate((500.0, 515.0), 2):
        recent.add([again], {ID: reading(NOW + n * STEP, cpu)}, None)

    assert series(recent) == [None, 0.1, None, 1.0]


def test_one_that_stopped_uses_nothing_and_keeps_its_past(monkeypatch: pytest.MonkeyPatch) -> None:
    # `NOW` is set when tests are collected: in a slow run the hour would be over by now.
    clocks = SimpleNamespace(time=lambda: NOW + STEP, monotonic=lambda: 0.0)
    monkeypatch.setattr("watchd.metrics.recent.recent.time", clocks)
    recent = took([reading(NOW, 0.0), reading(NOW + STEP, 15.0)])

    recent.add([replace(WEB, pid=0, status="exited")], {}, None)

    assert recent.use(ID) is None
    assert series(recent) == [None, 1.0]


def test_one_that_is_gone_is_forgotten() -> None:
    recent = took([reading(NOW, 0.0)])

    recent.add([], {}, None)

    assert recent.tails(ID) == {"end": None, "step": STEP, "series": {name: [] for name in SERIES}}


def test_one_that_stopped_more_than_an_hour_ago_takes_no_room() -> None:
    recent = took([reading(NOW - 2 * POINTS * STEP, 0.0)])

    recent.add([replace(WEB, pid=0, status="exited")], {}, None)

    assert recent.tails(ID)["end"] is None


def test_the_host_is_one_of_them() -> None:
    recent = Recent()
    for n in range(3):
        recent.add([], {}, reading(NOW + n * STEP, n * 30.0))

    assert series(recent, container_id=HOST) == [None, 2.0, 2.0]


@pytest.mark.parametrize("back", [5.0, 14.0, STEP, 50.0, 100 * STEP])
def test_a_clock_that_is_set_back_makes_no_rate(monkeypatch: pytest.MonkeyPatch, back: float) -> None:
    """A little: it catches up. By more: what was then still the future is nothing to go on with."""
    clock, passed, recent = NOW, 0.0, Recent()
    clocks = SimpleNamespace(time=lambda: clock, monotonic=lambda: passed)
    monkeypatch.setattr("watchd.metrics.recent.recent.time", clocks)
    for n in range(20):
        passed = n * STEP
        clock = NOW + passed - (back if n >= 10 else 0)
        recent.add([WEB], {ID: reading(clock, passed)}, None)

    found = series(recent)
    assert set(found) == {None, 1.0}
    assert found[-1] == 1.0
    assert len(found) == (10 if back > 60 else 20 - math.ceil(back / STEP))


@given(st.lists(st.tuples(st.floats(0.01, 2000), st.floats(0, 2)), max_size=60))
def test_whatever_the_times_a_mean_rate_is_shown_for_a_steady_use(steps: list[tuple[float, float]]) -> None:
    at, cpu, readings = NOW, 0.0, [reading(NOW, 0.0)]
    for seconds, cores in steps:
        at, cpu = at + seconds, cpu + seconds * cores
        readings.append(reading(at, cpu))

    found = series(took(readings))

    assert 1 <= len(found) <= POINTS
    assert all(value is None or 0 <= value <= 2.001 for value in found)


def test_only_the_last_hour_is_kept_and_in_order() -> None:
    kept = Series(0)
    for step in range(1000):
        kept.put(step, (step, None, None, None, None), since=step - 1)

    assert kept.tail("cpu_cores") == list(range(1000 - POINTS, 1000))
    assert kept.tail("cpu_cores", 3) == [997, 998, 999]


def test_an_hour_takes_five_kilobytes() -> None:
    kept = Series(0)

    assert sys.getsizeof(kept) + sys.getsizeof(kept._points) <= 5120
