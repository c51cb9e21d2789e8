"""Filter and order of the containers, and how keys change them. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Row = Mapping[str, Any]  # a container of `/api/v1/containers`

ENTER, ESCAPE, ERASE = "enter", "escape", "erase"
"""Names of keys that are not characters; the others are up, down, pageup, pagedown, home and end."""

RUNNING = frozenset(("running", "paused", "restarting"))


@dataclass(frozen=True, slots=True)
class Sort:
    """Order of rows, chosen by a key. Unknown values come last."""

    name: str
    value: Callable[[Row], Any]
    largest_first: bool = True


def rate(row: Row, *names: str) -> float | None:
    """Return the sum of the known rates; None if none is known."""
    known = [row[name] for name in names if row[name] is not None]
    return sum(known) if known else None


def is_ill(row: Row) -> bool:
    """Return whether a container is unhealthy, restarts or is dead."""
    return row["state"] in ("restarting", "dead") or row["health"] == "unhealthy"


def _urgency(row: Row) -> int:
    """Return how much a container needs attention, from 0: it is well, or has ended well."""
    if is_ill(row):
        return 4
    if row["oom_killed"] or row["exit_code"]:
        return 3
    return {"starting": 2}.get(row["health"], 1 if row["state"] == "running" else 0)


NETWORK = ("network_receive_bytes_per_second", "network_transmit_bytes_per_second")
DISK = ("disk_read_bytes_per_second", "disk_write_bytes_per_second")

SORTS: Mapping[str, Sort] = {
    "c": Sort("CPU", lambda row: row["cpu_cores"]),
    "m": Sort("memory", lambda row: row["memory_bytes"]),
    "n": Sort("network", lambda row: rate(row, *NETWORK)),
    "d": Sort("disk", lambda row: rate(row, *DISK)),
    "p": Sort("processes", lambda row: row["processes"]),
    "t": Sort("restarts", lambda row: row["restarts"]),
    "s": Sort("state", _urgency),
    "g": Sort("age", lambda row: row["created_at"], largest_first=False),
    "N": Sort("name", lambda row: row["name"], largest_first=False),
    "P": Sort("project", lambda row: row["compose_project"], largest_first=False),
}

_SCROLLS: Mapping[str, Callable[[int, int, int], int]] = {  # (first row, rows per page, last first row) -> first
    "up": lambda first, _page, _last: first - 1,
    "k": lambda first, _page, _last: first - 1,
    "down": lambda first, _page, _last: first + 1,
    "j": lambda first, _page, _last: first + 1,
    "pageup": lambda first, page, _last: first - page,
    "pagedown": lambda first, page, _last: first + page,
    " ": lambda first, page, _last: first + page,
    "home": lambda _first, _page, _last: 0,
    "end": lambda _first, _page, last: last,
}


@dataclass(frozen=True, slots=True)
class View:
    """The user's choices."""

    sort: str = "c"
    is_reversed: bool = False
    text: str = ""  # filter: name, image or project contain it
    shows_all: bool = False  # or only running containers
    first: int = 0  # index of the first row on the screen
    is_typing: bool = False  # `text` is being typed
    shows_help: bool = False
    is_grouped: bool = False  # by Compose project, with sums


def visible_rows(rows: Sequence[Row], view: View) -> list[Row]:
    """Return the filtered rows in order; ties by name, so that they do not jump."""
    wanted = view.text.casefold()
    rows = [
        row
        for row in rows
        if (view.shows_all or row["state"] in RUNNING)
        and any(wanted in (row[key] or "").casefold() for key in ("name", "image", "compose_project"))
    ]
    return _by_project(rows, view) if view.is_grouped else _in_order(rows, view)


def _in_order(rows: Sequence[Row], view: View) -> list[Row]:
    sort = SORTS[view.sort]
    rows = sorted(rows, key=lambda row: str(row["name"]))
    known = [row for row in rows if sort.value(row) is not None]
    known.sort(key=sort.value, reverse=sort.largest_first != view.is_reversed)
    return known + [row for row in rows if sort.value(row) is None]


def _by_project(rows: Sequence[Row], view: View) -> list[Row]:
    """Return single containers and rows of Compose projects in order, each with its containers below it in order."""
    members: dict[str | None, list[Row]] = {}
    for row in rows:
        members.setdefault(row["compose_project"], []).append(row)
    units: list[Row] = []
    for project, its in members.items():
        units += its if project is None or len(its) == 1 else [_project(project, its)]
    grouped: list[Row] = []
    for unit in _in_order(units, view):
        if unit["id"] is None:
            its = _in_order(members[unit["compose_project"]], view)
            grouped += [_of_project(unit), *(_of_project(row, "  ") for row in its)]
        else:
            grouped.append(unit)
    return grouped


def _of_project(row: Row, indent: str = "") -> Row:
    """Return a row of a project without the project, whose name is in the row of the project."""
    return {**row, "name": f"{indent}{row['name']}", "compose_project": None}


def _project(project: str, rows: Sequence[Row]) -> Row:
    """Return the row of a project: without an ID, with the sums of what is known and the worst state."""
    keys = ("cpu_cores", "memory_bytes", "processes", "restarts", "log_bytes", *NETWORK, *DISK)
    worst = max(_in_order(rows, View(sort="N")), key=_urgency)
    state = {key: worst[key] for key in ("state", "health", "exit_code", "oom_killed")}
    created = min((row["created_at"] for row in rows if row["created_at"] is not None), default=None)
    told = {"name": f"{project} ({len(rows)})", "compose_project": project, "created_at": created, **state}
    return {**dict.fromkeys(rows[0]), **told, **{key: _sum(rows, key) for key in keys}}


def _sum(rows: Sequence[Row], key: str) -> Any:
    """Return the sum of the known values; None if none is known."""
    known = [value for row in rows if (value := row.get(key)) is not None]  # an older daemon has no logs
    return sum(known) if known else None


def after_key(view: View, key: str, *, count: int, page: int) -> View | None:
    """Return the view after a key, None to quit. `count` rows exist and `page` of them fit."""
    if view.is_typing:
        return _after_typing(view, key)
    if key == "q":
        return None
    if view.shows_help:
        return replace(view, shows_help=False)  # any other key closes the help
    last = max(0, count - page)
    first = min(view.first, last)
    if key in _SCROLLS:
        return replace(view, first=max(0, min(_SCROLLS[key](first, page, last), last)))
    if key in SORTS:
        return replace(view, sort=key, is_reversed=False, first=0)
    return _COMMANDS[key](view) if key in _COMMANDS else view


_COMMANDS: Mapping[str, Callable[[View], View]] = {
    "r": lambda view: replace(view, is_reversed=not view.is_reversed, first=0),
    "G": lambda view: replace(view, is_grouped=not view.is_grouped, first=0),
    "a": lambda view: replace(view, shows_all=not view.shows_all, first=0),
    "/": lambda view: replace(view, is_typing=True),
    "?": lambda view: replace(view, shows_help=True),
    "h": lambda view: replace(view, shows_help=True),
    ESCAPE: lambda view: replace(view, text="", first=0),
}


def _after_typing(view: View, key: str) -> View:
    if key == ENTER:
        return replace(view, is_typing=False)
    if key == ESCAPE:
        return replace(view, is_typing=False, text="", first=0)
    if key == ERASE:
        return replace(view, text=view.text[:-1], first=0)
    if len(key) == 1 and key.isprintable():
        return replace(view, text=view.text + key, first=0)
    return view
