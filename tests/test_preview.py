"""The plan for who looks on: one at a time, once a minute. How it is planned is tested with a real engine elsewhere."""

import threading
from collections.abc import Iterator
from contextlib import closing

import docker
import pytest

from tests.harness import images
from tests.harness.engine import Engine
from tests.prune.builders import EXITED, cleanup
from watchd.config.schema import Engine as EngineConfig
from watchd.engine.client import EngineClient
from watchd.errors import EngineUnreachable
from watchd.model import ContainerSize, DiskUsage
from watchd.preview import BeingMade, Preview
from watchd.prune.usage import Usage

NOWHERE = Usage(None, writable=False, count_unwatched=False)


class _Slow:
    """Sizes that are told when the test lets them: planning takes as long."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.go_on = threading.Event()
        self.times = 0

    def __call__(self) -> DiskUsage | None:
        self.times += 1
        self.asked.set()
        assert self.go_on.wait(60)
        return DiskUsage({})


@pytest.fixture
def client(clean_engine: Engine) -> Iterator[EngineClient]:
    with closing(EngineClient(EngineConfig(host=clean_engine.host), read_only=True)) as client:
        yield client


def test_one_waits_and_no_other(client: EngineClient, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = _Slow()
    planner = Preview(client, cleanup(EXITED), NOWHERE, slow)
    first = threading.Thread(target=planner.plan)
    first.start()
    assert slow.asked.wait(60)
    with pytest.raises(BeingMade):
        planner.plan()
    slow.go_on.set()
    first.join(60)
    made = planner.plan()
    assert slow.times == 1, "within a minute it is not made anew"

    monkeypatch.setattr(planner, "_fresh_for", 0.0)
    slow.go_on.clear()
    slow.asked.clear()
    again = threading.Thread(target=planner.plan)
    again.start()
    assert slow.asked.wait(60)
    assert planner.plan() is made, "the one before, while another one is made"
    slow.go_on.set()
    again.join(60)
    assert slow.times == 2


def test_other_policies_have_another_plan(client: EngineClient) -> None:
    planner = Preview(client, cleanup(), NOWHERE, lambda: None)
    before = planner.plan()
    planner.replace(cleanup(EXITED))
    assert planner.plan().plan is not before.plan
    assert [policy.name for policy in planner.plan().cleanup.policies] == ["exited"]


def test_sizes_are_those_that_were_measured_before(client: EngineClient, docker_client: docker.DockerClient) -> None:
    ended = docker_client.containers.run(images.BASE, ["true"], detach=True)
    ended.wait()
    assert ended.id
    sizes = DiskUsage({ended.id: ContainerSize(12_345, 99_999)})
    planner = Preview(client, cleanup(EXITED), NOWHERE, lambda: sizes)
    (item,) = (each for each in planner.plan().plan.items if each.kind == "container")
    assert (item.action, item.bytes) == ("remove", 12_345)


def test_an_engine_that_is_gone_is_an_error_each_time() -> None:
    planner = Preview(
        EngineClient(EngineConfig(host="unix:///nowhere"), read_only=True), cleanup(), NOWHERE, lambda: None
    )
    for _ in range(2):
        with pytest.raises(EngineUnreachable):
            planner.plan()


def test_what_could_not_be_made_is_not_tried_at_once_again() -> None:
    planner = Preview(
        EngineClient(EngineConfig(host="unix:///nowhere.sock"), read_only=True), cleanup(EXITED), NOWHERE, lambda: None
    )
    with pytest.raises(EngineUnreachable) as first:
        planner.plan()
    with pytest.raises(EngineUnreachable) as second:
        planner.plan()
    assert second.value is first.value
