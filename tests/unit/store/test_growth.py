"""Queries for each event and each run: they take no longer when the record has grown."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.store.test_store import ENGINE, put, removal
from watchd.model import Key, Observation
from watchd.model.history.timeline import Came, Left, Step, Use, Used
from watchd.store import Removal, Store

SMALL, LARGE = 200, 4000  # removals, lives and objects in report mode


def grown(directory: Path, count: int) -> Store:
    """Return a record with so many volumes and images that came and went, and other images that are there."""
    store = Store.open(directory)
    numbers = range(count)
    store.record_steps(ENGINE, [step for number in numbers for step in life(f"v{number}")])
    went = [gone(f"v{number}") for number in numbers]
    former = [replace(each, kind="image", id=f"sha256:former-{each.name}") for each in went]
    store.record_outcomes(store.record_all(went + former), [("removed", "")] * 2 * count)
    store.record_reported(replace(each, mode="report") for each in went)
    put(store, {("image", f"sha256:{number}"): Observation(1.0, 1.0) for number in range(50)})
    return store


def gone(name: str) -> Removal:
    return replace(removal(name), kind="volume", id=name, names=(name,), action="remove", marks=(f"volume {name}",))


def life(name: str) -> Sequence[Step]:
    key: Key = ("volume", f"{name} 1.0")
    return Came(key, 1.0, "created", "{}"), Used(key, Use(2.0, 3.0)), Left(key, 4.0)


def steps(store: Store, do: Callable[[Store], object]) -> int:
    """Return the instructions of SQLite's machine that something takes, in hundreds."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    store._connection.set_progress_handler(step, 100)
    do(store)
    store._connection.set_progress_handler(None, 0)
    return count


@pytest.mark.parametrize(
    "do",
    [
        lambda store: store.gone(ENGINE, {"volume v7", "volume v8", "image a"}),
        lambda store: store.came_back(ENGINE),
        lambda store: store.absences(ENGINE, [("volume", "v7"), ("volume", "new")]),
        lambda store: store.unsettled(ENGINE),
        lambda store: store.record_steps(ENGINE, life("new")),
        lambda store: store.record_outcomes(store.record_all([gone("new")]), [("removed", "")]),
        lambda store: store.end_absences([(7, 2000.0, "it is used")], 1e6),
        lambda store: store.arrivals(ENGINE, since=0.0),
        lambda store: store.last_runs(),
        lambda store: store.record_freed("plan", 1.0, {"/": 1}),
    ],
    ids=[
        "needs", "lists", "reports", "recovery", "lives", "removals", "regrets", "arrivals", "last runs", "freed",
    ],
)  # fmt: skip
def test_it_takes_as_many_steps_however_much_is_on_record(tmp_path: Path, do: Callable[[Store], object]) -> None:
    taken = []
    for count in (SMALL, LARGE):
        with closing(grown(tmp_path / str(count), count)) as store:
            taken.append(steps(store, do))
    assert taken[1] <= taken[0] + 10, "thousands of instructions"
