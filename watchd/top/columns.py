"""Columns of the table: content, width, and which are dropped on a narrow terminal. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from watchd.cells import printable, width
from watchd.top.text import ASCII_BLOCKS, BLOCKS, graph
from watchd.top.view import Row
from watchd.units import format_memory, format_size, short_duration

Style = Literal["", "head", "dim", "good", "warn", "bad"]

GAP = 1  # cells between two columns
_GRAPH = 10  # cells
_MAX_NAME, _COMFORTABLE, _MIN_NAME = 40, 24, 12  # cells of a name: at most, before columns are dropped, at least
_ESSENTIAL = 4  # name, state, CPU, memory and network: names are cut further before these are dropped
_MIN_SCALE = 0.05  # cores: the graph of an idle container stays low
_WARN, _BAD = 0.8, 0.9  # shares of a limit or a disk
_LARGE_LOG = 1_000_000_000  # bytes that a log without a limit may take until it is marked


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Data of one moment. `containers`, `tails`, `disks` and `next_run` are as in the daemon's API."""

    containers: Mapping[str, Any] | None = None  # None: not read yet
    tails: Mapping[str, Any] = field(default_factory=dict)  # by ID
    disks: Sequence[Mapping[str, Any]] | None = None
    next_run: Mapping[str, Any] | None = None
    by_daemon: bool = True
    error: str = ""  # of the last try


@dataclass(frozen=True, slots=True)
class Display:
    """Time (seconds since the epoch), width (None: unlimited) and characters to draw with."""

    now: float
    width: int | None = None
    ascii_only: bool = False

    @property
    def blocks(self) -> str:
        """Characters of graphs, from empty to full."""
        return ASCII_BLOCKS if self.ascii_only else BLOCKS


@dataclass(frozen=True, slots=True)
class Column:
    """Column of the table. `cells` of 0: as wide as its longest text. The highest `rank` is dropped first."""

    title: str
    cells: int
    cell: Callable[[Row, Snapshot, Display], tuple[str, Style]]
    rank: int
    right: bool = True
    is_optional: bool = False  # dropped if all cells are empty

    @property
    def is_text(self) -> bool:
        """Return whether it has names, which are cut in their middle."""
        return not self.cells


def visible_columns(rows: Sequence[Row], snapshot: Snapshot, display: Display) -> list[tuple[Column, int]]:
    """Return the columns that fit, in order, with their widths."""
    columns = []
    for column in _COLUMNS:
        texts = (column.cell(row, snapshot, display)[0] for row in rows)
        if column.is_optional and not any(text.strip() for text in texts):
            continue
        cells = column.cells or max((width(column.cell(row, snapshot, display)[0]) for row in rows), default=0)
        if column.is_text and display.width is not None:
            cells = min(cells, _MAX_NAME)
        columns.append((column, max(cells, len(column.title))))
    if display.width is None:
        return columns
    wanted = columns = _shrunk(columns, display.width, _COMFORTABLE)
    while len(columns) > 1 and _taken(columns) > display.width:
        highest = max(column.rank for column, _ in columns)
        if highest <= _ESSENTIAL:
            columns = _shrunk(columns, display.width, _MIN_NAME)
            if _taken(columns) <= display.width:
                break
        columns = [each for each in columns if each[0].rank != highest]
    return _filled_up(columns, wanted, display.width)


def _filled_up(
    columns: list[tuple[Column, int]], wanted: Sequence[tuple[Column, int]], available: int
) -> list[tuple[Column, int]]:
    """Return the columns with further ones that fit, since a wider one was dropped; none where an essential one was."""
    if any(column.rank <= _ESSENTIAL and (column, cells) not in columns for column, cells in wanted):
        return columns
    kept = {column.title for column, _ in columns}
    for column, _ in sorted(wanted, key=lambda each: each[0].rank):
        more = [each for each in wanted if each[0].title in kept or each[0].rank == column.rank]
        if column.title not in kept and _taken(more) <= available:
            columns, kept = more, {each.title for each, _ in more}
    return columns


def _taken(columns: Sequence[tuple[Column, int]]) -> int:
    return sum(cells + GAP for _, cells in columns) - GAP


def _shrunk(columns: list[tuple[Column, int]], available: int, least: int) -> list[tuple[Column, int]]:
    """Return the columns with those of texts cut to what is available, but to no less than `least` cells."""
    excess = _taken(columns) - available
    shrunk = []
    for column, cells in columns:
        kept = max(min(cells, least), cells - max(0, excess)) if column.is_text else cells
        excess -= cells - kept
        shrunk.append((column, kept))
    return shrunk


def _name(row: Row, _snapshot: Snapshot, _display: Display) -> tuple[str, Style]:
    return printable(row["name"]), "" if row["id"] else "dim"


def _state(row: Row, _snapshot: Snapshot, _display: Display) -> tuple[str, Style]:
    state, health, code = row["state"], row["health"], row["exit_code"]
    if state == "running":
        styles: Mapping[str | None, Style] = {None: "", "healthy": "good", "unhealthy": "bad"}
        return printable(health or state), styles.get(health, "warn")
    if state == "exited":
        if row["oom_killed"]:
            return "oom killed", "bad"
        return f"exited {code}" if code is not None else state, "warn" if code else "dim"
    return printable(state), "bad" if state in ("dead", "restarting") else "dim"


