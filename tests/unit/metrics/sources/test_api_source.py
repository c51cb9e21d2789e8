"""Containers and engines that answer, answer late, fail, end and restart: what is read of them through the API."""

import dataclasses
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pytest

from tests.harness.waiting import wait_until
from tests.unit.conftest import no_cycles
from watchd.errors import EngineRefused, EngineUnreachable
from watchd.metrics.groups import groups_named
from watchd.metrics.sources import api as api_source
from watchd.metrics.sources.api import FRESH_FOR, OLDEST, ApiSource
from watchd.metrics.sources.source import Reading
from watchd.model import Container, Limits
from watchd.model.usage import Memory

NOW = 1_800_000_000.0
ENDED = {"read": "0001-01-01T00:00:00Z", "cpu_stats": {"cpu_usage": {"total_usage": 0}}}

Answer = Callable[[], Any]


def container(name: str, **changes: Any) -> Container:
    running = Container(name, name, "image", "sha256:0", "running", NOW, started_at=NOW, pid=1)
    return dataclasses.replace(running, **changes)


def used(seconds: int, **more: Any) -> Any:
    """The stats of a container that has used so much CPU time, and some memory."""
    cpu_stats = {"cpu_usage": {"total_usage": seconds * 10**9}}
    return {"read": "2026-01-01T00:00:00Z", "cpu_stats": cpu_stats, "memory_stats": {"usage": 1}, **more}


def cpu(readings: Mapping[str, Reading]) -> dict[str, float | None]:
    return {name: reading.usage.cpu.usage for name, reading in readings.items() if reading.usage.cpu}


def raising(error: Exception) -> Answer:
    def answer() -> Any:
        raise error

    return answer


class FakeEngine:
    """Stands in for an engine that is slow or broken: by container, what its stats are or do."""

    def __init__(self, answers: Mapping[str, Any] | None = None) -> None:
        self.answers: dict[str, Any] = dict(answers or {})
        self.asked: list[str] = []
        self.under_way = self.most_under_way = 0
        self._lock = threading.Lock()

    def stats(self, container_id: str) -> Any:
        with self._lock:
            self.asked.append(container_id)
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            answer = self.answers.get(container_id, used(1))
            return answer() if callable(answer) else answer
        finally:
            with self._lock:
                self.under_way -= 1


class Gate:
    """An answer that does not come before the gate is opened."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self._opened = threading.Event()

    def __call__(self) -> Any:
        assert self._opened.wait(30)
        return self._answer() if callable(self._answer) else self._answer

    def open(self) -> None:
        self._opened.set()


class Clock:
    """The time, which passes when a test says so."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source(engine: FakeEngine, clock: Clock) -> Iterator[ApiSource]:
    source = ApiSource(engine, at_once=4, clock=clock)
    yield source
    source.close()


def own_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "watchd-stats"]


def read(source: ApiSource, clock: Clock, containers: Iterable[Container], after: float = 0.0) -> Mapping[str, Reading]:
    clock.now += after
    return source.read(list(containers), clock.now)


def test_running_containers_are_read(engine: FakeEngine, source: ApiSource, clock: Clock) -> None:
    engine.answers = {"a": used(1), "b": used(2)}

    readings = read(source, clock, [container("a"), container("b"), container("c", pid=0, status="exited")])

    assert cpu(readings) == {"a": 1.0, "b": 2.0}
    assert {(reading.at, reading.cgroup_path) for reading in readings.values()} == {(NOW, None)}
    assert sorted(engine.asked) == ["a", "b"]
    assert (source.name, source.errors) == ("api", {})


def test_only_groups_asked_for_and_interfaces_of_its_own_are_given(clock: Clock) -> None:
    counts = dict.fromkeys(
        (f"{way}_{what}" for way in ("rx", "tx") for what in ("bytes", "packets", "errors", "dropped")), 1
    )
    engine = FakeEngine(dict.fromkeys("abc", used(1, networks={"eth0": counts})))
    containers = [
        container("a", limits=Limits(cpu_quota=1000)),
        container("b", network_mode="host"),
        container("c", network_mode="container:a"),
    ]
    source = ApiSource(engine, groups=groups_named({"cpu", "network"}), clock=clock)

    readings = read(source, clock, containers)
    source.close()

    assert [bool(readings[name].usage.network) for name in "abc"] == [True, False, False]
    assert readings["a"].usage.spec is not None
    assert readings["a"].usage.spec.cpu_quota == 1000
    assert readings["a"].usage.memory is None


