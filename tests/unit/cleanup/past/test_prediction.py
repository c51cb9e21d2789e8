"""The prediction comes true: what a replay removes is what the policies remove when the same is lived again in force.

A simulated host is lived twice. The first life is recorded as the daemon does it, and replayed. In the second one each
run looks at the host as it is, observes, plans, and removes; what a step needs and is gone is fetched again.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.cleanup.builders import HOUR, NOW, cleanup, container, policy, volume
from tests.unit.cleanup.builders import view as view_of
from tests.unit.cleanup.past.lives import layered
from tests.unit.engine.fake_engine import event
from tests.unit.store.fast_store import empty, fast_store
from watchd.cleanup.evidence.timeline import Timeline
from watchd.cleanup.observe.follower import Change
from watchd.cleanup.observe.observations import observe
from watchd.cleanup.observe.references import look_at_references, with_former_references
from watchd.cleanup.past.record import Past
from watchd.cleanup.past.replay import replay
from watchd.cleanup.plan.planner import plan
from watchd.config import Cleanup
from watchd.model import Container, EngineView, Event, Image, Key, Observation, References, Subject, Volume
from watchd.store import Notes, Store

ENDS = NOW + 48 * HOUR
Removal = tuple[float, Key]


@dataclass
class Step:
    """What happens at a time: events, what is there then, what is needed for it, and what arrived again."""

    at: float
    events: list[Event]
    there: dict[Key, Subject]
    needs: set[Key] = field(default_factory=set)
    arrived: Key | None = None


class Script:
    """A random life of a host, by a seed."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - the same each time
        self.there: dict[Key, Subject] = {}
        self._jobs: list[tuple[float, str, str]] = []  # what is to come: when, what, which container
        self._images: list[Image] = []

    def steps(self) -> Iterator[Step]:
        """Yield what happens, step by step."""
        chance, at = self._chance, NOW + 1
        for number in range(18):
            at += chance.randrange(60, 7000)
            yield from self._due(at)
            choice = chance.random()
            if choice < 0.4 or not self._images:
                yield self._arrive(number, at)
            elif choice < 0.9:
                yield self._run(number, at)
            else:
                yield self._pull_again(at)
        yield from self._due(ENDS)

    def _arrive(self, number: int, at: float) -> Step:
        chance = self._chance
        on = chance.choice([None, *self._images])
        tags = chance.choice([(f"repo-{number % 3}:{number}",), (f"repo-{number % 3}:latest",)])
        made = layered(f"image-{number}", 10, on=on, tags=tags, shared_size=None, created_at=at)
        for key, other in list(self.there.items()):
            if isinstance(other, Image) and set(tags) & set(other.tags):
                self.there[key] = replace(other, tags=())
        self._images.append(made)
        self.there[made.key] = made
        return Step(at, [event("image", "pull", tags[0], at)], dict(self.there), {made.key}, made.key)

    def _pull_again(self, at: float) -> Step:
        tagged = [image for image in self.there.values() if isinstance(image, Image) and image.tags]
        image = self._chance.choice(tagged)
        return Step(at, [event("image", "pull", image.tags[0], at)], dict(self.there), {image.key}, image.key)

    def _run(self, number: int, at: float) -> Step:
        chance = self._chance
        of = chance.choice([each for each in self.there.values() if isinstance(each, Image)])
        name = f"job-{number}"
        data = volume(f"data-{chance.randrange(3)}", created_at=at, created=f"{at}")
        data = next((each for each in self.there.values() if isinstance(each, Volume) and each.name == data.name), data)
        made = container(
            name,
            image=of.name,
            image_id=of.id,
            status="running",
            pid=1,
            created_at=at,
            started_at=at,
            finished_at=None,
            exit_code=None,
            volumes=chance.choice([(), (data.name,)]),
        )
        self.there[made.key] = made
        if made.volumes:
            self.there[data.key] = data
        self._jobs.append((at + chance.randrange(10, 9000), "stop", made.id))
        events = [event("container", action, made.id, at) for action in ("create", "start")]
        return Step(at, events, dict(self.there), self._needs(made))

    def _due(self, until: float) -> Iterator[Step]:
        while self._jobs and min(self._jobs)[0] < until:
            job = at, what, id_ = min(self._jobs)
            self._jobs.remove(job)
            found = self.there["container", id_]
            assert isinstance(found, Container)
            needs: set[Key] = set()
            if what == "stop":
                self.there[found.key] = replace(found, status="exited", pid=0, finished_at=at, exit_code=0)
                follows = self._chance.choice(["", "leave", "start"])
                if follows:
                    self._jobs.append((at + self._chance.randrange(1000, 40000), follows, id_))
                events = [event("container", "die", id_, at, exitCode="0")]
            elif what == "start":
                started = replace(found, status="running", pid=1, started_at=at, exit_code=None)
                self.there[found.key] = started
                needs = {found.key, *self._needs(started)}
                self._jobs.append((at + 500, "stop", id_))
                events = [event("container", "start", id_, at)]
            else:
                del self.there[found.key]
                events = [event("container", "destroy", id_, at)]
            yield Step(at, events, dict(self.there), needs)

    def _needs(self, of: Container) -> set[Key]:
        return {of.key, ("image", of.image_id), *(("volume", name) for name in of.volumes)}


