"""Which source is chosen: the one that most of the first running containers can be read from."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from watchd.metrics.auto_source import AutoSource
from watchd.metrics.source import Reading
from watchd.metrics.usage import Usage
from watchd.model import Container

NOW = 1_800_000_000.0
OWN = "own"


class _Source:
    """Reads the containers that it is said to; others are failures, or just not there."""

    def __init__(self, name: str, readable: str, failing: str = "") -> None:
        self.name = name
        self.errors: Counter[str] = Counter()
        self.closed = False
        self._readable, self._failing = readable.split(), failing.split()

    def read(self, containers: Sequence[Container], now: float) -> Mapping[str, Reading]:
        self.errors["cgroup"] += sum(container.id in self._failing for container in containers)
        return {one.id: Reading(Usage(), now, None) for one in containers if one.id in self._readable}

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("readable", "failing", "chosen"),
    [
        ("a b c", "", "cgroup"),
        ("a b", "c", "cgroup"),  # one that is odd
        ("a", "", "cgroup"),  # the others may have ended
        ("", "a b c", "api"),
        ("own", "a b c", "api"),  # as in a container without the host's cgroups
        ("a", "b c", "api"),
        ("", "a", "api"),
        ("", "", None),
        ("own", "", None),
    ],
)
def test_choice(readable: str, failing: str, chosen: str | None) -> None:
    cgroup, api = _Source("cgroup", readable, failing), _Source("api", "own a b c")
    source = AutoSource(cgroup, api, OWN, lambda: True)
    containers = [Container(id_, id_, "image", "sha256:1", "running", NOW) for id_ in (OWN, "a", "b", "c")]

    readings = source.read(containers, NOW)

    assert source.name == (chosen or "cgroup")
    assert set(readings) == set((readable if chosen != "api" else "own a b c").split())
    assert cgroup.closed == (chosen == "api")


def test_cgroups_are_not_tried_where_the_engine_makes_none() -> None:
    cgroup, api = _Source("cgroup", "", failing="a"), _Source("api", "a")
    source = AutoSource(cgroup, api, None, lambda: False)

    readings = source.read([Container("a", "a", "image", "sha256:1", "running", NOW)], NOW)

    assert source.name == "api"
    assert set(readings) == {"a"}
    assert not cgroup.errors
