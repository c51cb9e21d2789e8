"""Colour is for terminals, and for those who want it."""

import click
import pytest
from click.testing import CliRunner

from watchd.cleanup.report import Line
from watchd.cli.output import print_lines

LINES = ("plain", Line("Would remove:", "heading"), Line("  container  job", "goes"))


def printed(*, terminal: bool) -> str:
    command = click.Command("show", callback=lambda: print_lines(LINES))
    return CliRunner().invoke(command, color=terminal).output


@pytest.fixture(autouse=True)
def a_terminal_with_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_lines_have_colour_on_a_terminal() -> None:
    assert printed(terminal=True) == ("plain\n\x1b[1mWould remove:\x1b[0m\n\x1b[31m  container  job\x1b[0m\n")


def test_lines_are_plain_where_they_are_read_by_something_else() -> None:
    assert printed(terminal=False) == "plain\nWould remove:\n  container  job\n"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_who_wants_no_colour_has_none(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert "\x1b" not in printed(terminal=True)
