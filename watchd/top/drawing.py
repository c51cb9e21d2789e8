"""Lines of the screen, from a snapshot and a view. Pure."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from watchd.cells import fit, printable, width
from watchd.top.columns import GAP, Display, Snapshot, Style, usage_style, visible_columns
from watchd.top.text import bar, graph
from watchd.top.view import SORTS, Row, View, is_ill, visible_rows
from watchd.units import format_about, format_memory, format_size, short_duration

Line = list[tuple[str, Style]]

_BAR = 24  # cells


def screen(snapshot: Snapshot, view: View, display: Display, height: int) -> list[Line]:
    """Return the lines of a screen of `height` lines."""
    head = list(header(snapshot, display))
    rows = _rows(snapshot, view)
    page = max(0, height - len(head) - 2)
    first = max(0, min(view.first, len(rows) - page))
    body = (
        _help(display.width or 80)
        if view.shows_help
        else table(rows[first : first + page], snapshot, view, display, of=rows)
    )
    body = body[: page + 1]
    blank: list[Line] = [[] for _ in range(page + 1 - len(body))]
    foot = _footer(snapshot, view, rows, first, page)
    return [_cut(line, display) for line in [*head, *body, *blank, foot][:height]]


def printout(snapshot: Snapshot, display: Display) -> list[Line]:
    """Return the lines to print without a screen: all containers."""
    view = View(shows_all=True)
    return [
        _cut(line, display)
        for line in [*header(snapshot, display), [], *table(_rows(snapshot, view), snapshot, view, display)]
    ]


def page_size(snapshot: Snapshot, display: Display, height: int) -> int:
    """Return how many containers fit on a screen."""
    return max(1, height - len(list(header(snapshot, display))) - 2)


def row_count(snapshot: Snapshot, view: View) -> int:
    """Return how many containers the view shows."""
    return len(_rows(snapshot, view))


def header(snapshot: Snapshot, display: Display) -> Iterator[Line]:
    """Yield the lines above the table: host, disks, next run."""
    data = snapshot.containers
    if data is None:
        yield [("watchd top", "head")]
        return
    engine, rows = data["engine"], data["containers"]
    running = sum(row["state"] == "running" for row in rows)
    where = f"{printable(engine['name'])}, engine {printable(engine['version'])}" if engine else "engine unknown"
    by = "by the daemon" if snapshot.by_daemon else "without a daemon"
    line: Line = [("watchd top  ", "head"), (f"{running} of {len(rows)} running", "")]
    if ill := sum(is_ill(row) for row in rows):
        line.append((f", {ill} unhealthy or restarting", "bad"))
    yield [*line, (f", {where}, source {data['source']}, {by}", "")]
    yield from _host(data["host"], snapshot.tails.get("/"), display)
    for disk in snapshot.disks or ():
        yield _disk(disk, display)
    yield _next(snapshot, display)


def table(
    rows: Sequence[Row], snapshot: Snapshot, view: View, display: Display, *, of: Sequence[Row] | None = None
) -> list[Line]:
    """Return the table with its head. Columns are as wide as `of` needs, so that scrolling does not move them."""
    columns = visible_columns(of or rows, snapshot, display)
    gaps = ["", *[" " * GAP] * (len(columns) - 1)]  # before each: after the last there may be no cell left
    head: Line = [
        (gap + fit(column.title, cells, right=column.right), "head")
        for gap, (column, cells) in zip(gaps, columns, strict=True)
    ]
    if display.width is not None:
        taken = sum(width(text) for text, _ in head)
        head.append((fit("", max(0, display.width - taken)), "head"))
    lines = [head]
    for row in rows:
        line: Line = []
        for gap, (column, cells) in zip(gaps, columns, strict=True):
            text, style = column.cell(row, snapshot, display)
            line.append((gap + fit(text, cells, right=column.right, middle=column.is_text), style))
        lines.append(line)
    if snapshot.containers is not None and not rows:
        lines.append([(_empty_text(snapshot, view), "dim")])
    return lines


def _rows(snapshot: Snapshot, view: View) -> list[Row]:
    return visible_rows(snapshot.containers["containers"], view) if snapshot.containers else []


def _empty_text(snapshot: Snapshot, view: View) -> str:
    assert snapshot.containers is not None  # noqa: S101 - checked by the caller
    if view.text:
        return f"no container has {printable(view.text)!r} in its name, image or project"
    return "no container runs: a shows all" if snapshot.containers["containers"] else "there is no container"


def _host(host: Mapping[str, Any], tail: Mapping[str, Any] | None, display: Display) -> Iterator[Line]:
    series = tail["series"] if tail else {}
    cpus, cores, total, used = (host[key] for key in ("cpus", "cpu_cores", "memory_bytes", "memory_used_bytes"))
    if cpus and cores is not None:
        drawn = graph(series.get("cpu_cores", ()), 20, cpus, display.blocks)
        yield [*_gauge("CPU", cores / cpus, f"{cores:.2f} of {cpus} cores", display), (drawn, "good")]
    if total and used is not None:
        drawn = graph(series.get("memory_bytes", ()), 20, total, display.blocks)
        amount = f"{format_memory(used)} of {format_memory(total)}"
        yield [*_gauge("Memory", used / total, amount, display), (drawn, "good")]


def _disk(disk: Mapping[str, Any], display: Display) -> Line:
    size = max(1, disk["size_bytes"])
    marks = [mark[key] / size for mark in disk["marks"] for key in ("low", "high")]
    acting = [
        f"{printable(mark['policy'])} {mark['high'] / size:.0%} to {mark['low'] / size:.0%}" for mark in disk["marks"]
    ]
    amount = f"{format_size(disk['used_bytes'])} of {format_size(size)} {printable(disk['path'])}"
    return [*_gauge("Disk", disk["used_bytes"] / size, amount, display, marks), ("; ".join(acting), "dim")]


def _gauge(what: str, share: float, amount: str, display: Display, marks: Sequence[float] = ()) -> Line:
    drawn = bar(share, _BAR, marks, ascii_only=display.ascii_only)
    return [(f"{what:<7}", ""), (drawn, usage_style(share) or "good"), (f" {share:4.0%}  {amount}  ", "")]


def _next(snapshot: Snapshot, display: Display) -> Line:
    run = snapshot.next_run
    if not snapshot.by_daemon:
        return [("Next   ", ""), ("not known: no daemon answers on this state directory", "dim")]
    if run is None:
        return [("Next   ", ""), ("not known yet", "dim")]
    if run["at"] is None:
        return [("Next   ", ""), ("no policy has a schedule", "dim")]
    when = f"in {short_duration(run['at'] - display.now)}: "
    line: Line = [("Next   ", ""), (when, ""), (_amount("would remove", run["would_remove"]), "")]
    if run["would_report"]:
        line.append((_amount(", would only report", run["would_report"]), "dim"))
    return [*line, (f" ({', '.join(map(printable, run['policies']))})", "dim")]


def _amount(would: str, counted: Mapping[str, Mapping[str, Any]]) -> str:
    counts = [
        f"{of['count']} {kind.replace('_', ' ')}{'' if of['count'] == 1 else 's'}" for kind, of in counted.items()
    ]
    if not counts:
        return f"{would} nothing"
    size, at_least = sum(of["bytes"] or 0 for of in counted.values()), any(of["at_least"] for of in counted.values())
    return f"{would} {' and '.join(counts)}, {format_about(size, at_least=at_least)}"


def _footer(snapshot: Snapshot, view: View, rows: Sequence[Row], first: int, page: int) -> Line:
    if view.is_typing:
        return [("/", "head"), (printable(view.text), ""), ("_", "dim"), ("  enter keeps it, escape ends it", "dim")]
    if snapshot.error:
        return [(printable(snapshot.error), "bad")]
    sort = SORTS[view.sort]
    parts = [f"by {sort.name}{', reversed' if view.is_reversed else ''}"]
    if view.text:
        parts.append(f"with {printable(view.text)!r}")
    if view.is_grouped:
        parts.append("grouped by project")
    if view.shows_all:
        parts.append("all")
    if len(rows) > page:
        parts.append(f"{first + 1} to {min(first + page, len(rows))} of {len(rows)}")
    return [("  ".join(parts), ""), ("  a all  ? help  q quit", "dim")]


def _help(cells: int) -> list[Line]:
    sorts = [f"{key} {sort.name}" for key, sort in SORTS.items()]
    texts = [
        f"by   {', '.join(sorts)}; r in reverse",
        "G    group by Compose project, with sums",
        "a    all containers, or only running ones",
        "/    filter by a text in name, image or project; escape: no filter",
        "     arrows, page up and down, home and end scroll",
        "q    quit",
        "",
        "CORES of CPU in use, and its limit; !: throttled by its quota in at least a tenth of all periods.",
        "MEM% of its limit; without a limit, of the host's memory. Rates are per second.",
        "Graphs: the last minutes, a cell for 15 s. Memory is drawn on the scale of its limit, else of its own values.",
        "Disk: marks are the watermarks at which policies begin and stop removing.",
    ]
    lines = [line for text in texts for line in textwrap.wrap(text, cells, subsequent_indent="     ") or [""]]
    return [[("Keys", "head")], *([_plain(line)] for line in lines)]


def _plain(text: str) -> tuple[str, Style]:
    return text, ""


def _cut(line: Line, display: Display) -> Line:
    """Cut a line to the display, in its characters."""
    cells = display.width
    cut: Line = []
    for text, style in line:
        visible = text.encode("ascii", "replace").decode() if display.ascii_only else text
        if cells is not None:
            taken = width(visible)
            visible = visible if taken <= cells else fit(visible, cells)
            cells -= min(taken, cells)
        cut.append((visible, style))
    return cut
