"""Text that fits into cells of a terminal, and does nothing else there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchd.cells import fit, printable, width, wrapped
from watchd.top.text import ASCII_BLOCKS, bar, graph


@pytest.mark.parametrize(
    ("text", "cells"), [("web", 3), ("商店", 4), ("e\u0301", 1), ("한", 2), ("", 0), ("ünïcode", 7)]
)
def test_how_wide_text_is(text: str, cells: int) -> None:
    assert width(text) == cells


@pytest.mark.parametrize(
    ("text", "cells", "shown"),
    [
        ("web", 5, "web  "),
        ("webserver", 5, "webs~"),
        ("商店商店", 5, "商店…"),
        ("商店商店", 6, "商店… "),
        ("商店", 4, "商店"),
        ("web", 0, ""),
    ],
)
def test_fitted_text(text: str, cells: int, shown: str) -> None:
    assert fit(text, cells) == shown


@pytest.mark.parametrize(
    ("text", "cells", "shown"),
    [
        ("web", 5, "web  "),
        ("shop-a-very-long-name-1", 12, "shop-a~ame-1"),
        ("商店商店商店", 7, "商店…店"),
        ("ab~~~~~~~x", 5, "ab~~x"),
        ("web", 1, "~"),
        ("web", 0, ""),
    ],
)
def test_text_cut_in_its_middle(text: str, cells: int, shown: str) -> None:
    assert fit(text, cells, middle=True) == shown


def test_numbers_stand_at_the_right() -> None:
    assert fit("12", 5, right=True) == "   12"


@given(st.text(), st.integers(0, 30))
def test_it_always_takes_exactly_its_cells(text: str, cells: int) -> None:
    assert width(fit(printable(text), cells)) == cells
    assert width(fit(printable(text), cells, right=True)) == cells
    assert width(fit(printable(text), cells, middle=True)) == cells


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("ten  cells", ["ten  cells"]),
        ("goes on below", ["goes on", "  below"]),
        ("  next: it stays", ["  next: it", "    stays"]),
        ("a  /path/that/is/long b", ["a", "  /path/that/is/long", "  b"]),
        ("商店 商店 商店", ["商店 商店", "  商店"]),
        (" " * 11, [""]),
    ],
)
def test_wrapped_text(text: str, lines: list[str]) -> None:
    assert list(wrapped(text, 10)) == lines


@given(st.text(alphabet="ab 商", max_size=200), st.integers(8, 30))
def test_wrapped_lines_fit_and_have_every_word(text: str, cells: int) -> None:
    lines = list(wrapped(text, cells))
    assert " ".join(lines).split() == text.split()
    assert all(width(line) <= cells or len(line.split()) == 1 for line in lines)


@given(st.text())
def test_nothing_in_a_name_commands_the_terminal(text: str) -> None:
    assert printable(text).isprintable()


def test_a_name_that_would_clear_the_screen() -> None:
    assert printable("web\x1b[2J\r\n\u202e") == "web?[2J???"


@pytest.mark.parametrize(
    ("values", "highest", "line"),
    [
        ([0.0, 0.5, 1.0], 1.0, "  ▁▄█"),
        ([None, 1.0], 1.0, "    █"),
        ([0.0, 0.0], 0.0, "   ▁▁"),
        ([9.0] * 9, 1.0, "█████"),
        ([], 1.0, "     "),
    ],
)
def test_a_graph_is_of_the_last_values(values: list[float | None], highest: float, line: str) -> None:
    assert graph(values, 5, highest) == line
    assert graph(values, 5, highest, ASCII_BLOCKS).isascii()


@given(st.lists(st.none() | st.floats(0, 1e12)), st.integers(0, 40), st.floats(0, 1e12))
def test_a_graph_takes_its_cells(values: list[float | None], cells: int, highest: float) -> None:
    assert len(graph(values, cells, highest)) == cells


def test_a_bar_with_marks() -> None:
    assert bar(0.5, 10, (0.75, 0.85)) == "█████░░││░"
    assert bar(0.5, 10, (0.75,), ascii_only=True) == "#####--|--"


@given(st.floats(-1, 2), st.integers(1, 50), st.lists(st.floats(-1, 2)))
def test_a_bar_takes_its_cells(share: float, cells: int, marks: list[float]) -> None:
    assert len(bar(share, cells, marks)) == cells
