"""The configurations in docs/migrate.md select what the programs that they replace would."""

import re
import tomllib
from dataclasses import replace

import pytest

from tests import ROOT
from tests.unit.cleanup.builders import (
    DAY,
    NOW,
    anonymous,
    container,
    decisions,
    disk,
    disks,
    image,
    network,
    plan,
    record,
    running,
    seen_long_ago,
    untagged,
    view,
    volume,
)
from tests.unit.settings import checked
from watchd.cleanup.plan.plan import Plan
from watchd.config import Cleanup

DOCUMENT = (ROOT / "docs/migrate.md").read_text()
PRUNE, RECENT, DOCUUM, CUSTODIAN = (
    checked(Cleanup, tomllib.loads(block)["cleanup"])
    for block in re.findall(r"^```toml\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
)
HOST = (
    running("web", of="web"),
    container("done", of="web", finished_at=NOW - 5 * DAY),
    container("just-done", of="web", finished_at=NOW - 60),
    container("created", of="web", status="created", finished_at=None, started_at=None, exit_code=None),
    image("web", created_at=NOW - 90 * DAY),
    image("old", created_at=NOW - 90 * DAY),
    image("fresh", created_at=NOW - DAY),
    image("base", created_at=NOW - 90 * DAY),
    untagged("dangling", created_at=NOW - 90 * DAY),
    network("apart"),
    anonymous("nameless"),
    volume("data"),
    record("cached"),
)


def gone(made: Plan) -> set[str]:
    """Return the names of what goes, without tags; an image without a name by what its ID was made of."""
    known = {each.id: "dangling" for each in HOST if each.name == "<none>"}
    known |= {each.id: "nameless" for each in HOST if each.kind == "volume" and each.name != "data"}
    known |= {each.id: "cached" for each in HOST if each.kind == "build_cache"}
    return {known.get(item.id, item.name.partition(":")[0]) for item in made.in_force}


def test_prune() -> None:
    """The objects of this host that `docker system prune -f` removes, by its documentation."""
    assert gone(plan(view(*HOST), PRUNE)) == {"done", "just-done", "created", "apart", "dangling", "cached"}


def test_what_is_meant_by_it() -> None:
    assert gone(plan(view(*HOST), RECENT)) == {"done", "dangling", "old", "fresh", "base"}


@pytest.mark.parametrize(("used", "goes"), [(85, set()), (91, {"dangling", "old"})])
def test_docuum(used: int, goes: set[str]) -> None:
    """Least recently used first, and only until there is room: of four images, 6 GiB each, two make enough."""
    gib = 1024**3
    sized = [
        image(name, size=6 * gib, shared_size=0, created_at=NOW - days * DAY)
        for name, days in (("web", 1), ("old", 60), ("fresh", 2))
    ]
    sized.append(untagged("dangling", size=6 * gib, shared_size=0))
    look = view(running("web", of="web"), *sized, disks=disks(disk(used * gib, 100 * gib)))
    days_ago = {sized[0].id: 0, sized[1].id: 30, sized[2].id: 2, sized[3].id: 40}
    known = {
        key: replace(seen, last_used=NOW - days_ago[key[1]] * DAY) if key[1] in days_ago else seen
        for key, seen in seen_long_ago(look, NOW - 50 * DAY).items()
    }
    assert gone(plan(look, DOCUUM, known=known)) == goes


def test_docker_custodian() -> None:
    assert gone(plan(view(*HOST), CUSTODIAN)) == {"done", "old", "dangling", "nameless"}


def test_every_decision_has_its_reason() -> None:
    made = plan(view(*HOST), CUSTODIAN)
    assert len(decisions(made)) == len(HOST)
