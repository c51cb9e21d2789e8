"""Scrapes an exporter as Prometheus does, and takes the CPU time that it and the engine need for that.

CPU time is read from each process's own clock (`clock_gettime`), in nanoseconds: /proc/<pid>/stat has hundredths of a
second, and most scrapes take less.
"""

import gzip
import http.client
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

from tests.bench.exporters import Exporter
from tests.bench.floor import Floor
from tests.harness.engine import Engine
from tests.harness.process import Process

PAUSE = 0.1  # seconds after each scrape, in which what it has caused may come to its end
SETTLE = 3.0  # seconds after the first scrape and after a churn
IDLE = 10  # how many times, for a second each, the CPU time without scrapes is taken
CYCLE = 120  # the same for the engine without an exporter: so often, at the least, Go programs collect garbage
SECONDS = 45.0  # for all scrapes after the first, but one scrape at least
LEAST = 40  # scrapes, where there is an interval between them
SLOW = 30.0  # seconds: an exporter whose first scrape takes longer is not scraped again
LONGEST = 240.0  # seconds that a scrape may take at all


class TooSlowError(Exception):
    """A scrape took more than LONGEST."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One scrape. Times are in seconds, sizes in bytes."""

    latency: float
    on_the_wire: int
    text: bytes


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one scrape, and the pause after it. Times are in seconds."""

    elapsed: float
    latency: float
    exporter: float
    engine: float


@dataclass(frozen=True, slots=True)
class Idle:
    """The shares of a CPU that are taken while nobody scrapes.

    A median is for what is short, since one outburst is no rate; a mean for what takes long enough to have outbursts.
    """

    exporter: float
    exporter_mean: float
    engine: float
    engine_mean: float
    dockerd_mean: float  # without containerd and shims, whose own outbursts are larger than what is looked for


@dataclass(frozen=True, slots=True)
class Result:
    """Measurements of one exporter, in seconds and bytes; medians unless said otherwise."""

    name: str
    scrapes: int
    first: Cost
    latency: float
    latency_p99: float
    exporter: float  # CPU time for a scrape
    engine: float  # the same of dockerd, containerd and its shims
    idle: float  # share of a CPU that the exporter takes while nobody scrapes it
    dockerd_idle: float  # mean share of a CPU that dockerd takes more than without any exporter
    resident: int
    on_the_wire: int
    plain: int
    series: int
    floor: Floor | None
    churned: Cost | None  # the first scrape after containers came and went


def measure(
    exporter: Exporter,
    engine: Engine,
    process: Process,
    port: int,
    *,
    without: Idle,
    floor: Callable[[int], Floor | None],
    churn: Callable[[], None],
    interval: float = 0.0,
) -> Result:
    """Scrape a running exporter. Raise TooSlowError, and ConnectionError when it does not answer as it should.

    `without` is what the engine takes without it. `floor` measures the floor below the process with a PID. `churn`
    removes containers and creates as many. `interval` is in seconds, from one scrape to the next, at least.
    """
    pids = engine_pids(engine)
    first, answer = _scrape(process.pid, pids, port)
    time.sleep(SETTLE)
    idle = idle_shares(engine, process.pid)
    # A first scrape that is so slow is slow for the engine's sake, and not for having been the first.
    costs = [first] if first.latency > SLOW else []
    deadline = time.monotonic() + max(SECONDS, LEAST * interval)
    while not costs or (first.latency <= SLOW and len(costs) < exporter.scrapes and time.monotonic() < deadline):
        cost, answer = _scrape(process.pid, pids, port)
        costs.append(cost)
        time.sleep(max(0.0, interval - cost.elapsed))
    latencies = sorted(cost.latency for cost in costs)
    latency = statistics.median(latencies)
    if latency < 1:
        exporter_idle, engine_idle = idle.exporter, idle.engine
    else:
        exporter_idle, engine_idle = idle.exporter_mean, without.engine_mean
    resident = psutil.Process(process.pid).memory_info().rss
    below = floor(process.pid) if exporter.reads_cgroups else None
    churned = None
    if first.latency <= SLOW:
        churn()
        time.sleep(SETTLE)
        churned, _ = _scrape(process.pid, engine_pids(engine), port)
    return Result(
        name=exporter.name,
        scrapes=len(costs),
        first=first,
        latency=latency,
        latency_p99=latencies[(len(costs) * 99 - 1) // 100],
        exporter=statistics.median(cost.exporter - exporter_idle * cost.elapsed for cost in costs),
        engine=max(0.0, statistics.median(cost.engine - engine_idle * cost.elapsed for cost in costs)),
        idle=idle.exporter_mean,
        dockerd_idle=idle.dockerd_mean - without.dockerd_mean,
        resident=resident,
        on_the_wire=answer.on_the_wire,
        plain=len(answer.text),
        series=sum(1 for line in answer.text.splitlines() if line and not line.startswith(b"#")),
        floor=below,
        churned=churned,
    )


def idle_shares(engine: Engine, exporter: int | None = None, *, times: int = IDLE) -> Idle:
    """Measure what the engine, and the exporter with this PID, take while nobody scrapes: so many seconds."""
    pids = engine_pids(engine)
    own = [] if exporter is None else [exporter]
    shares = []
    for _ in range(times):
        start = time.monotonic()
        before = _cpu_time(own), _cpu_time(pids), _cpu_time([engine.pid])
        time.sleep(1)
        after = _cpu_time(own), _cpu_time(pids), _cpu_time([engine.pid])
        elapsed = time.monotonic() - start
        shares.append([(end - begin) / elapsed for begin, end in zip(before, after, strict=True)])
    owns, engines, dockerds = zip(*shares, strict=True)
    return Idle(
        exporter=statistics.median(owns),
        exporter_mean=statistics.mean(owns),
        engine=statistics.median(engines),
        engine_mean=statistics.mean(engines),
        dockerd_mean=statistics.mean(dockerds),
    )


def engine_pids(engine: Engine) -> list[int]:
    """Return the PIDs of dockerd, containerd and its shims: one of these for each container."""
    assert engine.containerd is not None
    socket = str(engine.directory / "containerd.sock")
    shims = [process.pid for process in psutil.process_iter(["cmdline"]) if socket in (process.info["cmdline"] or ())]
    return [engine.pid, engine.containerd.pid, *shims]


def _scrape(exporter: int, engine: Sequence[int], port: int) -> tuple[Cost, Answer]:
    start = time.monotonic()
    before = _cpu_time([exporter]), _cpu_time(engine)
    answer = _get(port)
    time.sleep(PAUSE)
    after = _cpu_time([exporter]), _cpu_time(engine)
    return Cost(time.monotonic() - start, answer.latency, after[0] - before[0], after[1] - before[1]), answer


def _get(port: int) -> Answer:
    start = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST)
    try:
        connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()
        body = response.read()
        latency = time.monotonic() - start
    except TimeoutError:
        raise TooSlowError(f"a scrape takes more than {LONGEST:.0f} s") from None
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        raise ConnectionError(f"/metrics answered {response.status}: {body[:200]!r}")
    text = gzip.decompress(body) if response.headers["Content-Encoding"] == "gzip" else body
    return Answer(latency, len(body), text)


def _cpu_time(pids: Sequence[int]) -> float:
    """Return the CPU time of these processes and all threads that they ever had, in seconds."""
    return sum(time.clock_gettime(_clock(pid)) for pid in pids)


def _clock(pid: int) -> int:
    """Return what C's clock_getcpuclockid() gives, which Python has not: the ID of a process's clock on Linux."""
    return (~pid << 3) | 2
