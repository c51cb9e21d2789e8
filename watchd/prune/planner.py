"""The planner: what goes and what stays, for every object, and why. Pure: the same input gives the same plan."""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from watchd.config import Cleanup, ContainerPolicy, ImagePolicy, Mode, Policy
from watchd.model import Container, Image, Observations, Snapshot
from watchd.prune import protections
from watchd.prune.plan import Item, Plan, Reason
from watchd.prune.policy import (
    Verdict,
    container_clocks,
    image_clocks,
    judge,
    judge_container,
    selects_container,
    selects_image,
)
from watchd.prune.protections import Facts, Protection
from watchd.prune.references import repository
from watchd.prune.view import View, children_first
from watchd.units import format_time

T = TypeVar("T", Container, Image)
_Verdicts = Sequence[tuple[Policy, Verdict]]  # of the policies that select an object, in their order


def plan(
    snapshot: Snapshot,
    cleanup: Cleanup,
    observations: Observations,
    now: float,
    *,
    due: Collection[str] | None = None,
) -> Plan:
    """Return one decision for every object in `snapshot`.

    `observations` has what was observed up to `now`, this look included. `due` names the policies that are judged
    (None: all of them). Policies that enforce come first, each group in its own order. What they remove counts as
    having happened for everything judged later; what others would remove is only reported, and changes nothing.
    """
    view = View(snapshot, cleanup, observations, now)
    policies: list[Policy] = sorted(
        (policy for policy in cleanup.policies if due is None or policy.name in due),
        key=lambda policy: cleanup.mode_of(policy) != "enforce",
    )
    containers = [policy for policy in policies if isinstance(policy, ContainerPolicy)]
    images = [policy for policy in policies if isinstance(policy, ImagePolicy)]
    items: list[Item] = []
    for container in sorted(snapshot.containers, key=lambda c: (c.finished_at or c.created_at or 0.0, c.id)):
        items += _container(container, containers, view)
    for image in children_first(snapshot.images):
        items += _image(image, images, view)
    items.sort(key=_order)
    return Plan(
        plan_id=_plan_id(snapshot, items, now),
        created_at=now,
        engine=snapshot.engine,
        items=tuple(items),
        incomplete=dict(snapshot.failures),
    )


def _container(container: Container, policies: Sequence[ContainerPolicy], view: View) -> list[Item]:
    clocks = container_clocks(container, view.now)
    verdicts: _Verdicts = [
        (policy, judge_container(policy.when, container, clocks))
        for policy in policies
        if selects_container(policy, container)
    ]
    decision = _decide(container, protections.CONTAINER, verdicts, view)
    if decision.removes_in_force and not view.remove(container.id, container.size_rw or 0):
        decision = _over_budget(decision, view)
    return [
        Item(
            kind="container",
            id=container.id,
            name=container.name,
            names=(container.name,),
            action="remove" if decision.removes else "keep",
            mode=decision.mode,
            policy=decision.policy,
            reason=decision.reason,
            facts={**_container_facts(container), **decision.facts},
            bytes=container.size_rw or 0,
            labels=container.labels,
        )
    ]


def _image(image: Image, policies: Sequence[ImagePolicy], view: View) -> list[Item]:
    classes = view.classes(image)
    clocks = image_clocks(image, view.seen("image", image.id), view.now)
    verdicts: _Verdicts = [
        (policy, judge(policy.when, clocks)) for policy in policies if selects_image(policy, image, classes)
    ]
    decision = _decide(image, protections.IMAGE, verdicts, view)
    if decision.removes_in_force and not view.remove(image.id, _unique_bytes(image, view)):
        decision = _over_budget(decision, view)
    users = {container.id for container in view.users.get(image.id, ())}
    common: dict[str, Any] = {
        "kind": "image",
        "id": image.id,
        "names": image.references,
        "mode": decision.mode,
        "policy": decision.policy,
        "reason": decision.reason,
        "facts": {**_image_facts(image, classes), **decision.facts},
        "labels": image.labels,
        "needs": frozenset(users | set(view.children.get(image.id, ()))) if decision.removes else frozenset(),
    }
    if not decision.removes:
        return [Item(name=image.name, action="keep", bytes=_unique_bytes(image, view), **common)]
    stays_longest, surplus = _order_of_references(image)
    return [
        *(Item(name=reference, action="untag", **common) for reference in surplus),
        Item(name=stays_longest, action="remove", bytes=_unique_bytes(image, view), **common),
    ]


