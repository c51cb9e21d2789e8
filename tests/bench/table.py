"""The tables that are printed."""

from collections.abc import Iterable, Sequence

from tests.bench.measure import Result

COSTS = (
    "", "scrapes", "CPU ms", "engine CPU ms", "latency ms", "p99 ms", "idle ms/s", "MiB", "gzip KiB", "plain KiB",
    "series", "first ms", "first CPU ms",
)  # fmt: skip
RATIOS = ("", "CPU", "with the engine's", "and idle", "latency", "memory", "gzip", "plain", "series")
INTERVAL = 15.0  # seconds between scrapes, for "and idle": what people tell Prometheus


def costs(results: Iterable[Result]) -> str:
    """Return what each exporter costs."""
    return _aligned([COSTS, *(_cost(result) for result in results)])


def ratios(results: Sequence[Result]) -> str:
    """Return how many times as much each takes as the first."""
    first = _quantities(results[0])
    rows = [
        (result.name, *(f"{value / base:.3g}" for value, base in zip(_quantities(result), first, strict=True)))
        for result in results
    ]
    return _aligned([RATIOS, *rows])


def _cost(result: Result) -> tuple[str, ...]:
    return (
        result.name,
        str(result.scrapes),
        _ms(result.exporter),
        _ms(result.engine),
        _ms(result.latency),
        _ms(result.latency_p99),
        _ms(result.idle),
        f"{result.resident / 2**20:.0f}",
        f"{result.on_the_wire / 1024:.1f}",
        f"{result.plain / 1024:.1f}",
        str(result.series),
        _ms(result.first_latency),
        _ms(result.first_exporter),
    )


def _quantities(result: Result) -> tuple[float, ...]:
    together = result.exporter + result.engine
    sizes = (result.resident, result.on_the_wire, result.plain, result.series)
    return (result.exporter, together, together + result.idle * INTERVAL, result.latency, *sizes)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}" if seconds < 1 else f"{seconds * 1000:.0f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    names, *columns = widths
    return "".join(
        "  ".join([row[0].ljust(names), *(cell.rjust(width) for cell, width in zip(row[1:], columns, strict=True))])
        + "\n"
        for row in rows
    )