def _cpu(row: Row, _snapshot: Snapshot, _display: Display) -> tuple[str, Style]:
    cores, throttled = row["cpu_cores"], row["throttled"]
    if cores is None:
        return "", ""
    is_throttled = throttled is not None and throttled >= 0.1
    limit = row.get("cpu_limit_cores")  # a daemon of an older version has none
    of_limit = f"/{round(limit, 2):g}" if limit else ""
    return f"{cores:.{2 if cores < 10 else 1}f}{of_limit}{'!' if is_throttled else ' '}", "warn" if is_throttled else ""


def _cpu_graph(row: Row, snapshot: Snapshot, display: Display) -> tuple[str, Style]:
    values = _tail(row, snapshot, "cpu_cores")
    highest = max((value for value in values if value is not None), default=0.0)
    return graph(values, _GRAPH, max(highest, _MIN_SCALE), display.blocks), "good"


def _memory_graph(row: Row, snapshot: Snapshot, display: Display) -> tuple[str, Style]:
    values = _tail(row, snapshot, "memory_bytes")
    known = [value for value in values if value is not None]
    highest = max(*known, 2 * min(known)) if known else 0.0  # constant memory is half high, not full
    return graph(values, _GRAPH, row["memory_limit_bytes"] or highest, display.blocks), "good"


def _memory_share(row: Row, snapshot: Snapshot, _display: Display) -> tuple[str, Style]:
    total = row["memory_limit_bytes"] or (snapshot.containers or {"host": {}})["host"].get("memory_bytes")
    if row["memory_bytes"] is None or not total:
        return "", ""
    share = row["memory_bytes"] / total
    return f"{share:.1%}", usage_style(share)


def usage_style(share: float) -> Style:
    """Return the style of a share of a limit or a disk."""
    return "bad" if share >= _BAD else "warn" if share >= _WARN else ""


def _tail(row: Row, snapshot: Snapshot, name: str) -> Sequence[float | None]:
    tail = snapshot.tails.get(row["id"])
    values: Sequence[float | None] = tail["series"][name] if tail else ()
    return values if len(values) > 1 else ()  # a graph needs two points


def _size(key: str) -> Callable[[Row, Snapshot, Display], tuple[str, Style]]:
    return lambda row, _snapshot, _display: ("" if row[key] is None else format_size(row[key]), "")


def _count(key: str) -> Callable[[Row, Snapshot, Display], tuple[str, Style]]:
    return lambda row, _snapshot, _display: ("" if row[key] is None else str(row[key]), "")


def _memory(row: Row, _snapshot: Snapshot, _display: Display) -> tuple[str, Style]:
    return "" if row["memory_bytes"] is None else format_memory(row["memory_bytes"]), ""


def _limit(row: Row, _snapshot: Snapshot, _display: Display) -> tuple[str, Style]:
    limit = row["memory_limit_bytes"]
    return ("" if row["memory_bytes"] is None else "-") if limit is None else format_memory(limit), ""


def _log(row: Row, _snapshot: Snapshot, _display: Display) -> tuple[str, Style]:
    size, limit = row.get("log_bytes"), row.get("log_limit_bytes")  # a daemon of an older version has neither
    if size is None:
        return "", ""
    return format_size(size), "warn" if limit == 0 and size >= _LARGE_LOG else ""


def _up(row: Row, _snapshot: Snapshot, display: Display) -> tuple[str, Style]:
    if row["state"] in ("running", "paused") and row["started_at"] is not None:
        return short_duration(display.now - row["started_at"]), ""
    return "", ""


def _age(row: Row, _snapshot: Snapshot, display: Display) -> tuple[str, Style]:
    return "" if row["created_at"] is None else short_duration(display.now - row["created_at"]), ""


def _project(row: Row, _snapshot: Snapshot, _display: Display) -> tuple[str, Style]:
    return printable(row["compose_project"] or ""), "dim"


# fmt: off
_COLUMNS = (
    Column("NAME", 0, _name, 0, right=False),
    Column("STATE", 10, _state, 1, right=False),
    Column("CORES ", 10, _cpu, 2),
    Column("CPU", _GRAPH, _cpu_graph, 9, right=False, is_optional=True),
    Column("MEMORY", 7, _memory, 3),
    Column("LIMIT", 7, _limit, 10),
    Column("MEM%", 6, _memory_share, 7),
    Column("MEM", _GRAPH, _memory_graph, 11, right=False, is_optional=True),
    Column("NET RX", 6, _size("network_receive_bytes_per_second"), 4),
    Column("NET TX", 6, _size("network_transmit_bytes_per_second"), 4),
    Column("READ", 6, _size("disk_read_bytes_per_second"), 5),
    Column("WRITE", 6, _size("disk_write_bytes_per_second"), 5),
    Column("LOG", 6, _log, 12, is_optional=True),
    Column("PROCS", 5, _count("processes"), 13),
    Column("RESTARTS", 8, _count("restarts"), 12),
    Column("UP", 7, _up, 6),
    Column("AGE", 7, _age, 14),
    Column("PROJECT", 0, _project, 8, right=False, is_optional=True),
)
# fmt: on