@dataclass(frozen=True, slots=True)
class _Decision:
    """What is to become of one object."""

    removes: bool
    reason: Reason
    facts: Facts
    policy: str | None = None
    mode: Mode | None = None

    @property
    def removes_in_force(self) -> bool:
        return self.removes and self.mode == "enforce"


def _decide(
    subject: T,
    protections_: Iterable[Protection[T]],
    verdicts: _Verdicts,
    view: View,
) -> _Decision:
    """Return the first protection that applies, unless a policy opts out of all that do, or what policies do."""
    first: _Decision | None = None
    for reason, protects in protections_:
        facts = protects(subject, view)
        if facts is None:
            continue
        first = first or _Decision(removes=False, reason=reason, facts=facts)
        key = protections.OPTIONAL.get(reason)
        verdicts = [(policy, verdict) for policy, verdict in verdicts if key and getattr(policy, key) == "ignore"]
        if not verdicts:
            return first
    decision = _judge(verdicts, view)
    return decision if decision.removes or first is None else first


def _over_budget(decision: _Decision, view: View) -> _Decision:
    """Return what becomes of an object that would go if the ceilings of a run were higher."""
    ceilings = {"max_items": view.cleanup.max_items, "max_bytes": view.cleanup.max_bytes}
    facts = {**decision.facts, **{name: ceiling for name, ceiling in ceilings.items() if ceiling is not None}}
    return replace(decision, removes=False, reason=Reason.BUDGET_SPENT, facts=facts)


def _judge(verdicts: _Verdicts, view: View) -> _Decision:
    """Return what the first policy whose conditions hold does, else why the first one does nothing."""
    if not verdicts:
        return _Decision(removes=False, reason=Reason.NOT_SELECTED, facts={})
    policy, verdict = next(((policy, verdict) for policy, verdict in verdicts if verdict.holds), verdicts[0])
    return _Decision(
        removes=verdict.holds,
        reason=verdict.reason,
        facts={"clocks": verdict.facts},
        policy=policy.name,
        mode=view.cleanup.mode_of(policy),
    )


def _order_of_references(image: Image) -> tuple[str, list[str]]:
    """Return the reference that an image loses last, and those to take off before, in order.

    The image itself is removed by its ID, which the engine only does when one reference is left; the digest references
    of a repository go with its last tag.
    """
    if not image.references:
        return image.name, []
    last = image.name
    tagged = {repository(tag) for tag in image.tags}
    surplus_digests = [digest for digest in image.digests if digest != last and repository(digest) not in tagged]
    return last, [*(tag for tag in image.tags if tag != last), *surplus_digests]


def _unique_bytes(image: Image, view: View) -> int:
    """Return an estimate of what goes with an image alone: its size less the layers that it shares."""
    if image.shared_size is not None:
        return max(0, image.size - image.shared_size)
    parent = view.images.get(image.parent_id or "")
    return max(0, image.size - parent.size) if parent else image.size


def _container_facts(container: Container) -> dict[str, Any]:
    facts: dict[str, Any] = {"status": container.status, "image": container.image}
    if container.exit_code is not None:
        facts["exit_code"] = container.exit_code
    if container.finished_at is not None:
        facts["finished_at"] = format_time(container.finished_at)
    return facts


def _image_facts(image: Image, classes: Iterable[str]) -> dict[str, Any]:
    facts: dict[str, Any] = {"class": sorted(classes), "size": image.size}
    if image.parent_id:
        facts["parent"] = image.parent_id
    return facts


_KIND_ORDER = {"container": 0, "image": 1}


def _order(item: Item) -> tuple[int, bool]:
    """Order a plan as it is carried out; what stays comes last. Sorting is stable: within that the order is kept."""
    return _KIND_ORDER[item.kind], item.action == "keep"


def _plan_id(snapshot: Snapshot, items: Iterable[Item], now: float) -> str:
    """Return a name for a plan that sorts by time, and that two different plans do not share."""
    digest = hashlib.sha256(f"{snapshot.engine.id} {now!r}".encode())
    for item in items:
        digest.update(f"\n{item.kind} {item.id} {item.action} {item.name} {item.mode}".encode())
    stamp = format_time(now).replace("-", "").replace(":", "")
    return f"{stamp}-{digest.hexdigest()[:8]}"
