"""The drawing of the screen."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.top.builders import GB, NOW, row, snapshot, stopped, tail
from watchd.cells import width
from watchd.top.columns import Display, Snapshot
from watchd.top.drawing import Line, printout, screen, table
from watchd.top.view import View

DISPLAY = Display(NOW, 200)
RUN: dict[str, Any] = {
    "at": NOW + 19_000,
    "policies": ["exited", "images"],
    "planned_at": NOW,
    "would_remove": {
        "container": {"count": 3, "bytes": 12_000, "at_least": False},
        "build_cache": {"count": 1, "bytes": 1_000_000, "at_least": False},
    },
    "would_report": {},
}
DISK = {
    "path": "/var/lib/docker",
    "size_bytes": 100 * GB,
    "used_bytes": 71 * GB,
    "marks": [{"policy": "when-full", "high": 85 * GB, "low": 75 * GB}],
}


def text(lines: list[Line]) -> list[str]:
    return ["".join(text for text, _ in line).rstrip() for line in lines]


def drawn(what: Snapshot, view: View | None = None, display: Display = DISPLAY, height: int = 30) -> list[str]:
    return text(screen(what, view or View(), display, height))


def test_the_head_tells_the_host_and_who_reads() -> None:
    lines = drawn(snapshot(row(), stopped("old")))
    assert lines[0] == "watchd top  1 of 2 running, host1, engine 28.5.2, source cgroup, by the daemon"
    assert lines[1].startswith("CPU    ██████░")
    assert "25%  1.00 of 4 cores" in lines[1]
    assert "20%  1.86GiB of 9.31GiB" in lines[2]


def test_the_head_tells_of_containers_that_are_ill() -> None:
    ill = row("sick", health="unhealthy"), row("loops", state="restarting"), stopped("old", exit_code=1)
    assert drawn(snapshot(row(), *ill))[0].startswith("watchd top  2 of 4 running, 2 unhealthy or restarting, host1")


def test_the_head_without_a_daemon() -> None:
    lines = drawn(snapshot(row(), by_daemon=False))
    assert "without a daemon" in lines[0]
    assert lines[3] == "Next   not known: no daemon answers on this state directory"


def test_a_disk_with_its_marks() -> None:
    (line,) = (line for line in drawn(snapshot(row(), disks=[DISK])) if line.startswith("Disk"))
    assert line == "Disk   █████████████████░│░│░░░  71%  71GB of 100GB /var/lib/docker  when-full 85% to 75%"


@pytest.mark.parametrize(
    ("run", "line"),
    [
        (RUN, "in 5h 16m: would remove 3 containers and 1 build cache, about 1.01MB (exited, images)"),
        ({**RUN, "would_remove": {}}, "in 5h 16m: would remove nothing (exited, images)"),
        (
            {**RUN, "would_remove": {}, "would_report": {"image": {"count": 2, "bytes": 5_000, "at_least": False}}},
            "in 5h 16m: would remove nothing, would only report 2 images, about 5kB (exited, images)",
        ),
        (
            {**RUN, "would_remove": {"volume": {"count": 2, "bytes": 5_000, "at_least": True}}},
            "in 5h 16m: would remove 2 volumes, at least 5kB (exited, images)",
        ),
        (
            {**RUN, "would_remove": {"volume": {"count": 1, "bytes": None, "at_least": True}}},
            "in 5h 16m: would remove 1 volume, of unknown size (exited, images)",
        ),
        ({**RUN, "at": None}, "no policy has a schedule"),
        (None, "not known yet"),
    ],
)
def test_the_next_run(run: dict[str, Any] | None, line: str) -> None:
    assert f"Next   {line}" in drawn(snapshot(row(), next_run=run))


def test_a_row() -> None:
    told = row(
        "web", throttled=0.5, cpu_limit_cores=2.0, memory_limit_bytes=200_000_000, restarts=2, compose_project="shop"
    )
    points: list[float | None] = [0.0, 0.5, 1.0]
    used: list[float | None] = [0.0, 100_000_000.0, 200_000_000.0]
    lines = drawn(
        snapshot(told, tails={"id-of-web": tail(cpu_cores=points, memory_bytes=used)}), display=Display(NOW, 170)
    )
    head = next(number for number, line in enumerate(lines) if line.startswith("NAME"))
    assert " ".join(lines[head].split()) == (
        "NAME STATE CORES CPU MEMORY LIMIT MEM% MEM NET RX NET TX READ WRITE PROCS RESTARTS UP AGE PROJECT"
    )
    assert " ".join(lines[head + 1].split()) == (
        "web running 0.50/2! ▁▄█ 95.4MiB 191MiB 50.0% ▁▄█ 1kB 2kB 0B 4.1kB 3 2 1h 2h shop"
    )


@pytest.mark.parametrize(
    ("told", "state", "style"),
    [
        (row(), "running", ""),
        (row(health="healthy"), "healthy", "good"),
        (row(health="unhealthy"), "unhealthy", "bad"),
        (row(health="starting"), "starting", "warn"),
        (row(state="paused"), "paused", "dim"),
        (row(state="restarting"), "restarting", "bad"),
        (stopped("x"), "exited 0", "dim"),
        (stopped("x", exit_code=137), "exited 137", "warn"),
        (stopped("x", exit_code=137, oom_killed=True), "oom killed", "bad"),
        (stopped("x", state="created", exit_code=None), "created", "dim"),
    ],
)
def test_states(told: dict[str, Any], state: str, style: str) -> None:
    line = table([told], snapshot(told), View(), DISPLAY)[1]
    assert (line[1][0].strip(), line[1][1]) == (state, style)


@pytest.mark.parametrize(
    ("points", "limit", "blocks"),
    [([5.0, 5.0], None, "▄▄"), ([5.0, 10.0], None, "▄█"), ([5.0, 20.0], None, "▂█"), ([5.0, 5.0], 40, "▁▁")],
)
def test_constant_memory_is_not_drawn_as_full(points: list[float | None], limit: int | None, blocks: str) -> None:
    told = row(memory_limit_bytes=limit)
    lines = drawn(snapshot(told, tails={told["id"]: tail(memory_bytes=points)}))
    assert blocks in lines[-2 if len(lines) == 2 else [line.startswith("NAME") for line in lines].index(True) + 1]


def test_without_a_limit_memory_is_a_share_of_the_hosts() -> None:
    told = row(memory_bytes=9_500_000_000)
    line = table([told], snapshot(told), View(), DISPLAY)[1]
    assert [(text.strip(), style) for text, style in line if "%" in text] == [("95.0%", "bad")]


def test_of_one_that_ended_there_is_no_zero() -> None:
    line = text(table([stopped("old")], snapshot(stopped("old")), View(), DISPLAY))[1]
    assert line.split() == ["old", "exited", "0", "0", "2h"]


@pytest.mark.parametrize(("columns", "last"), [(40, "MEMORY"), (80, "UP"), (200, "AGE")])
def test_columns_that_have_no_room_are_left_out(columns: int, last: str) -> None:
    lines = drawn(snapshot(row()), display=Display(NOW, columns))
    (head,) = (line for line in lines if line.startswith("NAME"))
    assert head.split()[-1] == last


@pytest.mark.parametrize("columns", range(40, 161))
def test_the_last_column_is_whole_also_where_it_ends_at_the_edge(columns: int) -> None:
    told = row("running0", started_at=NOW - 411)
    (whole,) = text(table([told], snapshot(told), View(), Display(NOW)))[1:]
    lines = drawn(snapshot(told), display=Display(NOW, columns))
    (head,) = (number for number, line in enumerate(lines) if line.startswith("NAME"))
    assert "~" not in lines[head] + lines[head + 1]
    assert set(lines[head + 1].split()) <= set(whole.split())


def test_where_a_wide_column_has_no_room_a_narrower_one_has_it() -> None:
    told = row("a-container-with-a-long-name", compose_project="a-project-with-quite-a-long-name")
    lines = drawn(snapshot(told, tails={told["id"]: tail(cpu_cores=[0.5, 0.5])}), display=Display(NOW, 120))
    (head,) = (line for line in lines if line.startswith("NAME"))
    assert "PROJECT" not in head
    assert {"CPU", "LIMIT"} <= set(head.split())


@pytest.mark.parametrize(
    ("columns", "name"), [(200, "shop-a-very-long-ser~-customers-of-one-1"), (80, "shop-a-very-~rs-of-one-1")]
)
def test_a_long_name_is_cut_in_its_middle_before_a_column_is_lost(columns: int, name: str) -> None:
    rows = [row("shop-a-very-long-service-name-that-does-something-for-other-customers-of-one-1"), row("web")]
    lines = drawn(snapshot(*rows), display=Display(NOW, columns))
    (head,) = (number for number, line in enumerate(lines) if line.startswith("NAME"))
    assert {"CORES", "MEMORY", "NET", "RX", "TX"} <= set(lines[head].split())
    assert [line.split()[0] for line in lines[head + 1 : head + 3]] == [name, "web"]


def test_groups_have_their_sums() -> None:
    logs = ({"log_bytes": 5_000_000}, {"log_bytes": 2_000_000})
    a, b = (row(name, compose_project="shop", **log) for name, log in zip("ab", logs, strict=True))
    rows = [a, {**b, "memory_bytes": None}, row("alone")]
    lines = drawn(snapshot(*rows), View(is_grouped=True), Display(NOW, 200))
    (head,) = (number for number, line in enumerate(lines) if line.startswith("NAME"))
    group, first, second, last = (line.split() for line in lines[head + 1 : head + 5])
    assert group[:5] == ["shop", "(2)", "running", "1.00", "95.4MiB"]
    assert "7MB" in group
    assert (first[0], second[0], last[0]) == ("a", "b", "alone")
    assert [line.startswith("  ") for line in lines[head + 1 : head + 5]] == [False, True, True, False]
    assert "PROJECT" not in lines[head], "the row of a project has its name"
    assert lines[-1].startswith("by CPU  grouped by project")


def test_the_foot_tells_what_is_chosen() -> None:
    rows = [row(f"web{number:03}") for number in range(100)]
    view = View(sort="N", is_reversed=True, text="web", shows_all=True, first=20)
    lines = drawn(snapshot(*rows), view, height=25)
    assert lines[-1] == "by name, reversed  with 'web'  all  21 to 39 of 100  a all  ? help  q quit"
    assert sum(line.startswith("web") for line in lines) == 19
    assert drawn(snapshot(*rows), View(is_typing=True, text="we"))[-1] == "/we_  enter keeps it, escape ends it"
    assert drawn(snapshot(*rows, error="no daemon any more"))[-1] == "no daemon any more"


def test_help_fits_on_a_small_screen() -> None:
    lines = drawn(snapshot(row(), disks=[DISK]), View(shows_help=True), Display(NOW, 100), 24)
    assert any(line.startswith("by   c CPU, m memory, n network, d disk") for line in lines)
    assert any(line.startswith("Disk: marks are") for line in lines)
    assert "web" not in "".join(lines[6:])


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (snapshot(), "there is no container"),
        (snapshot(stopped("old")), "no container runs: a shows all"),
    ],
)
def test_an_empty_table_says_why(what: Snapshot, said: str) -> None:
    assert said in drawn(what)
    assert "no container has 'x' in its name, image or project" in drawn(snapshot(row()), View(text="x"))


def test_before_anything_is_known() -> None:
    assert drawn(Snapshot())[0] == "watchd top"


def test_names_that_command_the_terminal_are_harmless() -> None:
    evil = "\x1b[2J\x1b]0;owned\x07\r\n"
    told = row(evil, compose_project=evil, image=evil, health=evil)
    what = snapshot(told, disks=[{**DISK, "path": evil}], next_run={**RUN, "policies": [evil]}, error=evil)
    assert all(line.isprintable() for line in drawn(what, View(text=evil)) + drawn(what))


def test_wide_names_keep_the_columns_in_line() -> None:
    rows = [row("商店"), row("shop")]
    lines = table(rows, snapshot(*rows), View(), DISPLAY)
    assert len({width(line[0][0]) for line in lines}) == 1


def test_ascii_alone_where_the_terminal_has_nothing_else() -> None:
    what = snapshot(row(compose_project="商店"), disks=[DISK], tails={"id-of-web": tail(cpu_cores=[0.1, 0.2])})
    assert "".join(drawn(what, display=Display(NOW, 200, ascii_only=True))).isascii()


@given(
    st.integers(1, 300),
    st.integers(1, 60),
    st.integers(0, 40),
    st.builds(View, shows_help=st.booleans(), first=st.just(7)),
)
def test_it_never_leaves_the_screen(columns: int, height: int, count: int, view: View) -> None:
    rows = [row(f"web{number}", compose_project="商店") for number in range(count)]
    lines = screen(snapshot(*rows, disks=[DISK], next_run=RUN), view, Display(NOW, columns), height)
    assert len(lines) <= height
    assert all(sum(width(text) for text, _ in line) <= columns for line in lines)


def test_printed_to_a_file_nothing_is_cut_and_all_are_there() -> None:
    name = "a" * 200
    lines = text(printout(snapshot(row(name), stopped("old")), Display(NOW)))
    assert lines[-2].startswith(name)
    assert lines[-1].startswith("old ")
    assert lines[0].startswith("watchd top")


def test_printed_to_a_terminal_it_fits() -> None:
    lines = printout(snapshot(row("a" * 200), disks=[DISK], next_run=RUN), Display(NOW, 60))
    assert max(sum(width(text) for text, _ in line) for line in lines) <= 60


def test_three_hundred_containers_are_drawn_at_once() -> None:
    rows = [row(f"web{number}", cpu_cores=number / 100, compose_project="shop") for number in range(300)]
    points: list[float | None] = [number / 10 for number in range(20)]
    tails = {each["id"]: tail(cpu_cores=points, memory_bytes=points) for each in rows}
    lines = drawn(snapshot(*rows, tails=tails), display=Display(NOW, 200), height=50)
    assert lines[-1].endswith("1 to 44 of 300  a all  ? help  q quit")