def look(there: dict[Key, Subject], at: float) -> EngineView:
    return view_of(*there.values(), taken_at=at, kinds=frozenset(("container", "image", "network", "volume")))


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with fast_store() as store:
        yield store


def recorded(steps: list[Step], store: Store) -> Past:
    """Let the daemon's recorder see a life. Return its record."""
    empty(store)
    before = look({}, NOW)
    changes = [Change((), before, before, listed=True, now=NOW)]
    for step in steps:
        after = look(step.there, step.at)
        changes.append(Change(step.events, before, after, listed=False, now=step.at))
        before = after
    engine = before.engine.id
    Timeline(store, merge_within=0.0).take_in(changes)
    for at in (NOW, ENDS):
        store.note(engine, at, Notes(), shift=lambda _: 0.0, unwatched=lambda _: 0.0)
    return Past(engine, store.lives(engine), (), store.watched_spans(engine))


class InForce:
    """A host on which hourly runs remove."""

    def __init__(self, chosen: Cleanup) -> None:
        self.removed: list[Removal] = []
        self._chosen = chosen
        self._there: dict[Key, Subject] = {}  # as if nothing had been removed
        self._gone: dict[Key, frozenset[str]] = {}  # with the references that each had last
        self._known: dict[Key, Observation] = {}
        self._references: References = {}

    def _look(self, at: float) -> EngineView:
        seen = look({key: subject for key, subject in self._there.items() if key not in self._gone}, at)
        self._references = look_at_references(self._references, seen, at)
        return with_former_references(seen, self._references)

    def run(self, at: float) -> None:
        seen = self._look(at)
        self._known = observe(self._known, seen, at)
        references = {image.key: frozenset(image.last_references) for image in seen.images}
        for item in plan(seen, self._chosen, self._known, at).in_force:
            if item.action == "remove":
                self.removed.append((at, item.subject))
                self._gone[item.subject] = references.get(item.subject, frozenset())
        if self.removed and self.removed[-1][0] == at:
            self._known = observe(self._known, self._look(at), at)

    def step(self, step: Step) -> None:
        self._there = step.there
        for key in (*step.needs, *self._bases(step)):
            self._gone.pop(key, None)
        if step.arrived in self._known:
            self._known[step.arrived] = replace(self._known[step.arrived], arrived_at=step.at)
        self._known = observe(self._known, self._look(step.at), step.at)

    def _bases(self, step: Step) -> list[Key]:
        new = step.there.get(step.arrived) if step.arrived else None
        return [
            key
            for key, names in self._gone.items()
            if isinstance(new, Image) and is_built_on(new, self._there.get(key)) and not names & set(new.tags)
        ]


def is_built_on(image: Image, base: Subject | None) -> bool:
    layers = base.layers or () if isinstance(base, Image) else ()
    return bool(layers) and (image.layers or ())[: len(layers)] == layers


def lived_in_force(steps: list[Step], chosen: Cleanup) -> list[Removal]:
    """Live once more, with runs in force. Return what they removed."""
    host, run_at = InForce(chosen), NOW + HOUR
    for step in steps:
        while run_at < step.at:
            host.run(run_at)
            run_at += HOUR
        host.step(step)
    while run_at <= ENDS:
        host.run(run_at)
        run_at += HOUR
    return host.removed


def settings_of(seed: int) -> Cleanup:
    chance = random.Random(seed)  # noqa: S311 - the same each time
    hours = ["0s", "2h", "5h", "11h"]
    keep = chance.choice([{}, {}, {"keep": {"last": 1, "per": "repository"}}])
    dangles = {"select": {"class": ["dangling"]}}
    named = {"select": {"name": ["*"], "named": True}}
    policies = [
        policy("exited", "container", when={"finished_for": chance.choice(hours)}),
        policy("unused", "image", when={"unused_for": chance.choice(hours)}, **keep),
        policy("dangling", "image", when={"dangling_for": chance.choice(hours)}, **dangles),
        policy("volumes", "volume", when={"unused_for": chance.choice(hours)}, **named),
    ]
    chosen = chance.sample(policies, chance.randrange(1, 5))
    limits = {"max_items": 1} if chance.random() < 0.2 else {}
    return cleanup(*chosen, schedule="1h", grace=chance.choice(["0s", "1h", "3h"]), **limits)


seeds = st.integers(0, 2**32)


@given(host=seeds, policies=seeds)
@settings(deadline=None, max_examples=200)
def test_what_a_replay_removes_is_what_runs_in_force_remove(store: Store, host: int, policies: int) -> None:
    steps, chosen = list(Script(host).steps()), settings_of(policies)
    outcome = replay(recorded(steps, store), chosen, since=0.0, until=ENDS)
    predicted = [(each.time, (each.kind, each.id)) for judged in outcome.policies for each in judged.removed]
    assert sorted(predicted) == sorted(lived_in_force(steps, chosen))
