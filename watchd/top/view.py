"""Which containers are shown and in which order, and what keys change of that. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Row = Mapping[str, Any]  # a container, as `/api/v1/containers` tells of it

ENTER, ESCAPE, ERASE = "enter", "escape", "erase"
"""Keys beside those that write something: these, and up, down, pageup, pagedown, home and end."""

RUNNING = frozenset(("running", "paused", "restarting"))


@dataclass(frozen=True, slots=True)
class Sort:
    """An order of rows, which a key chooses. What is not known comes last."""

    name: str
    value: Callable[[Row], Any]
    largest_first: bool = True


def rate(row: Row, *names: str) -> float | None:
    """Return the sum of what is known of some rates."""
    known = [row[name] for name in names if row[name] is not None]
    return sum(known) if known else None


NETWORK = ("network_receive_bytes_per_second", "network_transmit_bytes_per_second")
DISK = ("disk_read_bytes_per_second", "disk_write_bytes_per_second")

SORTS: Mapping[str, Sort] = {
    "c": Sort("CPU", lambda row: row["cpu_cores"]),
    "m": Sort("memory", lambda row: row["memory_bytes"]),
    "n": Sort("network", lambda row: rate(row, *NETWORK)),
    "d": Sort("disk", lambda row: rate(row, *DISK)),
    "p": Sort("processes", lambda row: row["processes"]),
    "t": Sort("restarts", lambda row: row["restarts"]),
    "g": Sort("age", lambda row: row["created_at"], largest_first=False),
    "N": Sort("name", lambda row: row["name"], largest_first=False),
    "P": Sort("project", lambda row: row["compose_project"], largest_first=False),
}

_SCROLLS: Mapping[str, Callable[[int, int, int], int]] = {  # from the first row, by pages, to the last first one
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
    """What whoever looks has chosen."""

    sort: str = "c"
    is_reversed: bool = False
    text: str = ""  # that rows have to have in their name, image or project
    shows_all: bool = False  # those too that do not run
    first: int = 0  # row on the screen
    is_typing: bool = False  # the text
    shows_help: bool = False


def shown(rows: Sequence[Row], view: View) -> list[Row]:
    """Return the rows that are shown, in order. Those that are equal stand by name, so that they keep still."""
    wanted = view.text.casefold()
    rows = [
        row
        for row in rows
        if (view.shows_all or row["state"] in RUNNING)
        and any(wanted in (row[key] or "").casefold() for key in ("name", "image", "compose_project"))
    ]
    sort = SORTS[view.sort]
    rows = sorted(rows, key=lambda row: str(row["name"]))
    known = [row for row in rows if sort.value(row) is not None]
    known.sort(key=sort.value, reverse=sort.largest_first != view.is_reversed)
    return known + [row for row in rows if sort.value(row) is None]


def pressed(view: View, key: str, *, count: int, page: int) -> View | None:
    """Return the view after a key; None: that was the end. `count` rows are there, and room for `page` of them."""
    if view.is_typing:
        return _typed(view, key)
    if key == "q":
        return None
    if view.shows_help:
        return replace(view, shows_help=False)  # by any other key
    last = max(0, count - page)
    first = min(view.first, last)
    if key in _SCROLLS:
        return replace(view, first=max(0, min(_SCROLLS[key](first, page, last), last)))
    if key in SORTS:
        return replace(view, sort=key, is_reversed=False, first=0)
    return _chosen(view, key)


def _chosen(view: View, key: str) -> View:
    match key:
        case "r":
            return replace(view, is_reversed=not view.is_reversed, first=0)
        case "a":
            return replace(view, shows_all=not view.shows_all, first=0)
        case "/":
            return replace(view, is_typing=True)
        case "?" | "h":
            return replace(view, shows_help=True)
        case "escape":
            return replace(view, text="", first=0)
    return view


def _typed(view: View, key: str) -> View:
    if key == ENTER:
        return replace(view, is_typing=False)
    if key == ESCAPE:
        return replace(view, is_typing=False, text="", first=0)
    if key == ERASE:
        return replace(view, text=view.text[:-1], first=0)
    if len(key) == 1 and key.isprintable():
        return replace(view, text=view.text + key, first=0)
    return view
