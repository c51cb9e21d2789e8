"""The terminal: the table as it changes, and keys. curses has it, which also knows how to leave it as it was."""

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

from watchd.errors import WatchdError
from watchd.top.columns import Known, Looks, Style
from watchd.top.drawing import Line, count_of, page_of, screen
from watchd.top.feed import Follower
from watchd.top.text import width
from watchd.top.view import ENTER, ERASE, ESCAPE, View, pressed

_TURN = 100  # milliseconds that a key is waited for
_REDRAW = 1.0  # seconds: ages go on without any news
_WORDS_STAY = 30.0  # seconds
_ESCAPE_DELAY = 25  # milliseconds in which what follows an escape makes it an arrow key

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
    """Raise `WatchdError` where the terminal is not known."""
    try:
        curses.setupterm()
    except curses.error as error:
        raise WatchdError(f"this terminal (TERM={os.environ.get('TERM', '')}) cannot show it: {error}") from None


def run(follower: Follower, last_words: "LastWords") -> None:
    """Show what a follower learns, until q, ctrl-C, SIGTERM or SIGHUP, or until there is no terminal any more."""
    locale.setlocale(locale.LC_ALL, "")
    before = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        curses.wrapper(lambda window: _Screen(window, follower, last_words).show())
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class LastWords(logging.Handler):
    """Keeps the last thing that was logged, which would else be written all over the screen."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._last: logging.LogRecord | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self._last = record

    @property
    def text(self) -> str:
        """What was logged in the last half minute, if anything was."""
        last = self._last
        return last.getMessage() if last is not None and time.time() - last.created < _WORDS_STAY else ""


class _Screen:
    def __init__(self, window: curses.window, follower: Follower, last_words: LastWords) -> None:
        self._window = window
        self._follower = follower
        self._last_words = last_words
        self._ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
        self._view = View()
        self._attributes = _attributes()
        with suppress(curses.error):
            curses.curs_set(0)
        curses.set_escdelay(_ESCAPE_DELAY)
        window.timeout(_TURN)

    def show(self) -> None:
        drawn: tuple[Known, View] | None = None
        draw_at = 0.0  # monotonic
        while True:
            known = self._known()
            if drawn != (known, self._view) or time.monotonic() >= draw_at:
                self._draw(known)
                drawn, draw_at = (known, self._view), time.monotonic() + _REDRAW
            key = self._key()
            if key == "KEY_RESIZE":
                drawn = None
            elif key:
                height = self._window.getmaxyx()[0]
                page = page_of(known, self._looks(), height)
                view = pressed(self._view, key, count=count_of(known, self._view), page=page)
                if view is None:
                    return
                self._view = view

    def _known(self) -> Known:
        known = self._follower.known
        return known if known.trouble else replace(known, trouble=self._last_words.text)

    def _key(self) -> str:
        """Return the name of the key that was pressed, nothing where none was."""
        try:
            key = self._window.get_wch()
        except curses.error:
            if not os.isatty(sys.stdin.fileno()):  # the terminal has gone, and not everyone is sent SIGHUP
                raise KeyboardInterrupt from None
            return ""
        name = curses.keyname(key).decode() if isinstance(key, int) else key
        return _KEYS.get(name, name)

    def _looks(self) -> Looks:
        return Looks(time.time(), self._window.getmaxyx()[1], ascii_only=self._ascii_only)

    def _draw(self, known: Known) -> None:
        self._window.erase()
        for number, line in enumerate(screen(known, self._view, self._looks(), self._window.getmaxyx()[0])):
            self._write(number, line)
        self._window.refresh()

    def _write(self, number: int, line: Line) -> None:
        column = 0
        for text, style in line:
            with suppress(curses.error):  # after the last cell of all there is no place for the cursor
                self._window.addstr(number, column, text, self._attributes[style])
            column += width(text)


def _attributes() -> Mapping[Style, int]:
    """Return how styles look: in colours where the terminal has them, and nobody said NO_COLOR."""
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
    curses.use_default_colors()  # else curses has white on black of its own
    if os.environ.get("NO_COLOR"):
        return plain
    colours: dict[Style, int] = {"good": curses.COLOR_GREEN, "warn": curses.COLOR_YELLOW, "bad": curses.COLOR_RED}
    for number, (style, colour) in enumerate(colours.items(), 1):
        curses.init_pair(number, colour, -1)
        plain[style] |= curses.color_pair(number)
    return plain


def _end(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
