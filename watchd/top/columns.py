"""The columns of the table: what each shows of a container, how wide it is, and which have no room. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from watchd.top.text import ASCII_BLOCKS, BLOCKS, graph, harmless, width
from watchd.top.view import Row
from watchd.units import about, format_size

Style = Literal["", "head", "dim", "good", "warn", "bad"]

GAP = 1  # cells between two columns
_GRAPH = 10  # cells
_LONGEST_NAME = 40
_LEAST_TOP = 0.05  # cores: an idle container's graph is not blown up to its full height
_WARN, _BAD = 0.8, 0.9  # shares of what there is


@dataclass(frozen=True, slots=True)
class Known:
    """What is known at one moment. `containers`, `tails`, `disks`, `next_run`: as the daemon tells them."""

    containers: Mapping[str, Any] | None = None  # None: nothing yet
    tails: Mapping[str, Any] = field(default_factory=dict)  # by ID
    disks: Sequence[Mapping[str, Any]] | None = None
    next_run: Mapping[str, Any] | None = None
    by_daemon: bool = True
    trouble: str = ""  # what went wrong last


@dataclass(frozen=True, slots=True)
class Looks:
    """How it is drawn: at which time (seconds since the epoch), in how many cells, with which characters.

    A width of None is as much as is needed.
    """

    now: float
    width: int | None = None
    ascii_only: bool = False

    @property
    def blocks(self) -> str:
        """What graphs are made of."""
        return ASCII_BLOCKS if self.ascii_only else BLOCKS


@dataclass(frozen=True, slots=True)
class Column:
    """`cells` of 0 are as many as its longest text takes; those with the highest `rank` go first."""

    title: str
    cells: int
    cell: Callable[[Row, Known, Looks], tuple[str, Style]]
    rank: int
    right: bool = True
    is_optional: bool = False  # not there where nobody has one


def that_fit(rows: Sequence[Row], known: Known, looks: Looks) -> list[tuple[Column, int]]:
    """Return the columns that there is room for, in order, and how wide they are."""
    columns = []
    for column in _COLUMNS:
        texts = (column.cell(row, known, looks)[0] for row in rows)
        if column.is_optional and not any(text.strip() for text in texts):
            continue
        cells = column.cells or max((width(column.cell(row, known, looks)[0]) for row in rows), default=0)
        if not column.cells and looks.width is not None:
            cells = min(cells, _LONGEST_NAME)
        columns.append((column, max(cells, len(column.title))))
    if looks.width is None:
        return columns
    while len(columns) > 1 and sum(cells + GAP for _, cells in columns) - GAP > looks.width:
        highest = max(column.rank for column, _ in columns)
        columns = [each for each in columns if each[0].rank != highest]
    return columns


def _name(row: Row, _known: Known, _looks: Looks) -> tuple[str, Style]:
    return harmless(row["name"]), ""


def _state(row: Row, _known: Known, _looks: Looks) -> tuple[str, Style]:
    state, health, code = row["state"], row["health"], row["exit_code"]
    if state == "running":
        styles: Mapping[str | None, Style] = {None: "", "healthy": "good", "unhealthy": "bad"}
        return harmless(health or state), styles.get(health, "warn")
    if state == "exited":
        if row["oom_killed"]:
            return "oom killed", "bad"
        return f"exited {code}" if code is not None else state, "warn" if code else "dim"
    return harmless(state), "bad" if state in ("dead", "restarting") else "dim"


def _cpu(row: Row, _known: Known, _looks: Looks) -> tuple[str, Style]:
    cores, throttled = row["cpu_cores"], row["throttled"]
    if cores is None:
        return "", ""
    is_held = throttled is not None and throttled >= 0.1
    return f"{cores * 100:.1f}%{'!' if is_held else ' '}", "warn" if is_held else ""


def _cpu_graph(row: Row, known: Known, looks: Looks) -> tuple[str, Style]:
    values = _tail(row, known, "cpu_cores")
    highest = max((value for value in values if value is not None), default=0.0)
    return graph(values, _GRAPH, max(highest, _LEAST_TOP), looks.blocks), "good"


def _memory_graph(row: Row, known: Known, looks: Looks) -> tuple[str, Style]:
    values = _tail(row, known, "memory_bytes")
    highest = max((value for value in values if value is not None), default=0.0)
    return graph(values, _GRAPH, highest, looks.blocks), "good"


def _memory_share(row: Row, known: Known, _looks: Looks) -> tuple[str, Style]:
    total = row["memory_limit_bytes"] or (known.containers or {"host": {}})["host"].get("memory_bytes")
    if row["memory_bytes"] is None or not total:
        return "", ""
    share = row["memory_bytes"] / total
    return f"{share:.1%}", load(share)


def load(share: float) -> Style:
    """Return how to show that so much is used of what there is."""
    return "bad" if share >= _BAD else "warn" if share >= _WARN else ""


def _tail(row: Row, known: Known, name: str) -> Sequence[float | None]:
    tail = known.tails.get(row["id"])
    values: Sequence[float | None] = tail["series"][name] if tail else ()
    return values if len(values) > 1 else ()  # one point is no graph


def _size(key: str) -> Callable[[Row, Known, Looks], tuple[str, Style]]:
    return lambda row, _known, _looks: ("" if row[key] is None else format_size(row[key]), "")


def _count(key: str) -> Callable[[Row, Known, Looks], tuple[str, Style]]:
    return lambda row, _known, _looks: ("" if row[key] is None else str(row[key]), "")


def _limit(row: Row, _known: Known, _looks: Looks) -> tuple[str, Style]:
    limit = row["memory_limit_bytes"]
    return ("" if row["memory_bytes"] is None else "-") if limit is None else format_size(limit), ""


def _up(row: Row, _known: Known, looks: Looks) -> tuple[str, Style]:
    if row["state"] in ("running", "paused") and row["started_at"] is not None:
        return about(looks.now - row["started_at"]), ""
    return "", ""


def _age(row: Row, _known: Known, looks: Looks) -> tuple[str, Style]:
    return "" if row["created_at"] is None else about(looks.now - row["created_at"]), ""


def _project(row: Row, _known: Known, _looks: Looks) -> tuple[str, Style]:
    return harmless(row["compose_project"] or ""), "dim"


# fmt: off
_COLUMNS = (
    Column("NAME", 0, _name, 0, right=False),
    Column("STATE", 10, _state, 1, right=False),
    Column("CPU% ", 8, _cpu, 2),
    Column("CPU", _GRAPH, _cpu_graph, 9, right=False, is_optional=True),
    Column("MEMORY", 6, _size("memory_bytes"), 3),
    Column("LIMIT", 6, _limit, 10),
    Column("MEM%", 6, _memory_share, 7),
    Column("MEM", _GRAPH, _memory_graph, 11, right=False, is_optional=True),
    Column("NET RX", 6, _size("network_receive_bytes_per_second"), 4),
    Column("NET TX", 6, _size("network_transmit_bytes_per_second"), 4),
    Column("READ", 6, _size("disk_read_bytes_per_second"), 5),
    Column("WRITE", 6, _size("disk_write_bytes_per_second"), 5),
    Column("PROCS", 5, _count("processes"), 13),
    Column("RESTARTS", 8, _count("restarts"), 12),
    Column("UP", 7, _up, 6),
    Column("AGE", 7, _age, 14),
    Column("PROJECT", 0, _project, 8, right=False, is_optional=True),
)
# fmt: on
