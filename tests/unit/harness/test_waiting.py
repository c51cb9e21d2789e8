"""Waits: what their errors say."""

import itertools

import pytest

from tests.harness.waiting import settled, wait_until


def message(condition: object) -> list[str]:
    assert callable(condition)
    with pytest.raises(TimeoutError) as error:
        wait_until(condition, seconds=0, what="it")
    return str(error.value).splitlines()[1:]


def test_the_values_that_a_condition_compares_are_told() -> None:
    there, log = ["web", "job"], "x" * 1000 + "the end"
    assert message(lambda: there == ["web"]) == ["there is ['web', 'job']"]
    assert message(lambda: len(there) > 5 or not 1 < len(there) < 3) == ["len(there) is 2", "len(there) is 2"]
    (told,) = message(lambda: "started" in log)
    assert told.startswith("log is ... xxx")
    assert told.endswith("the end")
    for name in ("web",):
        assert message(lambda name=name: name == "other") == ["name is web"]


def test_else_what_it_returned_unless_that_is_only_false() -> None:
    there = ["web"]
    assert message(lambda: [name for name in there if name == "job"]) == ["it is []"]
    assert message(lambda: None) == ["it is None"]
    assert message(lambda: False) == []
    assert message(bool) == []


def test_a_value_has_settled_when_it_stays() -> None:
    values = itertools.chain([1, 2, 1, 3], itertools.repeat(4))
    assert settled(lambda: next(values), still=0.1, seconds=5, what="the values") == 4
    with pytest.raises(TimeoutError, match="the count to settle"):
        settled(itertools.count().__next__, still=0.05, seconds=0, what="the count")
