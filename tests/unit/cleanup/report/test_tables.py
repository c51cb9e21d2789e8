"""Tables that fit a terminal, or are whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cleanup.builders import EXITED, cleanup, container, plan, view
from watchd.cells import width
from watchd.cleanup import report
from watchd.cleanup.report import Fitting, table

ROWS = st.lists(st.tuples(*[st.text(st.characters(categories=["L", "N"]), max_size=40)] * 5), min_size=1, max_size=5)


@given(ROWS, st.integers(20, 200))
def test_no_line_is_wider_than_the_terminal(rows: list[tuple[str, ...]], cells: int) -> None:
    assert all(width(line) <= cells for line in table(rows, Fitting(cells, name=2, drop=(1, 4))))


@given(ROWS)
def test_without_a_terminal_every_cell_is_whole(rows: list[tuple[str, ...]]) -> None:
    for row, line in zip(rows, table(rows), strict=True):
        assert all(cell in line for cell in row)


@pytest.mark.parametrize(
    ("cells", "line"),
    [
        (80, "image  f3c6c93d7ddd  registry.corp/team/service:1  nightly  unused"),
        (60, "image  f3c6c93d7ddd  registry.co~/service:1  nightly  unused"),
        (50, "image  registry.corp~am/service:1  nightly  unused"),
        (35, "image  registry.c~service:1  unused"),
    ],
)
def test_the_name_shrinks_in_its_middle_before_columns_go(cells: int, line: str) -> None:
    row = ("image", "f3c6c93d7ddd", "registry.corp/team/service:1", "nightly", "unused")
    (told,) = table([row], Fitting(cells, name=2, drop=(1, 3)))
    assert width(told) <= cells
    assert told == line


def test_a_plan_fits_and_keeps_what_goes_and_why() -> None:
    look = view(container("a-very-long-name-of-a-container-that-nobody-would-type-1", size_rw=1000))
    made = plan(look, cleanup(EXITED))
    narrow = list(report.plan(made, dry_run=True, cells=80))
    assert len(narrow[1]) <= 80
    assert narrow[1].split()[0] == "container"
    assert narrow[1].endswith("exited_too_long (finished_for 1d, needs 0s)")
    assert "a-very-long-name-of-a-container-that-nobody-would-type-1" in list(report.plan(made, dry_run=True))[1]
