"""The last events, for who looks on."""

from watchd.engine.watch.mirror import NOT_LISTED
from watchd.engine.watch.recent_events import MOST, LastEvents
from watchd.model import Event


def event(number: int, action: str = "start") -> Event:
    return Event("container", action, f"c{number}", number)


def test_the_last_ones_are_kept_the_newest_first() -> None:
    last = LastEvents()
    last.on_events([event(number) for number in range(MOST)], NOT_LISTED, NOT_LISTED, listed=False)
    last.on_events([event(MOST), event(MOST + 1)], NOT_LISTED, NOT_LISTED, listed=False)
    assert [each.time_nano for each in last.current()] == list(range(MOST + 1, 1, -1))


def test_health_probes_push_nothing_out() -> None:
    last = LastEvents()
    last.on_events([event(0)], NOT_LISTED, NOT_LISTED, listed=False)
    for number in range(MOST):
        last.on_events(
            [event(number, action) for action in ("exec_create", "exec_start", "exec_die")],
            NOT_LISTED,
            NOT_LISTED,
            listed=False,
        )
    assert [each.action for each in last.current()] == ["start"]
