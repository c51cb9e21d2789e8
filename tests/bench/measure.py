"""Scrapes an exporter as Prometheus does, and takes the CPU time that it and the engine need for that.

CPU time is read from each process's own clock (`clock_gettime`), in nanoseconds: /proc/<pid>/stat has hundredths of a
second, and most scrapes take less.
"""

import gzip
import http.client
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from tests.bench.exporters import Exporter
from tests.harness.engine import Engine
from tests.harness.process import Process

PAUSE = 0.1  # seconds after each scrape, in which what it has caused may come to its end
SETTLE = 3.0  # seconds after the first scrape
IDLE = 10  # how many times, for a second each, the CPU time without scrapes is taken
TIMEOUT = 1800.0  # seconds for one scrape


@dataclass(frozen=True, slots=True)
class Answer:
    """One scrape. Times are in seconds, sizes in bytes."""

    latency: float
    on_the_wire: int
    text: bytes


@dataclass(frozen=True, slots=True)
class Cost:
    """What one scrape took, and the pause after it. Times are in seconds."""

    elapsed: float
    latency: float
    exporter: float
    engine: float


@dataclass(frozen=True, slots=True)
class Result:
    """What is known of one exporter. In seconds and bytes; medians unless said otherwise."""

    name: str
    scrapes: int
    first_latency: float
    first_exporter: float
    latency: float
    latency_p99: float
    exporter: float  # CPU time for a scrape
    engine: float  # the same of dockerd, containerd and its shims
    idle: float  # share of a CPU that the exporter takes while nobody scrapes it
    resident: int
    on_the_wire: int
    plain: int
    series: int


def measure(exporter: Exporter, engine: Sequence[int], process: Process, port: int) -> Result:
    """Scrape a running exporter. `engine` are the PIDs of the engine's processes."""
    first, answer = _scrape(process.pid, engine, port)
    time.sleep(SETTLE)
    idle, engine_idle = _idle(process.pid, engine)
    deadline = time.monotonic() + exporter.seconds
    costs: list[Cost] = []
    while not costs or (len(costs) < exporter.scrapes and time.monotonic() < deadline):
        cost, answer = _scrape(process.pid, engine, port)
        costs.append(cost)
    return Result(
        name=exporter.name,
        scrapes=len(costs),
        first_latency=first.latency,
        first_exporter=first.exporter,
        latency=statistics.median(cost.latency for cost in costs),
        latency_p99=sorted(cost.latency for cost in costs)[(len(costs) * 99 - 1) // 100],
        exporter=statistics.median(cost.exporter - idle * cost.elapsed for cost in costs),
        engine=max(0.0, statistics.median(cost.engine - engine_idle * cost.elapsed for cost in costs)),
        idle=idle,
        resident=psutil.Process(process.pid).memory_info().rss,
        on_the_wire=answer.on_the_wire,
        plain=len(answer.text),
        series=sum(1 for line in answer.text.splitlines() if line and not line.startswith(b"#")),
    )


def engine_pids(engine: Engine) -> list[int]:
    """Return the PIDs of dockerd, containerd and its shims: one of these for each container."""
    assert engine.containerd is not None
    socket = str(engine.directory / "containerd.sock")
    shims = [process.pid for process in psutil.process_iter(["cmdline"]) if socket in (process.info["cmdline"] or ())]
    return [engine.pid, engine.containerd.pid, *shims]


def _idle(exporter: int, engine: Sequence[int]) -> tuple[float, float]:
    """Return the shares of a CPU that the exporter and the engine take: medians, so one outburst is no rate."""
    shares = []
    for _ in range(IDLE):
        start = time.monotonic()
        before = _cpu_time([exporter]), _cpu_time(engine)
        time.sleep(1)
        after = _cpu_time([exporter]), _cpu_time(engine)
        elapsed = time.monotonic() - start
        shares.append(((after[0] - before[0]) / elapsed, (after[1] - before[1]) / elapsed))
    return statistics.median(own for own, _ in shares), statistics.median(engines for _, engines in shares)


def _scrape(exporter: int, engine: Sequence[int], port: int) -> tuple[Cost, Answer]:
    start = time.monotonic()
    before = _cpu_time([exporter]), _cpu_time(engine)
    answer = _get(port)
    time.sleep(PAUSE)
    after = _cpu_time([exporter]), _cpu_time(engine)
    return Cost(time.monotonic() - start, answer.latency, after[0] - before[0], after[1] - before[1]), answer


def _get(port: int) -> Answer:
    start = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()
        body = response.read()
        latency = time.monotonic() - start
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
