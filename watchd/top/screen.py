"""Terminal: draws the table and reads keys, with curses."""

import curses
import locale
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from types import FrameType

from watchd.cells import width
from watchd.errors import WatchdError
from watchd.top.columns import Display, Snapshot, Style
from watchd.top.drawing import Line, page_size, row_count, screen
from watchd.top.poller import Poller
from watchd.top.view import ENTER, ERASE, ESCAPE, View, after_key

_KEY_TIMEOUT = 100  # milliseconds
_REDRAW = 1.0  # seconds: ages change without new data
_WARNING_SHOWN = 30.0  # seconds
_ESCAPE_DELAY = 25  # milliseconds: later bytes are not part of an escape sequence

_KEYS = {
    "KEY_UP": "up",
    "KEY_DOWN": "down",
    "KEY_PPAGE": "pageup",
    "KEY_NPAGE": "pagedown",
    "KEY_HOME": "home",
    "KEY_END": "end",
    "KEY_ENTER": ENTER,
    "KEY_BACKSPACE": ERASE,
    "\n": ENTER,
    "\r": ENTER,
    "\x1b": ESCAPE,
    "\x7f": ERASE,
    "\b": ERASE,
    "\x03": "q",
}


def check() -> None:
    """Raise `WatchdError` if curses cannot use the terminal."""
    try:
        curses.setupterm()
    except curses.error as error:
        raise WatchdError(f"this terminal (TERM={os.environ.get('TERM', '')}) cannot show the table: {error}") from None


def run(poller: Poller, last_warning: "LastWarning") -> None:
    """Show the snapshots of a poller until q, ctrl-C, SIGTERM, SIGHUP or the end of the terminal."""
    locale.setlocale(locale.LC_ALL, "")
    before = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        curses.wrapper(lambda window: _Screen(window, poller, last_warning).show())
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class LastWarning(logging.Handler):
    """Log handler that keeps the last warning; a normal handler would write over the screen."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._last: logging.LogRecord | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record."""
        self._last = record

    @property
    def text(self) -> str:
        """The warning, or "" if it is older than half a minute."""
        last = self._last
        return last.getMessage() if last is not None and time.time() - last.created < _WARNING_SHOWN else ""


class _Screen:
    def __init__(self, window: curses.window, poller: Poller, last_warning: LastWarning) -> None:
        self._window = window
        self._poller = poller
        self._last_warning = last_warning
        self._ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
        self._view = View()
        self._attributes = _attributes()
        with suppress(curses.error):
            curses.curs_set(0)
        curses.set_escdelay(_ESCAPE_DELAY)
        window.timeout(_KEY_TIMEOUT)

    def show(self) -> None:
        drawn: tuple[Snapshot, View] | None = None
        draw_at = 0.0  # monotonic
        while True:
            snapshot = self._snapshot()
            if drawn != (snapshot, self._view) or time.monotonic() >= draw_at:
                self._draw(snapshot)
                drawn, draw_at = (snapshot, self._view), time.monotonic() + _REDRAW
            key = self._key()
            if key == "KEY_RESIZE":
                drawn = None
            elif key:
                height = self._window.getmaxyx()[0]
                page = page_size(snapshot, self._display(), height)
                view = after_key(self._view, key, count=row_count(snapshot, self._view), page=page)
                if view is None:
                    return
                self._view = view

    def _snapshot(self) -> Snapshot:
        snapshot = self._poller.snapshot
        return snapshot if snapshot.error else replace(snapshot, error=self._last_warning.text)

    def _key(self) -> str:
        """Wait for a key and return its name, or "" at the timeout."""
        try:
            key = self._window.get_wch()
        except curses.error:
            if not os.isatty(sys.stdin.fileno()):  # the terminal is gone, and SIGHUP was not sent
                raise KeyboardInterrupt from None
            return ""
        name = curses.keyname(key).decode() if isinstance(key, int) else key
        return _KEYS.get(name, name)

    def _display(self) -> Display:
        return Display(time.time(), self._window.getmaxyx()[1], ascii_only=self._ascii_only)

    def _draw(self, snapshot: Snapshot) -> None:
        self._window.erase()
        for number, line in enumerate(screen(snapshot, self._view, self._display(), self._window.getmaxyx()[0])):
            self._write(number, line)
        self._window.refresh()

    def _write(self, number: int, line: Line) -> None:
        column = 0
        for text, style in line:
            with suppress(curses.error):  # curses cannot move the cursor behind the last cell
                self._window.addstr(number, column, text, self._attributes[style])
            column += width(text)


def _attributes() -> Mapping[Style, int]:
    """Return the curses attributes of styles, with colours unless NO_COLOR is set or the terminal has none."""
    plain: dict[Style, int] = {
        "": curses.A_NORMAL,
        "head": curses.A_REVERSE,
        "dim": curses.A_DIM,
        "good": curses.A_NORMAL,
        "warn": curses.A_BOLD,
        "bad": curses.A_BOLD,
    }
    if not curses.has_colors():
        return plain
    curses.use_default_colors()  # keep the terminal's own colours
    if os.environ.get("NO_COLOR"):
        return plain
    colours: dict[Style, int] = {"good": curses.COLOR_GREEN, "warn": curses.COLOR_YELLOW, "bad": curses.COLOR_RED}
    for number, (style, colour) in enumerate(colours.items(), 1):
        curses.init_pair(number, colour, -1)
        plain[style] |= curses.color_pair(number)
    return plain


def _end(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
