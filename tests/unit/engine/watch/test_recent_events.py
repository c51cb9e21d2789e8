"""The last events, for who looks on."""

from dataclasses import replace

from tests.unit.cleanup.builders import container
from watchd.engine.watch.mirror import NOT_LISTED
from watchd.engine.watch.recent_events import CONTAINER_NAME, HEALTH, MOST, LastEvents
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


def test_a_change_of_health_has_the_new_one() -> None:
    sick = replace(container("web"), health="unhealthy")
    last = LastEvents()
    last.on_events(
        [Event("container", "health_status", sick.id, 1)],
        NOT_LISTED,
        replace(NOT_LISTED, containers=(sick,)),
        listed=False,
    )
    last.on_events(
        [Event("container", "start", sick.id, 2)], NOT_LISTED, replace(NOT_LISTED, containers=(sick,)), listed=False
    )
    assert [each.attributes.get(HEALTH) for each in last.current()] == [None, "unhealthy"]


def test_events_of_networks_have_the_name_of_their_container() -> None:
    web = container("web")
    told = replace(NOT_LISTED, containers=(web,))
    last = LastEvents()
    joined = Event("network", "connect", "n1", 1, {"name": "front", "container": web.id, "type": "bridge"})
    last.on_events([joined], NOT_LISTED, told, listed=False)
    last.on_events([joined], told, NOT_LISTED, listed=False)  # it has gone meanwhile
    last.on_events([joined], NOT_LISTED, NOT_LISTED, listed=False)
    names = [each.attributes.get(CONTAINER_NAME) for each in last.current()]
    assert names == [None, "web", "web"]
    assert "type" not in last.current()[0].attributes
