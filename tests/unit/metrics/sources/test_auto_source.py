"""The choice of a source: the one that can read most of the first running containers."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from watchd.metrics.sources.auto import AutoSource
from watchd.metrics.sources.source import Reading
from watchd.model import Container
from watchd.model.usage import Usage

NOW = 1_800_000_000.0
OWN = "own"


class _Source:
    """Reads the containers that it is said to; others are failures, or just not there."""

    def __init__(self, name: str, readable: str, failing: str = "") -> None:
        self.name = name
        self.errors: Counter[str] = Counter()
        self.durations: dict[str, float] = {}
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
    containers = [Container(id_, id_, "image", "sha256:1", "running", NOW, pid=7) for id_ in (OWN, "a", "b", "c")]

    readings = source.read(containers, NOW)

    assert source.name == (chosen or "cgroup")
    expected = readable if chosen == "cgroup" else "own a b c"
    assert set(readings) == set(expected.split()), "the API's until one is chosen"
    assert (cgroup.closed, api.closed) == (chosen == "api", chosen == "cgroup"), "only what is not chosen"


def test_of_watchds_own_container_alone_the_engine_is_not_asked() -> None:
    source = AutoSource(_Source("cgroup", OWN), _Source("api", ""), OWN, lambda: True)

    readings = source.read([Container(OWN, OWN, "image", "sha256:1", "running", NOW, pid=7)], NOW)

    assert set(readings) == {OWN}
    assert source.name == "cgroup"


def test_cgroups_are_not_tried_where_the_engine_makes_none() -> None:
    cgroup, api = _Source("cgroup", "", failing="a"), _Source("api", "a")
    source = AutoSource(cgroup, api, None, lambda: False)

    readings = source.read([Container("a", "a", "image", "sha256:1", "running", NOW)], NOW)

    assert source.name == "api"
    assert set(readings) == {"a"}
    assert not cgroup.errors
