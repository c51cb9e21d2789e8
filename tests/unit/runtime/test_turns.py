"""Long work waits while something urgent is done."""

import threading

import pytest

from watchd.runtime import turns


def _steps(done: list[int]) -> None:
    for step in range(3):
        turns.give_way()
        done.append(step)


def test_long_work_waits_until_all_urgent_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LONGEST", 600)
    done: list[int] = []
    long_work = threading.Thread(target=_steps, args=(done,))
    with turns.urgent():
        with turns.urgent():
            long_work.start()
        assert not done  # the outer one is not done
    long_work.join()
    assert done == [0, 1, 2]


def test_long_work_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LONGEST", 0.01)
    done: list[int] = []
    with turns.urgent():
        _steps(done)
    assert done == [0, 1, 2]


def test_urgent_work_that_fails_lets_others_go_on() -> None:
    with pytest.raises(ValueError, match="urgent"), turns.urgent():
        raise ValueError("urgent")
    done: list[int] = []
    _steps(done)
    assert not turns._urgent
    assert done == [0, 1, 2]
