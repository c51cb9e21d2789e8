"""How fast writable layers and logs grow."""

from watchd.metrics.recent.growth import Growth


def test_growth_is_told_by_the_hour() -> None:
    growth = Growth()
    growth.take({"web": 100}, 0.0)
    assert growth.per_hour("web") is None
    growth.take({"web": 10_000}, 10.0)  # too soon to tell
    assert growth.per_hour("web") is None
    growth.take({"web": 700, "new": 5}, 1800.0)
    assert growth.per_hour("web") == 1200
    assert growth.per_hour("new") is None
    assert growth.per_hour("gone") is None


def test_what_was_before_the_last_hour_is_forgotten() -> None:
    growth = Growth()
    for hour in range(5):
        growth.take({"web": 1000 if hour else 0}, hour * 3600.0)
    growth.take({}, 20_000.0)
    assert growth.per_hour("web") == 0
    assert len(growth._looks) == 2
