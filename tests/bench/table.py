"""The tables that are printed."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, product

from tests.bench.exporters import CADVISOR_BASIC, WATCHD_ALL, WATCHD_BASIC
from tests.bench.floor import Floor
from tests.bench.measure import Cost, Result

# Each column's heading in two lines; neighbours with the same first line stand under it together.
COSTS = (
    ("", ""),
    ("", "scrapes"),
    ("CPU of a scrape", "exporter"),
    ("CPU of a scrape", "engine"),
    ("latency", "median"),
    ("latency", "p99"),
    ("idle CPU in 1 s", "exporter"),
    ("idle CPU in 1 s", "dockerd"),
    ("resident", "memory"),
    ("bytes", "gzip"),
    ("bytes", "plain"),
    ("", "series"),
    ("first scrape", "CPU"),
    ("first scrape", "latency"),
    ("after churn", "CPU"),
    ("after churn", "latency"),
)
RATIOS = ("", "CPU", "with the engine's", "and idle", "latency", "memory", "gzip", "plain", "series", "CPU to floor")
INTERVAL = 15.0  # seconds between scrapes, for "and idle": what people tell Prometheus
NONE = "-"

# The aims.
BASIC_CPU = 0.015
ALL_CPU = 0.025
AIMED_SIZE = 100
OF_CADVISOR = 0.2
OF_FLOOR = 3.0
OF_FLOOR_BUSY = 3.3  # where all containers work
DOCKERD_IDLE = 0.001  # of a CPU: what is below this is the ping every 10 s and noise
RESIDENT = 64 * 2**20
RESIDENT_SIZE = 300
LINEAR = 1.25  # how much more a container may cost with the most than with the fewest containers ...
LINEAR_FROM = 50  # ... of these sizes: with fewer, what a scrape costs by itself is most of it

Results = Mapping[int, Sequence[Result]]  # by the number of containers
Aim = tuple[str, str, bool]  # what it says, what was measured, whether that meets it


def costs(results: Sequence[Result]) -> str:
    """Return what each exporter costs, and the floors."""
    rows = [row for result in results for row in _costs(result)]
    widths = _widths([[second for _, second in COSTS], *rows])
    above = []
    for title, columns in groupby(zip(COSTS, widths, strict=True), key=lambda column: column[0][0]):
        room = [width for _, width in columns]
        above.append(title.center(sum(room) + 2 * (len(room) - 1)))
    return "  ".join(above).rstrip() + "\n" + _aligned([[second for _, second in COSTS], *rows])


def ratios(results: Sequence[Result]) -> str:
    """Return how many times as much each takes as the first, and as the floor below it."""
    first = _quantities(results[0])
    rows = [
        (
            result.name,
            *(f"{value / base:.3g}" for value, base in zip(_quantities(result), first, strict=True)),
            f"{result.exporter / result.floor.cpu:.2f}" if result.floor else NONE,
        )
        for result in results
    ]
    return _aligned([RATIOS, *rows])


def side_by_side(results: Results) -> str:
    """Return what matters most of each exporter for all numbers of containers."""
    sizes = list(results)
    titles = ("CPU of a scrape", "engine's CPU", "median latency", "resident")
    heading = ["", *(f"{size}" for _ in titles for size in sizes)]
    rows = []
    for name in dict.fromkeys(result.name for of_size in results.values() for result in of_size):
        row = [name]
        found = [next((result for result in results[size] if result.name == name), None) for size in sizes]
        row += [_time(result.exporter) if result else NONE for result in found]
        row += [_time(result.engine) if result else NONE for result in found]
        row += [_time(result.latency) if result else NONE for result in found]
        row += [_bytes(result.resident) if result else NONE for result in found]
        rows.append(row)
    widths = _widths([heading, *rows])
    above = ["containers".rjust(widths[0])]
    for index, title in enumerate(titles):
        first = 1 + index * len(sizes)
        above.append(title.center(sum(widths[first : first + len(sizes)]) + 2 * (len(sizes) - 1)))
    return "  ".join(above).rstrip() + "\n" + _aligned([heading, *rows])


def aims(results: Results, of_busy: Results) -> str:
    """Return what was aimed at beside what was measured, as far as these sizes tell; empty where they do not."""
    aims = [
        *_cpu_aims(results),
        *_cpu_aims(of_busy, "busy "),
        *_floor_aims(results, OF_FLOOR),
        *_floor_aims(of_busy, OF_FLOOR_BUSY, "busy "),
        *_cadvisor_aims(results),
        *_idle_aims(results),
        *_memory_aims(results),
        *_growth_aims(results),
    ]
    return _aligned([(aim, shown, "met" if met else "missed") for aim, shown, met in aims]) if aims else ""


def _find(results: Results, size: int, *names: str) -> list[Result]:
    return [result for result in results.get(size, ()) if result.name in names]


def _cpu_aims(results: Results, kind: str = "") -> Iterator[Aim]:
    for name, most in ((WATCHD_BASIC, BASIC_CPU), (WATCHD_ALL, ALL_CPU)):
        for result in _find(results, AIMED_SIZE, name):
            aim = f"{name}, {AIMED_SIZE} {kind}containers: at most {_time(most)} of CPU for a scrape"
            yield aim, _time(result.exporter), result.exporter <= most


def _floor_aims(results: Results, most: float, kind: str = "") -> Iterator[Aim]:
    for size in results:
        for result in _find(results, size, WATCHD_BASIC, WATCHD_ALL):
            if result.floor:
                times = result.exporter / result.floor.cpu
                aim = f"{result.name}, {size} {kind}containers: at most {most:g} times the floor"
                yield aim, f"{times:.2f}", times <= most


def _cadvisor_aims(results: Results) -> Iterator[Aim]:
    for size in results:
        for own, other in product(_find(results, size, WATCHD_BASIC), _find(results, size, CADVISOR_BASIC)):
            share = _in_interval(own) / _in_interval(other)
            aim = f"{own.name}, {size}: at most {OF_CADVISOR:g} of cAdvisor's CPU, idle time included"
            yield aim, f"{share:.2f}", share <= OF_CADVISOR


def _idle_aims(results: Results) -> Iterator[Aim]:
    for size in results:
        for result in _find(results, size, WATCHD_BASIC, WATCHD_ALL):
            aim = f"{result.name}, {size}: no CPU of dockerd's between events (under {_time(DOCKERD_IDLE)} in 1 s)"
            yield aim, _time(result.dockerd_idle), result.dockerd_idle < DOCKERD_IDLE


def _memory_aims(results: Results) -> Iterator[Aim]:
    for result in _find(results, RESIDENT_SIZE, WATCHD_BASIC, WATCHD_ALL):
        aim = f"{result.name}, {RESIDENT_SIZE}: at most {_bytes(RESIDENT)} resident"
        yield aim, _bytes(result.resident), result.resident <= RESIDENT


def _growth_aims(results: Results) -> Iterator[Aim]:
    sizes = [size for size in results if size >= LINEAR_FROM]
    if len(sizes) < 2:
        return
    few, many = min(sizes), max(sizes)
    for name in (WATCHD_BASIC, WATCHD_ALL):
        for less, more in product(_find(results, few, name), _find(results, many, name)):
            growth = (more.exporter / many) / (less.exporter / few)
            aim = f"{name}: linear, a container with {many} at most {LINEAR:g} times the CPU of one with {few}"
            yield aim, f"{growth:.2f}", growth <= LINEAR


def _costs(result: Result) -> list[tuple[str, ...]]:
    own = (
        result.name,
        str(result.scrapes),
        _time(result.exporter),
        _time(result.engine),
        _time(result.latency),
        _time(result.latency_p99),
        _time(result.idle),
        _time(result.dockerd_idle),
        _bytes(result.resident),
        _bytes(result.on_the_wire),
        _bytes(result.plain),
        str(result.series),
        *_apart(result.first),
        *_apart(result.churned),
    )
    return [own, _floor(result.name, result.floor)] if result.floor else [own]


def _floor(name: str, floor: Floor) -> tuple[str, ...]:
    groups = name.partition(": ")[2]
    known = {2: _time(floor.cpu), 4: _time(floor.latency), 5: _time(floor.latency_p99)}
    cells = [f"floor (C): {groups}, {floor.files} files", str(floor.rounds)]
    return (*cells, *(known.get(column, NONE) for column in range(2, len(COSTS))))


def _apart(cost: Cost | None) -> tuple[str, str]:
    return (_time(cost.exporter), _time(cost.latency)) if cost else (NONE, NONE)


def _quantities(result: Result) -> tuple[float, ...]:
    sizes = (result.resident, result.on_the_wire, result.plain, result.series)
    return (result.exporter, result.exporter + result.engine, _in_interval(result), result.latency, *sizes)


def _in_interval(result: Result) -> float:
    return result.exporter + result.engine + result.idle * INTERVAL


def _time(seconds: float) -> str:
    milliseconds = seconds * 1000
    if abs(milliseconds) >= 1000:
        return f"{seconds:.1f} s"
    if abs(milliseconds) < 0.1:
        return f"{round(milliseconds * 1000)} µs"
    return f"{milliseconds:.0f} ms" if abs(milliseconds) >= 100 else f"{milliseconds:.1f} ms"


def _bytes(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 1024:.1f} KiB"


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    names, *columns = _widths(rows)
    return "".join(
        "  ".join([row[0].ljust(names), *(cell.rjust(width) for cell, width in zip(row[1:], columns, strict=True))])
        + "\n"
        for row in rows
    )
