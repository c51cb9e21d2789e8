"""Advice for the page: worked out by a process of its own, one at a time, and kept."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.harness.waiting import wait_until
from tests.unit.cleanup.builders import DAY
from tests.unit.cleanup.past.lives import layered, life, past, record_into
from watchd.api import advising
from watchd.api.advising import Advising
from watchd.store import Store


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Advising]:
    (tmp_path / "watchd.toml").write_text('state.directory = "/elsewhere"\n')
    made = Advising(tmp_path / "state", tmp_path / "watchd.toml")
    yield made
    made.stop()
    made._pool.shutdown()


@pytest.fixture
def instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Have a shell script run instead of Python. Return the file that has a line for each start."""

    def run(script: str) -> Path:
        program, starts = tmp_path / "program", tmp_path / "starts"
        program.write_text(f'#!/bin/sh\necho "$@" >> {starts}\n{script}\n')
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))
        return starts

    return run


def now(of: Advising) -> Any:
    return json.loads(of.answer().body)


def ended(of: Advising) -> Any:
    """Return the answer once nothing is being worked out."""
    wait_until(lambda: now(of)["state"] != "computing", seconds=60, what="the end of the process")
    return now(of)


def test_it_is_what_the_command_tells_of_the_daemons_own_state(asked: Advising, tmp_path: Path) -> None:
    record = past(
        *(life(layered(f"once-{number}", 1_000_000), number * DAY / 10) for number in range(40)),
        watched=[(0.0, 20 * DAY)],
    )
    with closing(Store.open(tmp_path / "state")) as store:
        record_into(store, record, ends=time.time())
        first = now(asked)
        assert (first["state"], first["advice"], first["error"]) == ("computing", None, None)
        answer = ended(asked)
    assert (answer["state"], answer["error"]) == ("ready", None)
    assert answer["computed_at"] >= answer["started_at"] == first["started_at"]
    images = answer["advice"]["kinds"]["image"]
    assert images["recommended"]["seconds"] == 3600
    assert images["note"] is None
    assert answer["advice"]["kinds"]["volume"]["note"].startswith("Too little is known to recommend anything.")


def test_what_the_command_says_is_wrong_is_told(asked: Advising, tmp_path: Path) -> None:
    answer = ended(asked)
    assert (answer["state"], answer["advice"]) == ("failed", None)
    assert answer["error"] == f"{tmp_path}/state has no record yet: `watchd run` keeps one while it watches an engine"


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("kill -9 $$", "its process was killed, perhaps since memory ran out: `watchd advise` on the host tells more"),
        ("echo 1st >&2; echo Error >&2; exit 1", "its process failed (Error): `watchd advise` on the host tells more"),
        ("echo {; exit 0", "its process failed (exit code 0): `watchd advise` on the host tells more"),
        ("printf 'Note: x\\nwatchd: wrong:\\n  a: b\\n' >&2; exit 2", "wrong: a: b"),
    ],
)
def test_a_failure_is_told(asked: Advising, instead: Callable[[str], Path], script: str, told: str) -> None:
    instead(script)
    assert ended(asked)["error"] == told


def test_a_program_that_cannot_be_started_is_a_failure(asked: Advising, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert "no process can be started" in ended(asked)["error"]


def test_a_process_that_takes_too_long_is_killed(
    asked: Advising, instead: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advising, "TIMEOUT", 0.2)
    instead("sleep 1000 & sleep 1000")
    assert "longer than" in ended(asked)["error"]


def test_nothing_is_started_before_someone_asks_and_then_once(
    asked: Advising, instead: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = instead("echo '{\"kinds\": {}}'")
    assert not starts.exists()
    assert ended(asked)["advice"] == {"kinds": {}}
    command = f"-P -m watchd.cli.background advise --json -c {tmp_path}/watchd.toml"
    assert starts.read_text().splitlines() == [command]
    monkeypatch.setattr(advising, "KEPT_FOR", 0.0)
    now(asked)
    monkeypatch.setattr(advising, "KEPT_FOR", 60.0)
    ended(asked)
    assert starts.read_text().splitlines() == [command] * 2


def test_a_failure_is_kept_for_a_shorter_time(
    asked: Advising, instead: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = instead("exit 1")
    ended(asked)
    ended(asked)
    assert len(starts.read_text().splitlines()) == 1
    monkeypatch.setattr(advising, "FAILURE_KEPT_FOR", 0.0)
    now(asked)
    monkeypatch.setattr(advising, "FAILURE_KEPT_FOR", 60.0)
    ended(asked)
    assert len(starts.read_text().splitlines()) == 2


def test_a_reload_ends_what_is_under_way_and_the_next_request_begins_anew(
    asked: Advising, instead: Callable[[str], Path], tmp_path: Path
) -> None:
    go_on, waits = tmp_path / "go-on", tmp_path / "waits"
    starts = instead(f"[ -e {go_on} ] && echo '{{}}' && exit; touch {waits}; sleep 1000")
    now(asked)
    wait_until(waits.exists, seconds=60, what="the first process")
    go_on.touch()
    assert now(asked)["state"] == "computing"
    asked.forget()
    answer = ended(asked)
    assert (answer["state"], answer["advice"]) == ("ready", {})
    assert len(starts.read_text().splitlines()) == 2
    asked.forget()
    ended(asked)
    assert len(starts.read_text().splitlines()) == 3, "nothing is kept of before"


def test_one_that_was_dropped_before_its_turn_is_never_started(
    asked: Advising, instead: Callable[[str], Path], tmp_path: Path
) -> None:
    waits = tmp_path / "waits"
    starts = instead(f"touch {waits}; sleep 1000")
    now(asked)
    wait_until(waits.exists, seconds=60, what="the first process")
    attempt = advising._Attempt()
    attempt.cancel()
    attempt.run(("advise",), {})
    assert len(starts.read_text().splitlines()) == 1
