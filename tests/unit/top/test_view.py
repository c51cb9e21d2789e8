"""The containers shown, their order, and the keys."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.top.builders import row, stopped
from watchd.top.view import SORTS, View, after_key, visible_rows

ROWS = [
    row("db", cpu_cores=0.1, memory_bytes=900, image="postgres:16", compose_project="shop", processes=9),
    row("web", cpu_cores=2.0, memory_bytes=100, network_receive_bytes_per_second=9e6, created_at=5.0),
    row("new", cpu_cores=None, memory_bytes=None, restarts=4, disk_read_bytes_per_second=9e9),
    stopped("old", compose_project="Attic"),
]

_keys = st.sampled_from([*SORTS, *"ra/?jkq x", "up", "down", "pageup", "pagedown", "home", "end", "enter", "escape"])


def names(view: View) -> list[str]:
    return [each["name"] for each in visible_rows(ROWS, view)]


def after(*keys: str, view: View | None = None, count: int = 100, page: int = 10) -> View:
    """Return the view after some keys."""
    view = view or View()
    for key in keys:
        found = after_key(view, key, count=count, page=page)
        assert found is not None, f"{key} was the end"
        view = found
    return view


@pytest.mark.parametrize(
    ("key", "order"),
    [
        ("c", ["web", "db", "new"]),
        ("m", ["db", "web", "new"]),
        ("n", ["web", "db", "new"]),
        ("d", ["new", "db", "web"]),
        ("p", ["db", "new", "web"]),
        ("t", ["new", "db", "web"]),
        ("g", ["web", "db", "new"]),
        ("N", ["db", "new", "web"]),
        ("P", ["db", "new", "web"]),
    ],
)
def test_orders(key: str, order: list[str]) -> None:
    assert names(after(key)) == order


def test_in_reverse_what_is_not_known_still_comes_last() -> None:
    assert names(after("c", "r")) == ["db", "web", "new"]
    assert names(after("c", "r", "r")) == ["web", "db", "new"]


def test_another_order_begins_the_right_way_round_and_at_the_top() -> None:
    view = after("r", "end", "m")
    assert (view.sort, view.is_reversed, view.first) == ("m", False, 0)


def test_those_that_do_not_run_are_shown_when_asked_for() -> None:
    assert names(after("a", "N")) == ["db", "new", "old", "web"]
    assert names(after("a", "a", "N")) == ["db", "new", "web"]


@pytest.mark.parametrize(
    ("text", "found"), [("WE", ["web"]), ("postgres", ["db"]), ("attic", ["old"]), ("nothing", []), ("", None)]
)
def test_a_text_that_is_searched(text: str, found: list[str] | None) -> None:
    view = after("a", "N", "/", *text, "enter")
    assert not view.is_typing
    assert names(view) == (["db", "new", "old", "web"] if found is None else found)


def test_while_a_text_is_typed_keys_are_letters() -> None:
    view = after("/", "q", "r", "up", "\x00", "c", "erase")
    assert (view.text, view.is_typing, view.sort) == ("qr", True, "c")


def test_escape_ends_the_search() -> None:
    assert after("/", "x", "escape") == View()
    assert after("/", "x", "enter", "escape") == View()


@pytest.mark.parametrize(
    ("keys", "first"),
    [
        (["down"], 1),
        (["up"], 0),
        (["pagedown"], 10),
        ([" ", "pageup", "j"], 1),
        (["end"], 90),
        (["end", "down"], 90),
        (["end", "home"], 0),
        (["pagedown"] * 20, 90),
        (["end", "k"], 89),
    ],
)
def test_scrolling(keys: list[str], first: int) -> None:
    assert after(*keys).first == first


def test_after_containers_have_gone_one_key_goes_on_from_the_end() -> None:
    assert after("up", view=View(first=90), count=20).first == 9


def test_help_is_shown_until_the_next_key() -> None:
    assert after("?").shows_help
    assert after("?", "m") == View()


def test_q_is_the_end_but_in_a_text() -> None:
    assert after_key(View(), "q", count=1, page=1) is None
    assert after_key(View(shows_help=True), "q", count=1, page=1) is None
    assert after_key(View(is_typing=True), "q", count=1, page=1) == View(is_typing=True, text="q")


@given(st.lists(_keys, max_size=30), st.integers(0, 50), st.integers(1, 50))
def test_no_keys_lead_out_of_the_list(keys: list[str], count: int, page: int) -> None:
    view = View()
    for key in keys:
        found = after_key(view, key, count=count, page=page)
        view = View() if found is None else found
        assert 0 <= view.first <= max(0, count - page)


def test_equal_ones_stand_by_name() -> None:
    rows = [row(name, cpu_cores=0.0) for name in ("c", "a", "b")]
    for view in (View(), View(is_reversed=True)):
        assert [each["name"] for each in visible_rows(rows, view)] == ["a", "b", "c"], view
    assert visible_rows(list(reversed(rows)), replace(View(), sort="m")) == visible_rows(
        rows, replace(View(), sort="m")
    )


GROUPED = [
    row("db", compose_project="shop", cpu_cores=0.4, restarts=0, created_at=9.0),
    row("api", compose_project="shop", cpu_cores=0.3, restarts=2, created_at=3.0),
    row("busy", cpu_cores=0.6, restarts=1, created_at=5.0),
    row("b", compose_project="mail", cpu_cores=None, health="unhealthy", created_at=8.0),
    row("a", compose_project="mail", cpu_cores=0.1, memory_bytes=9, created_at=7.0),
    row("wiki", compose_project="only-one", cpu_cores=0.2, created_at=6.0),
]


@pytest.mark.parametrize(
    ("keys", "order"),
    [
        ("c", ["shop (2)", "  db", "  api", "busy", "wiki", "mail (2)", "  a", "  b"]),
        ("cr", ["mail (2)", "  a", "  b", "wiki", "busy", "shop (2)", "  api", "  db"]),
        ("s", ["mail (2)", "  b", "  a", "busy", "shop (2)", "  api", "  db", "wiki"]),
        ("t", ["shop (2)", "  api", "  db", "busy", "mail (2)", "  a", "  b", "wiki"]),
        ("g", ["shop (2)", "  api", "  db", "busy", "wiki", "mail (2)", "  a", "  b"]),
        ("N", ["busy", "mail (2)", "  a", "  b", "shop (2)", "  api", "  db", "wiki"]),
        ("P", ["mail (2)", "  a", "  b", "wiki", "shop (2)", "  api", "  db", "busy"]),
    ],
)
def test_projects_stand_among_single_containers_in_the_chosen_order(keys: str, order: list[str]) -> None:
    view = after("G", *keys)
    assert [each["name"] for each in visible_rows(GROUPED, view)] == order
    assert [each["name"] for each in visible_rows(GROUPED[::-1], view)] == order


def test_a_project_has_the_worst_state_of_its_containers() -> None:
    rows = visible_rows([*GROUPED, stopped("failed", compose_project="shop", exit_code=1)], after("G", "a"))
    states = {each["name"]: (each["state"], each["health"], each["exit_code"]) for each in rows if each["id"] is None}
    assert states == {"mail (2)": ("running", "unhealthy", None), "shop (3)": ("exited", None, 1)}
