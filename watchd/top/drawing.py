"""The lines of the table, from what is known and what is to be seen of it. Pure."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from watchd.top.columns import GAP, Known, Looks, Style, load, that_fit
from watchd.top.text import bar, fitted, graph, harmless, width
from watchd.top.view import SORTS, Row, View, shown
from watchd.units import about, format_size

Line = list[tuple[str, Style]]

_BAR = 24  # cells


def screen(known: Known, view: View, looks: Looks, height: int) -> list[Line]:
    """Return what is on a screen of so many lines."""
    head = list(header(known, looks))
    rows = _rows(known, view)
    page = max(0, height - len(head) - 2)
    first = max(0, min(view.first, len(rows) - page))
    body = (
        _help(looks.width or 80) if view.shows_help else table(rows[first : first + page], known, view, looks, of=rows)
    )
    body = body[: page + 1]
    blank: list[Line] = [[] for _ in range(page + 1 - len(body))]
    foot = _footer(known, view, rows, first, page)
    return [_cut(line, looks) for line in [*head, *body, *blank, foot][:height]]


def printed(known: Known, looks: Looks) -> list[Line]:
    """Return what is printed where there is no screen: all containers."""
    view = View(shows_all=True)
    return [_cut(line, looks) for line in [*header(known, looks), [], *table(_rows(known, view), known, view, looks)]]


def page_of(known: Known, looks: Looks, height: int) -> int:
    """Return how many containers there is room for."""
    return max(1, height - len(list(header(known, looks))) - 2)


def count_of(known: Known, view: View) -> int:
    """Return how many containers there are to be shown."""
    return len(_rows(known, view))


def header(known: Known, looks: Looks) -> Iterator[Line]:
    """Yield what is above the table: the host, its disks, the next run."""
    told = known.containers
    if told is None:
        yield [("watchd top", "head")]
        return
    engine, rows = told["engine"], told["containers"]
    running = sum(row["state"] == "running" for row in rows)
    where = f"{harmless(engine['name'])}, engine {harmless(engine['version'])}" if engine else "engine unknown"
    by = "by the daemon" if known.by_daemon else "without a daemon"
    yield [("watchd top  ", "head"), (f"{where}, source {told['source']}, {by}, {running} of {len(rows)} running", "")]
    yield from _host(told["host"], known.tails.get("/"), looks)
    for disk in known.disks or ():
        yield _disk(disk, looks)
    yield _next(known, looks)


def table(
    rows: Sequence[Row], known: Known, view: View, looks: Looks, *, of: Sequence[Row] | None = None
) -> list[Line]:
    """Return the table of these rows with its head. Columns are as wide as `of` needs, so that they keep still."""
    columns = that_fit(of or rows, known, looks)
    lines: list[Line] = [
        [(fitted(column.title, cells, right=column.right) + " " * GAP, "head") for column, cells in columns]
    ]
    if looks.width is not None:
        taken = sum(cells + GAP for _, cells in columns)
        lines[0].append((fitted("", max(0, looks.width - taken)), "head"))
    for row in rows:
        line: Line = []
        for column, cells in columns:
            text, style = column.cell(row, known, looks)
            line.append((fitted(text, cells, right=column.right) + " " * GAP, style))
        lines.append(line)
    if known.containers is not None and not rows:
        lines.append([(_nothing(known, view), "dim")])
    return lines


def _rows(known: Known, view: View) -> list[Row]:
    return shown(known.containers["containers"], view) if known.containers else []


def _nothing(known: Known, view: View) -> str:
    assert known.containers is not None  # noqa: S101 - the caller has looked
    if view.text:
        return f"no container has {harmless(view.text)!r} in its name, image or project"
    return "no container runs: a shows all" if known.containers["containers"] else "there is no container"


def _host(host: Mapping[str, Any], tail: Mapping[str, Any] | None, looks: Looks) -> Iterator[Line]:
    series = tail["series"] if tail else {}
    cpus, cores, total, used = (host[key] for key in ("cpus", "cpu_cores", "memory_bytes", "memory_used_bytes"))
    if cpus and cores is not None:
        drawn = graph(series.get("cpu_cores", ()), 20, cpus, looks.blocks)
        yield [*_gauge("CPU", cores / cpus, f"{cores:.2f} of {cpus} cores", looks), (drawn, "good")]
    if total and used is not None:
        drawn = graph(series.get("memory_bytes", ()), 20, total, looks.blocks)
        amount = f"{format_size(used)} of {format_size(total)}"
        yield [*_gauge("Memory", used / total, amount, looks), (drawn, "good")]


def _disk(disk: Mapping[str, Any], looks: Looks) -> Line:
    size = max(1, disk["size_bytes"])
    marks = [mark[key] / size for mark in disk["marks"] for key in ("low", "high")]
    acting = [
        f"{harmless(mark['policy'])} {mark['high'] / size:.0%} to {mark['low'] / size:.0%}" for mark in disk["marks"]
    ]
    amount = f"{format_size(disk['used_bytes'])} of {format_size(size)} {harmless(disk['path'])}"
    return [*_gauge("Disk", disk["used_bytes"] / size, amount, looks, marks), ("; ".join(acting), "dim")]


def _gauge(what: str, share: float, amount: str, looks: Looks, marks: Sequence[float] = ()) -> Line:
    drawn = bar(share, _BAR, marks, ascii_only=looks.ascii_only)
    return [(f"{what:<7}", ""), (drawn, load(share) or "good"), (f" {share:4.0%}  {amount}  ", "")]


def _next(known: Known, looks: Looks) -> Line:
    run = known.next_run
    if not known.by_daemon:
        return [("Next   ", ""), ("not known: no daemon answers on this state directory", "dim")]
    if run is None:
        return [("Next   ", ""), ("not known yet", "dim")]
    if run["at"] is None:
        return [("Next   ", ""), ("no policy has a schedule", "dim")]
    when = f"in {about(run['at'] - looks.now)}, {', '.join(map(harmless, run['policies']))}: "
    line: Line = [("Next   ", ""), (when, ""), (_amount("would remove", run["would_remove"]), "")]
    if run["would_report"]:
        line.append((_amount(", would only report", run["would_report"]), "dim"))
    return line


def _amount(would: str, counted: Mapping[str, Mapping[str, int]]) -> str:
    things = [
        f"{of['count']} {kind.replace('_', ' ')}{'' if of['count'] == 1 else 's'}" for kind, of in counted.items()
    ]
    if not things:
        return f"{would} nothing"
    return f"{would} {' and '.join(things)}, about {format_size(sum(of['bytes'] for of in counted.values()))}"


def _footer(known: Known, view: View, rows: Sequence[Row], first: int, page: int) -> Line:
    if view.is_typing:
        return [("/", "head"), (harmless(view.text), ""), ("_", "dim"), ("  enter keeps it, escape ends it", "dim")]
    if known.trouble:
        return [(harmless(known.trouble), "bad")]
    sort = SORTS[view.sort]
    parts = [f"by {sort.name}{', reversed' if view.is_reversed else ''}"]
    if view.text:
        parts.append(f"with {harmless(view.text)!r}")
    if view.shows_all:
        parts.append("all")
    if len(rows) > page:
        parts.append(f"{first + 1} to {min(first + page, len(rows))} of {len(rows)}")
    return [("  ".join(parts), ""), ("  a all  ? help  q quit", "dim")]


def _help(cells: int) -> list[Line]:
    sorts = [f"{key} {sort.name}" for key, sort in SORTS.items()]
    texts = [
        f"by   {', '.join(sorts)}; r in reverse",
        "a    all containers, or only those that run",
        "/    only those that have a text in their name, image or project; escape: all again",
        "     arrows, page up and down, home and end scroll",
        "q    quit",
        "",
        "CPU% 100% is one core; ! after it: its quota held it up in a tenth of all periods or more.",
        "MEM% of its limit, or where it has none of the host's memory. Rates are by the second.",
        "Graphs: the last minutes, a cell every 15 s, on each container's own scale.",
        "Disk: marks are where policies begin to remove, and where they end.",
    ]
    lines = [line for text in texts for line in textwrap.wrap(text, cells, subsequent_indent="     ") or [""]]
    return [[("Keys", "head")], *([_plain(line)] for line in lines)]


def _plain(text: str) -> tuple[str, Style]:
    return text, ""


def _cut(line: Line, looks: Looks) -> Line:
    """Return what of a line fits, and can be shown."""
    cells = looks.width
    cut: Line = []
    for text, style in line:
        shown_text = text.encode("ascii", "replace").decode() if looks.ascii_only else text
        if cells is not None:
            taken = width(shown_text)
            shown_text = shown_text if taken <= cells else fitted(shown_text, cells)
            cells -= min(taken, cells)
        cut.append((shown_text, style))
    return cut