def test_an_engine_that_tells_of_no_memory_is_told_once(
    engine: FakeEngine, source: ApiSource, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a kernel that was started with cgroup_disable=memory."""
    engine.answers = dict.fromkeys("ab", used(1, memory_stats={"stats": {"anon": 0}}))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            readings = read(source, clock, [container("a"), container("b")], after=15)

    assert [reading.usage.memory for reading in readings.values()] == [Memory(), Memory()]
    (record,) = caplog.records
    assert "cgroup_enable=memory" in record.message


def test_so_many_requests_at_once_and_no_more(engine: FakeEngine, source: ApiSource, clock: Clock) -> None:
    together = threading.Barrier(4, timeout=30)

    def answer() -> Any:
        together.wait()  # for three others to be asked for, too
        return used(1)

    engine.answers = {f"c{number}": answer for number in range(12)}

    readings = read(source, clock, [container(name) for name in engine.answers])

    assert len(readings) == 12
    assert engine.most_under_way == 4


def test_threads_are_made_when_needed_and_not_more_than_containers(
    engine: FakeEngine, source: ApiSource, clock: Clock
) -> None:
    others = set(own_threads())  # of another test, about to end

    def threads() -> int:
        return len(set(own_threads()) - others)

    read(source, clock, [])
    assert threads() == 0
    read(source, clock, [container("a"), container("b")])
    assert threads() == 2
    read(source, clock, [container("a")])
    wait_until(lambda: threads() == 1, seconds=10, what="a thread to end")
    read(source, clock, [])
    wait_until(lambda: threads() == 0, seconds=10, what="the last thread to end")
    assert engine.asked.count("a") == 1


def test_scrapes_that_follow_closely_share_readings(engine: FakeEngine, source: ApiSource, clock: Clock) -> None:
    read(source, clock, [container("a")])
    engine.answers["a"] = used(2)

    soon = read(source, clock, [container("a"), container("b")], after=FRESH_FOR - 1)
    later = read(source, clock, [container("a"), container("b")], after=2)

    assert (cpu(soon), soon["a"].at) == ({"a": 1.0, "b": 1.0}, NOW)
    assert (cpu(later), later["a"].at) == ({"a": 2.0, "b": 1.0}, NOW + FRESH_FOR + 1)
    assert engine.asked == ["a", "b", "a"]


def test_what_misses_the_deadline_is_given_as_it_was(
    engine: FakeEngine, source: ApiSource, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [container("a"), container("b")]
    read(source, clock, both)
    gate = engine.answers["a"] = Gate(used(7))
    engine.answers["b"] = used(2)

    monkeypatch.setattr(api_source, "DEADLINE", 0.2)
    read(source, clock, both, after=15)
    wait_until(lambda: cpu(source.read(both, clock.now))["b"] == 2.0, seconds=10, what="b, which may be late as well")
    readings = source.read(both, clock.now)
    assert cpu(readings) == {"a": 1.0, "b": 2.0}
    assert (readings["a"].at, readings["b"].at) == (NOW, NOW + 15)
    clock.now += 1
    gate.open()
    wait_until(lambda: source.read(both, clock.now)["a"].at > NOW, seconds=10, what="the late reading")
    later = source.read(both, clock.now)

    assert cpu(later) == {"a": 7.0, "b": 2.0}
    assert later["a"].at == NOW + 16
    assert engine.asked.count("a") == 2, "the late answer is fresh"


def test_who_was_late_is_not_waited_for_until_it_has_answered(
    engine: FakeEngine, source: ApiSource, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container whose stats hang makes one scrape slow and not all of them."""
    gate = engine.answers["a"] = Gate(used(7))
    both = [container("a"), container("b")]
    monkeypatch.setattr(api_source, "DEADLINE", 0.2)
    wait_until(lambda: "b" in source.read(both, clock.now), seconds=10, what="b, which may be late as well")
    monkeypatch.setattr(api_source, "DEADLINE", 600)  # the test would hang

    assert cpu(read(source, clock, both, after=15)) == {"b": 1.0}
    assert engine.under_way == 1, "a has not given up"
    gate.open()
    wait_until(lambda: "a" in source.read(both, clock.now), seconds=10, what="the late answer")

    second = engine.answers["a"] = Gate(used(8))
    threading.Timer(0.1, second.open).start()
    assert cpu(read(source, clock, both, after=15)) == {"a": 8.0, "b": 1.0}, "it is waited for again"


def test_the_oldest_are_asked_for_first(engine: FakeEngine, clock: Clock) -> None:
    source = ApiSource(engine, at_once=1, clock=clock)
    for names in ("b", "bc", "bca"):
        read(source, clock, map(container, names), after=1)
    engine.asked.clear()

    read(source, clock, map(container, "abcd"), after=15)
    source.close()

    assert engine.asked == ["d", "b", "c", "a"]


def test_readings_that_are_too_old_are_not_given(
    engine: FakeEngine, source: ApiSource, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(source, clock, [container("a")])
    gate = engine.answers["a"] = Gate(used(2))

    monkeypatch.setattr(api_source, "DEADLINE", 0.2)
    assert read(source, clock, [container("a")], after=OLDEST).keys() == {"a"}
    assert read(source, clock, [container("a")], after=1) == {}
    gate.open()


@pytest.mark.parametrize(
    "answer",
    [ENDED, raising(EngineRefused("no such container", 404)), raising(EngineRefused("it is not running", 409))],
    ids=["year 1", "404", "409"],
)
def test_a_container_that_ended_has_no_reading_and_is_no_error(
    engine: FakeEngine, source: ApiSource, clock: Clock, answer: Any
) -> None:
    read(source, clock, [container("a")])
    engine.answers["a"] = answer

    assert read(source, clock, [container("a")], after=FRESH_FOR + 1) == {}
    assert not source.errors


def test_a_restarted_container_is_not_given_its_old_values(
    engine: FakeEngine, source: ApiSource, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(source, clock, [container("a")])
    engine.answers["a"] = used(7)
    assert cpu(read(source, clock, [container("a", pid=2)])) == {"a": 7.0}, "although the old reading is fresh"
    assert cpu(read(source, clock, [container("a", pid=2, started_at=NOW + 1)])) == {"a": 7.0}
    assert len(engine.asked) == 3

    gate = engine.answers["a"] = Gate(used(9))  # asked for before the next restart
    monkeypatch.setattr(api_source, "DEADLINE", 0.2)
    read(source, clock, [container("a", pid=2, started_at=NOW + 1)], after=FRESH_FOR + 1)
    wait_until(lambda: len(engine.asked) == 4, seconds=10, what="the request")
    monkeypatch.setattr(api_source, "DEADLINE", 600)  # the new run need not wait for the old one's answer
    engine.answers["a"] = used(7)
    assert cpu(read(source, clock, [container("a", pid=3)])) == {"a": 7.0}
    gate.open()
    wait_until(lambda: not source._requested, seconds=10, what="the late answer")
    assert cpu(read(source, clock, [container("a", pid=3)])) == {"a": 7.0}


def test_an_engine_that_is_down_is_told_once_and_counted(
    engine: FakeEngine, source: ApiSource, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    containers = [container(f"c{number}") for number in range(10)]
    read(source, clock, containers)
    down = raising(EngineUnreachable("the engine at unix:///x cannot be reached: Connection refused"))
    engine.answers = dict.fromkeys((container.id for container in containers), down)

    with caplog.at_level(logging.WARNING):
        still = read(source, clock, containers, after=OLDEST)
        none = read(source, clock, containers, after=1)

    assert (len(still), len(none)) == (10, 0)
    assert source.errors == {"api": 20}
    assert len(caplog.records) == 1
    engine.answers = {}
    assert len(read(source, clock, containers, after=15)) == 10


@pytest.mark.parametrize(
    "answer",
    [raising(EngineRefused("internal", 500)), {"read": 7}, raising(RuntimeError("a defect"))],
    ids=["500", "malformed", "defect"],
)
def test_what_fails_is_told_once_and_costs_only_its_container(
    engine: FakeEngine, source: ApiSource, clock: Clock, caplog: pytest.LogCaptureFixture, answer: Any
) -> None:
    engine.answers["a"] = answer

    with caplog.at_level(logging.WARNING):
        assert read(source, clock, [container("a"), container("b")], after=15).keys() == {"b"}
    (record,) = caplog.records
    assert "container a" in record.getMessage()
    with no_cycles():
        for _ in range(6):  # more than there are threads
            assert read(source, clock, [container("a"), container("b")], after=15).keys() == {"b"}

    assert source.errors == {"api": 7}
    assert caplog.records == [record]


def test_a_clock_that_is_set_does_not_stop_readings(engine: FakeEngine, source: ApiSource, clock: Clock) -> None:
    for number, jump in enumerate((0, -86_400, 86_400 * 2), start=1):
        engine.answers["a"] = used(number)
        assert cpu(read(source, clock, [container("a")], after=jump)) == {"a": float(number)}


def test_nothing_is_left_of_containers_that_are_gone(engine: FakeEngine, source: ApiSource, clock: Clock) -> None:
    for number in range(20):
        read(source, clock, [container(f"c{number}")])

    read(source, clock, [])

    assert not source._followed
    assert source._queue.qsize() <= 1
    assert len(engine.asked) == 20


def test_closing_does_not_wait_for_answers(engine: FakeEngine, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_source, "DEADLINE", 0.2)
    before = set(own_threads())
    source = ApiSource(engine, at_once=2, clock=clock)
    gates = [Gate(used(1)) for _ in range(6)]
    engine.answers = {f"c{number}": gate for number, gate in enumerate(gates)}
    read(source, clock, [container(name) for name in engine.answers])
    wait_until(lambda: len(engine.asked) == 2, seconds=10, what="the requests")

    source.close()

    threads = set(own_threads()) - before
    assert len(threads) == 2
    assert all(thread.daemon for thread in threads)
    for gate in gates:
        gate.open()
    wait_until(lambda: not set(own_threads()) - before, seconds=10, what="the threads to end")
    assert len(engine.asked) == 2, "what was in the queue is not asked for any more"
