"""What is added up for `watchd df`, and what is left unknown."""

from tests.prune.builders import (
    EXITED,
    anonymous,
    cleanup,
    container,
    disk,
    disks,
    image,
    plan,
    record,
    running,
    snapshot,
)
from watchd.model import ImageUsage
from watchd.prune import report
from watchd.prune.account import MOST_LARGEST, Shelf, take_stock

REPORTED = {**EXITED, "name": "later", "mode": "report", "select": {"name": ["b"]}}
IMAGES = ImageUsage(layers=1000, unique={image("app").id: 300, image("other").id: 200})


def test_each_kind_is_added_up_and_what_policies_would_take_told_by_mode() -> None:
    jobs = (container("a", size_rw=5), container("b", size_rw=7), running("web", size_rw=1))
    step, shared = record("step", size=40), record("shared", size=60, shared=True)
    look = snapshot(*jobs, image("app"), image("other"), step, shared, anonymous("v", size=9), disks=disks(disk(5000)))
    first = {**EXITED, "select": {"name": ["a"]}}
    accounts = take_stock(look, IMAGES, plan(look, cleanup(first, REPORTED)))
    assert {kind: (each.count, each.total) for kind, each in accounts.kinds.items()} == {
        "container": (3, 13),
        "image": (2, 1000),
        "network": (0, 0),
        "volume": (1, 9),
        "build_cache": (2, 40),
    }
    assert accounts.kinds["image"].shared == 500
    containers = accounts.kinds["container"]
    assert (containers.enforced, containers.reported) == ({"exited": (1, 5)}, {"later": (1, 7)})
    assert containers.reclaimable == (2, 12)
    assert accounts.shelves == (Shelf(look.disks["image"], 1062),)
    assert accounts.shelves[0].unaccounted == 3938
    assert "later (only reports): 1, 7B" in "\n".join(report.accounts(accounts))


def test_the_largest_are_told_by_what_they_alone_take() -> None:
    many = [container(f"c{number}", size_rw=number) for number in range(40)]
    big = image("big", size=1000, shared_size=400)
    look = snapshot(*many, big, anonymous("v", size=700), anonymous("empty", size=0))
    largest = take_stock(look, None, plan(look, cleanup(EXITED))).as_json()["largest"]
    assert [(each["kind"], each["bytes"]) for each in largest[:3]] == [
        ("volume", 700),
        ("image", 600),
        ("container", 39),
    ]
    assert sum(each["kind"] == "container" for each in largest) == MOST_LARGEST
    assert len(largest) == MOST_LARGEST + 2


def test_what_was_not_told_is_unknown_and_so_is_what_it_is_added_to() -> None:
    look = snapshot(container("a", size_rw=None), anonymous("v", size=9), disks=disks(disk(5000)))
    accounts = take_stock(look, None, plan(look, cleanup(EXITED)))
    assert accounts.kinds["container"].total is None
    assert accounts.kinds["image"].total is None
    assert accounts.shelves[0].unaccounted is None
    assert accounts.as_json()["disks"][0]["accounted"] is None
    assert "unknown" in "\n".join(report.accounts(accounts))


def test_a_list_that_failed_is_not_taken_for_an_empty_one() -> None:
    look = snapshot(failures={"volume": "403"})
    assert take_stock(look, IMAGES, plan(look, cleanup(EXITED))).kinds["volume"].total is None
    assert "cannot be measured" in "\n".join(report.accounts(take_stock(look, IMAGES, plan(look, cleanup(EXITED)))))
