"""On a Swarm worker, which cannot list services, the images of the last tasks stay."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cleanup.builders import HOUR, NOW, UNUSED, cleanup, container, image, plan, view, why
from watchd.cleanup.observe.observer import Observer
from watchd.model import SWARM_SERVICE, Container, EngineView
from watchd.store import Store

WORKER = replace(view().engine, swarm="worker")
FIRST, SECOND, THIRD = (image(name) for name in ("first", "second", "third"))


@pytest.fixture
def observer(tmp_path: Path) -> Iterator[Observer]:
    with closing(Store.open(tmp_path)) as store:
        yield Observer(store, writable=True, count_unwatched=True)


def task(of: str, created: float, service: str = "web") -> Container:
    return container(f"{service}.{created}", of=of, created_at=created, labels={SWARM_SERVICE: service})


def host(*objects: Any) -> EngineView:
    return view(FIRST, SECOND, THIRD, *objects, engine=WORKER)


def verdicts(observer: Observer, look: EngineView) -> dict[str, str]:
    known = {key: replace(seen, first_seen=0.0, arrived_at=0.0) for key, seen in observer.look(look, NOW).items()}
    made = plan(replace(look, services=observer.services(look)), cleanup(UNUSED), known=known)
    return {one.name: why(made, one) for one in look.images}


def test_the_images_of_the_last_two_generations_stay_after_their_tasks_are_gone(observer: Observer) -> None:
    for number, of in enumerate(("first", "second", "third")):
        observer.look(host(task(of, NOW - (3 - number) * HOUR)), NOW)
    assert verdicts(observer, host()) == {
        "first:1": "remove unused_too_long",
        "second:1": "keep swarm",
        "third:1": "keep swarm",
    }


def test_a_service_that_went_back_needs_what_it_went_back_to(observer: Observer) -> None:
    for number, of in enumerate(("first", "second", "third", "first")):
        observer.look(host(task(of, NOW - (4 - number) * HOUR)), NOW)
    found = verdicts(observer, host())
    assert found["first:1"] == found["third:1"] == "keep swarm"
    assert found["second:1"] == "remove unused_too_long"


def test_each_service_has_generations_of_its_own_and_those_of_now_count_unrecorded() -> None:
    observer = Observer(None, writable=False, count_unwatched=True)
    look = host(task("first", NOW - HOUR), task("second", NOW - 2 * HOUR, "db"))
    images = {service.id: service.images for service in observer.services(look)}
    assert images == {"web": (FIRST.id,), "db": (SECOND.id,)}
