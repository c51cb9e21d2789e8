"""`watchd backtest`: what it prints, and what it says where it cannot."""

import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.harness.command import watchd_here
from tests.unit.cleanup.builders import DAY
from tests.unit.cleanup.past.lives import layered, life, past, record_into, run
from watchd.model.history.timeline import Came
from watchd.store import Notes, Store

POLICIES = """
[state]
directory = "{state}"
[cleanup]
schedule = "1h"
[[cleanup.policies]]
name = "unused"
kind = "image"
when.unused_for = "{days}d"
[[cleanup.policies]]
name = "cache"
kind = "build_cache"
when.unused_for = "1d"
"""
Backtest = Callable[..., CompletedProcess[str]]


@pytest.fixture
def backtest(tmp_path: Path) -> Backtest:
    """Return the command, on a state of 20 days in which an image was used once a week."""
    record = past(
        life(layered("app", 1_000_000), 0),
        *(run("app", at * DAY, at * DAY + 60, left=at * DAY + 60) for at in (1, 8, 15)),
        watched=[(0.0, 20 * DAY)],
    )
    with closing(Store.open(tmp_path / "state")) as store:
        record_into(store, record, ends=time.time())
    for days in (3, 9):
        (tmp_path / f"{days}d.toml").write_text(POLICIES.format(state=tmp_path / "state", days=days))
    return lambda *options: watchd_here("backtest", "-c", tmp_path / "3d.toml", *options)


def as_json(result: CompletedProcess[str]) -> Any:
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_it_tells_what_would_have_gone_and_what_of_it_was_needed_again(backtest: Backtest) -> None:
    shown = backtest()
    assert shown.returncode == 0
    assert "unused  image  3        3MB   2        2MB            1" in shown.stdout
    assert "As if enforced: unused (in report mode now)." in shown.stdout
    assert "Not judged: cache." in shown.stdout
    assert "container app-691200.0 was started" in shown.stdout
    assert "Note: the record is only 20d long." in shown.stderr
    start = shown.stdout.splitlines().index("DISK SPACE             CONTAINERS  IMAGES  VOLUMES  ALL")
    names = [line.partition("  ")[0] for line in shown.stdout.splitlines()[start + 1 : start + 5]]
    assert names == ["mean without policies", "peak without policies", "mean with policies", "peak with policies"]


def test_json_has_the_times_of_what_went(backtest: Backtest) -> None:
    found = as_json(backtest("--json"))
    assert found.keys() == {"since", "until", "unwatched_seconds", "regret_window_seconds", "policies", "usage"}
    (policy,) = found["policies"]
    assert (policy["name"], policy["mode"], len(policy["removed"])) == ("unused", "report", 3)
    assert {"removed_at", "needed_at", "id", "name", "bytes"} <= policy["regrets"][0].keys()
    assert found["usage"]["without"]["mean_bytes"] == 1_000_000
    assert found["usage"]["with"]["mean_bytes"] < 700_000


def test_two_settings_stand_side_by_side(backtest: Backtest, tmp_path: Path) -> None:
    found = as_json(backtest("--against", tmp_path / "9d.toml", "--json"))
    assert [len(each["policies"][0]["removed"]) for each in found] == [3, 0]
    shown = backtest("--against", tmp_path / "9d.toml").stdout
    assert f"mean with {tmp_path / '9d.toml'}" in shown


def test_since_leaves_out_what_was_before(backtest: Backtest) -> None:
    found = as_json(backtest("--since", "10d", "--json"))
    assert len(found["policies"][0]["removed"]) == 2


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (("--policy", "nope"), 2, "there is no policy 'nope'"),
        (("--since", "soon"), 2, "--since: 'soon' is neither"),
        (("--since", "2999-01-01"), 1, "nothing was watched since 2999-01-01"),
        (("--against", "/nowhere.toml"), 2, "/nowhere.toml"),
    ],
)
def test_what_it_cannot_do_it_says(backtest: Backtest, options: tuple[str, ...], code: int, told: str) -> None:
    result = backtest(*options)
    assert (result.returncode, told in result.stderr) == (code, True), result.stderr


def test_without_a_record_it_says_what_keeps_one(backtest: Backtest, tmp_path: Path) -> None:
    for path in (tmp_path / "state").iterdir():
        path.unlink()
    result = backtest()
    assert (result.returncode, "`watchd run` keeps one" in result.stderr) == (1, True)
    with closing(Store.open(tmp_path / "state")) as store:
        assert "has no timeline yet" in backtest().stderr
        store.record_steps("engine-1", [Came(("volume", "data "), time.time(), "create", "{}")])
        store.note("engine-1", time.time(), Notes(), shift=lambda _: 0.0, unwatched=lambda _: 0.0)
    result = backtest()  # of a daemon that has noted once that it watches
    assert (result.returncode, "not enough watched yet" in result.stderr) == (1, True), result.stderr


def test_it_writes_nothing(backtest: Backtest, tmp_path: Path) -> None:
    database = tmp_path / "state" / "watchd.db"
    before = database.read_bytes()
    backtest()
    assert database.read_bytes() == before
