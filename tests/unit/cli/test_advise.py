"""`watchd advise`: what it prints, and what it says where it cannot."""

import json
import time
import tomllib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.harness.command import watchd_here
from tests.unit.cleanup.builders import DAY
from tests.unit.cleanup.past.lives import layered, life, past, record_into, run
from watchd.store import Store

SETTINGS = """
[state]
directory = "{state}"
[cleanup]
schedule = "12h"
"""
Advise = Callable[..., CompletedProcess[str]]


@pytest.fixture
def advise(tmp_path: Path) -> Advise:
    """Return the command, on a state of 20 days with 40 images, of which one is used every four days."""
    record = past(
        *(life(layered(f"once-{number}", 1_000_000), number * DAY / 10) for number in range(40)),
        life(layered("app", 1_000_000), 0),
        *(run("app", at * DAY, at * DAY + 60, left=at * DAY + 60) for at in range(1, 20, 4)),
        watched=[(0.0, 20 * DAY)],
    )
    with closing(Store.open(tmp_path / "state")) as store:
        record_into(store, record, ends=time.time())
    (tmp_path / "watchd.toml").write_text(SETTINGS.format(state=tmp_path / "state"))
    return lambda *options: watchd_here("advise", "-c", tmp_path / "watchd.toml", *options)


def test_it_recommends_the_smallest_threshold_and_its_policy_can_be_pasted(advise: Advise, tmp_path: Path) -> None:
    result = advise("--kind", "image", "--json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert {"since", "until", "unwatched_seconds", "kinds"} <= found.keys()
    assert found["kinds"].keys() == {"image"}
    recommended = found["kinds"]["image"]["recommended"]
    assert recommended["seconds"] == 5 * DAY
    assert tomllib.loads(recommended["toml"])["cleanup"]["policies"][0]["when"] == {"unused_for": "5d"}
    with (tmp_path / "watchd.toml").open("a") as file:
        file.write(recommended["toml"])
    assert watchd_here("config", "check", "-c", tmp_path / "watchd.toml").returncode == 0
    assert [line for line in advise("--kind", "image").stdout.splitlines() if "recommended, today" in line]


def test_more_regrets_allow_a_smaller_one(advise: Advise) -> None:
    shown = advise("--kind", "image", "--regrets", "5").stdout
    assert 'when.unused_for = "1h"' in shown


def test_kinds_of_which_too_little_is_known_get_no_advice(advise: Advise) -> None:
    shown = advise()
    assert shown.returncode == 0
    assert shown.stdout.count("Too little is known to recommend anything") == 1, "once for all"
    heading, *_ = shown.stdout.partition("\n  Too little is known")[0].splitlines()[::-1]
    assert heading == "Containers, networks and volumes"
    assert "\nImages\n" in shown.stdout


@pytest.mark.parametrize(
    ("options", "told"),
    [(("--kind", "build_cache"), "--kind"), (("--regrets", "-1"), "--regrets"), (("--since", "soon"), "--since")],
)
def test_wrong_options_are_told(advise: Advise, options: tuple[str, ...], told: str) -> None:
    result = advise(*options)
    assert (result.returncode, told in result.stderr) == (2, True)
