"""Look at the engine, observe and plan: for a run, or to show what a run would do."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from watchd.cleanup.observe.lineage import count_unknown
from watchd.cleanup.observe.observer import Observer, Watched
from watchd.cleanup.observe.references import with_former_references
from watchd.cleanup.plan.explain import Explanation, explain
from watchd.cleanup.plan.plan import Plan
from watchd.cleanup.plan.planner import MANUAL, Trigger, plan
from watchd.cleanup.plan.rules.select import selects
from watchd.config import Cleanup
from watchd.config.schedules import quiet_until
from watchd.engine import fresh_view
from watchd.engine.client import EngineClient
from watchd.engine.layers import with_layers
from watchd.engine.own_container import find_own
from watchd.model import EngineView, Image, ImageUsage, Kind, Observations, Regret, Subject
from watchd.model.objects.parts import is_told
from watchd.runtime.gc import gc_paused
from watchd.runtime.turns import give_way

_FOLLOWED: frozenset[Kind] = frozenset(("container", "volume"))  # what the engine does not remove while it is in use


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan, with all that it was made from."""

    view: EngineView
    cleanup: Cleanup
    observations: Observations
    plan: Plan
    watched: Watched = field(default_factory=Watched)

    def explain(self, subject: Subject, regret: Regret | None = None) -> Explanation:
        """Explain the decision about one object, with its last regret, and with its parts if it has several."""
        cleanup = self.cleanup
        quiet = quiet_until(cleanup.quiet_hours, self.plan.created_at, cleanup.timezone)
        explained = explain(subject, self.plan, self.view, cleanup, self.observations, quiet_until=quiet)
        parts = subject.parts if isinstance(subject, Image) and is_told(subject.parts) else ()
        return replace(explained, regret=regret, parts=parts, clocks_run=self.watched.clocks_run)


def plan_cleanup(
    view: EngineView, cleanup: Cleanup, observations: Observations, now: float, trigger: Trigger = MANUAL
) -> Prepared:
    """Plan from these values alone, without any input or output."""
    with gc_paused():
        return Prepared(view, cleanup, observations, plan(view, cleanup, observations, now, trigger, between=give_way))


def look_and_plan(  # noqa: PLR0913 - what to look at, and who is told
    client: EngineClient,
    cleanup: Cleanup,
    observer: Observer,
    trigger: Trigger = MANUAL,
    on_fresh_view: Callable[[EngineView], None] = lambda _: None,
    *,
    followed: EngineView | None = None,
) -> Prepared:
    """List the engine's objects, observe them, and plan. Raise `EngineError` or `StateError`.

    Under disk pressure sizes stay unknown: the engine may take minutes to measure them. `followed` is the view of a
    watch that follows the engine: where only containers and volumes may go, nothing but the volumes is listed.
    """
    view = take_view(client, cleanup, observer, trigger, followed)
    on_fresh_view(view)
    return observe_and_plan(view, cleanup, observer, trigger=trigger)


def take_view(
    client: EngineClient,
    cleanup: Cleanup,
    observer: Observer,
    trigger: Trigger = MANUAL,
    followed: EngineView | None = None,
) -> EngineView:
    """List the objects that the due policies need. Raise `EngineError` or `StateError`."""
    due = trigger.due
    policies = [policy for policy in cleanup.policies if due is None or policy.name in due]
    kinds = {policy.kind for policy in policies}
    if kinds <= _FOLLOWED and followed is not None and "container" not in followed.failures:
        if trigger.acting:
            return fresh_view.take_followed(client, followed)
        stopped = (each for each in followed.containers if not each.is_running)
        selected = [each.id for each in stopped if any(selects(policy, each) for policy in policies)]
        return fresh_view.take_followed(client, followed, measure=selected, measure_volumes="volume" in kinds)
    # The sizes of volumes take the engine long: the daemon's runs for containers do without those that go along.
    if trigger.by_hand and any(policy.kind == "container" and policy.anonymous_volumes for policy in policies):
        kinds.add("volume")
    for_room = any(policy.kind == "image" and policy.pressure is not None for policy in policies)
    view = fresh_view.take(client, find_own(), kinds, quick=bool(trigger.acting), shares_layers=for_room)
    return with_layers(view, client, observer.known_layers(view.engine.id)) if "image" in kinds else view


def take_full_view(client: EngineClient, observer: Observer, images: ImageUsage | None) -> EngineView:
    """List everything with all sizes, also the kinds that no policy is for. Raise `EngineError` or `StateError`.

    Images have their parts. `images` has the exact sizes, as the engine adds them up; its list only estimates them.
    """
    view = fresh_view.take(client, find_own())
    view = with_layers(view, client, observer.known_layers(view.engine.id))
    unique = images.unique if images else {}
    parts = client.image_parts()
    exact = [
        replace(
            image,
            shared_size=max(0, image.size - unique[image.id]) if image.id in unique else image.shared_size,
            parts=parts.get(image.id, ()),
        )
        for image in view.images
    ]
    return replace(view, images=tuple(exact))


def observe_and_plan(
    view: EngineView,
    cleanup: Cleanup,
    observer: Observer,
    *,
    trigger: Trigger = MANUAL,
    at: Callable[[float], float] | None = None,
) -> Prepared:
    """Record what a view shows, and plan from it. Raise `StateError`.

    `at` gives, from the time of the view, a later time to plan for; such a plan is only shown.
    """
    watched = observer.watched(view, view.taken_at)
    observations = with_frequency(observer.look(view, view.taken_at), view, cleanup, observer)
    view = with_records(view, observations, observer)
    prepared = plan_cleanup(view, cleanup, observations, at(view.taken_at) if at else view.taken_at, trigger)
    return replace(prepared, watched=watched)


def with_frequency(observations: Observations, view: EngineView, cleanup: Cleanup, observer: Observer) -> Observations:
    """Add how often images were used, if a policy goes by that."""
    if not any(policy.pressure and policy.pressure.order == "cost" for policy in cleanup.policies):
        return observations
    return observer.with_uses(observations, view.engine.id, view.taken_at)


def with_records(view: EngineView, observations: Observations, observer: Observer) -> EngineView:
    """Add what only watchd's record tells: references, layers and origin of images, services on a worker."""
    view = with_former_references(view, observer.references(view, view.taken_at))
    view = replace(view, images=tuple(_with_layers(image, observations) for image in view.images))
    if view.engine.store == "containerd":  # it gives digests to what was built or loaded, too
        view = replace(view, images=tuple(_with_origin(image, observations) for image in view.images))
    if view.engine.swarm == "worker":  # it cannot list services
        view = replace(view, services=observer.services(view))
    unknown = 0 if "image" in view.failures else count_unknown(view.images, observations)
    if not unknown:
        return view
    error = f"the layers of {unknown} of {len(view.images)} are not known, so the base of builds could seem unused"
    return replace(view, failures={**view.failures, "image": error})


def _with_layers(image: Image, observations: Observations) -> Image:
    seen = observations.get(image.key)
    return replace(image, layers=seen.layers) if image.layers is None and seen and seen.layers is not None else image


def _with_origin(image: Image, observations: Observations) -> Image:
    seen = observations.get(image.key)
    return image if image.pulled or (seen and seen.pulled) else replace(image, origin_unknown=True)
