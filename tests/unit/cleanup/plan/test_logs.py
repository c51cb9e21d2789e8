"""A container goes with its log."""

from dataclasses import replace
from typing import Any

from tests.unit.cleanup.builders import EXITED, cleanup, container, disk, disks, item_of, plan, policy, steps, view
from watchd.model import Container, Log

LOG = Log("json-file", limit=0)
LARGEST = policy("room", "container", pressure={"high": "80%", "low": "60%", "order": "largest"})
LRU = policy("room", "container", pressure={"high": "80%", "low": "60%"})


def logging(name: str, log: int | None, layer: int = 0, **changes: Any) -> Container:
    return container(name, size_rw=layer, log=LOG, log_size=log, **changes)


def test_what_a_removal_frees_has_the_log_in_it() -> None:
    chatty, quiet = logging("chatty", 155, 5), container("quiet", size_rw=5)
    made = plan(view(chatty, quiet), cleanup(EXITED))
    assert [item_of(made, each).bytes for each in (chatty, quiet)] == [160, 5]
    assert item_of(made, chatty).facts["log_bytes"] == 155
    assert "log_bytes" not in item_of(made, quiet).facts


def test_a_log_that_cannot_be_seen_may_free_more() -> None:
    unseen, none = logging("unseen", None, 5), container("none", size_rw=5)
    made = plan(view(unseen, none), cleanup(EXITED))
    assert [(item.bytes, item.at_least) for item in (item_of(made, unseen), item_of(made, none))] == [
        (5, True),
        (5, False),
    ]


def test_logs_count_for_the_limit_of_a_run() -> None:
    look = view(logging("a", 60), logging("b", 60), logging("c", 60))
    assert len(steps(plan(look, cleanup(EXITED, max_bytes="130B")))) == 2


def test_the_largest_is_the_one_with_the_largest_log() -> None:
    look = view(logging("layer", 0, 10), logging("log", 30, 1), disks=disks(disk(85)), log_disk=disk(85))
    assert steps(plan(look, cleanup(LARGEST))) == ["remove container log"]


def test_a_log_on_another_disk_makes_no_room_on_the_one_of_the_layers() -> None:
    full = disk(85)
    look = view(
        logging("log", 30, finished_at=1.0),
        logging("layer", 0, 30, finished_at=2.0),
        disks=disks(full),
        log_disk=replace(full, path="/logs"),
    )
    assert steps(plan(look, cleanup(LRU))) == ["remove container layer"]
    assert steps(plan(replace(look, log_disk=full), cleanup(LRU))) == ["remove container log"]
