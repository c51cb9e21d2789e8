"""The state of planning: what is left of a host, of its disk and of the limits of a run."""

from typing import Any

import pytest

from tests.unit.cleanup.builders import NOW, cleanup, container, disk, disks, image, untagged, view
from watchd.cleanup.plan.host import Host
from watchd.cleanup.plan.plan import Decision
from watchd.cleanup.plan.reasons import Reason
from watchd.cleanup.plan.simulation import Cascade, Simulation
from watchd.model import Subject

BASE = untagged("base", size=30)
CHILD = image("child", parent="base", shared_size=10, size=30)
JOB = container("job", of="child", size_rw=5)


def simulated(**settings: Any) -> Simulation:
    look = view(BASE, CHILD, JOB, disks=disks(disk(90)))
    return Simulation(Host.index(look, cleanup(**settings), {}, NOW))


def going(*subjects: Subject) -> Cascade:
    return [(subject, Decision(removes=True, reason=Reason.UNUSED_TOO_LONG, facts={})) for subject in subjects]


def test_what_is_removed_is_no_user_no_child_and_on_no_disk() -> None:
    simulation = simulated()
    assert ([user.id for user in simulation.users(CHILD)], simulation.children(BASE)) == ([JOB.id], [CHILD.id])
    assert simulation.classes(BASE) == {"untagged"}
    assert simulation.remove(going(JOB))
    assert simulation.remove(going(CHILD))
    assert (simulation.users(CHILD), simulation.children(BASE)) == ([], [])
    assert simulation.classes(BASE) == {"untagged", "dangling"}
    left = simulation.disk("image")
    assert left is not None
    assert left.used == 90 - 5 - 20


@pytest.mark.parametrize("limit", [{"max_items": 1}, {"max_bytes": "49B"}])
def test_what_exceeds_a_limit_as_a_whole_changes_nothing(limit: dict[str, Any]) -> None:
    simulation = simulated(**limit)
    assert not simulation.remove(going(CHILD, BASE))
    assert (simulation.removed, simulation.disk("image")) == ({}, disk(90))
    assert simulation.remove(going(CHILD)), "the limit has not been used up"


def test_a_copy_changes_nothing_of_its_original() -> None:
    simulation = simulated(max_items=1)
    trial = simulation.copy()
    assert trial.remove(going(JOB))
    assert (simulation.removed, simulation.disk("image")) == ({}, disk(90))
    assert simulation.remove(going(CHILD))
    assert CHILD.key not in trial.removed
