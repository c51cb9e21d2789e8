"""Colour and wrapped lines are for terminals, and colour for those who want it."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.harness.terminal import terminal
from tests.harness.watchd_process import WATCHD, watchd
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


@pytest.fixture
def wrong(tmp_path: Path) -> list[str]:
    file = tmp_path / "c.toml"
    file.write_text('[engine]\nhost = "ssh://host"\n')
    return ["config", "check", "-c", str(file)]


def test_on_a_terminal_errors_wrap_between_words(wrong: list[str], tmp_path: Path) -> None:
    with terminal([WATCHD, *wrong], columns=50) as shown:
        assert shown.ended() == 2
        lines = [line for line in shown.lines if line]
    assert lines[:2] == ["watchd: the configuration is invalid:", "  engine.host: 'ssh://host' is not an engine"]
    assert all(line.startswith("    ") for line in lines[2:])
    file = tmp_path / "away.toml"
    file.write_text('[engine]\nhost = "unix:///no.sock"\n')
    with terminal([WATCHD, "df", "-c", file], columns=50) as shown:
        assert shown.ended() == 1
        lines = [line for line in shown.lines if line]
    assert lines[0].startswith("watchd: ")
    assert len(lines) > 1
    assert all(line.startswith("  ") for line in lines[1:])


def test_in_a_pipe_each_problem_is_one_line(wrong: list[str]) -> None:
    first, second = watchd(*wrong).stderr.splitlines()
    assert first == "watchd: the configuration is invalid:"
    assert second.startswith("  engine.host: 'ssh://host' is not an engine address: write")
    assert second.endswith("HOST`)")
