"""The last events, for who looks on."""

from watchd.engine.last_events import MOST, LastEvents
from watchd.model import Event


def event(number: int, action: str = "start") -> Event:
    return Event("container", action, f"c{number}", number)


def test_the_last_ones_are_kept_the_newest_first() -> None:
    last = LastEvents()
    last.happened([event(number) for number in range(MOST)])
    last.happened([event(MOST), event(MOST + 1)])
    assert [each.time_nano for each in last.current()] == list(range(MOST + 1, 1, -1))


def test_health_probes_push_nothing_out() -> None:
    last = LastEvents()
    last.happened([event(0)])
    for number in range(MOST):
        last.happened([event(number, action) for action in ("exec_create", "exec_start", "exec_die")])
    assert [each.action for each in last.current()] == ["start"]
