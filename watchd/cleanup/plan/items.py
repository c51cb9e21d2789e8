"""The items of a plan about one object, with its facts. Pure."""

from dataclasses import replace
from typing import Any

from watchd.cleanup.plan.plan import Decision, Item
from watchd.cleanup.plan.simulation import Simulation
from watchd.model import CacheRecord, Container, Image, Key, Network, Subject, Volume
from watchd.model.names.references import repository
from watchd.units import format_time

_NONE: frozenset[Key] = frozenset()


def items_of(subject: Subject, decision: Decision, simulation: Simulation) -> list[Item]:
    """Return the item of an object. An image that is removed has an `untag` item for each further reference first."""
    host = simulation.host
    needs = _NONE
    if decision.removes:
        key = subject.key
        users, children = host.users.get(key, ()), host.children.get(key, ())
        needs = frozenset((*(container.key for container in users), *children)) if users or children else _NONE
    facts = _facts(subject, simulation)
    facts.update(decision.facts)
    item = Item(
        kind=subject.kind,
        id=subject.id,
        name=subject.name,
        names=subject.names,
        action="remove" if decision.removes else "keep",
        mode=decision.mode,
        policy=decision.policy,
        reason=decision.reason,
        facts=facts,
        bytes=simulation.bytes.get(subject.key, host.space.alone(subject.key)),
        labels=subject.labels,
        needs=needs,
        at_least=host.space.is_unknown(subject.key),
    )
    if not decision.removes or not isinstance(subject, Image):
        return [item]
    return [
        *(replace(item, name=reference, action="untag", bytes=0, at_least=False) for reference in _further(subject)),
        item,
    ]


def _further(image: Image) -> list[str]:
    """Return the references to remove before the image, in order: all but its name.

    The engine only removes an image by ID with one reference left. It removes the digests of a repository with its last
    tag.
    """
    if len(image.tags) + len(image.digests) < 2:
        return []
    last = image.name
    tagged = {repository(tag) for tag in image.tags}
    digests = [digest for digest in image.digests if digest != last and repository(digest) not in tagged]
    return [*(tag for tag in image.tags if tag != last), *digests]


def _facts(subject: Subject, simulation: Simulation) -> dict[str, Any]:
    """Return the facts of an object that do not depend on the decision."""
    facts: dict[str, Any]
    match subject:
        case Container():
            facts = _container_facts(subject)
        case Image():
            facts = _image_facts(subject, simulation)
        case Network():
            facts = {"driver": subject.driver, "scope": subject.scope}
        case Volume():
            facts = {"anonymous": subject.is_anonymous, **({"builder": subject.builder} if subject.builder else {})}
        case CacheRecord():
            facts = {"type": subject.type, "shared": subject.shared}
            if subject.last_used_at is not None:
                facts["last_used_at"] = format_time(subject.last_used_at)
    return facts


def _container_facts(container: Container) -> dict[str, Any]:
    facts: dict[str, Any] = {"status": container.status, "image": container.image}
    if container.exit_code is not None:
        facts["exit_code"] = container.exit_code
    if container.finished_at is not None:
        facts["finished_at"] = format_time(container.finished_at)
    if container.log_size is not None:
        facts["log_bytes"] = container.log_size
    return facts


def _image_facts(image: Image, simulation: Simulation) -> dict[str, Any]:
    facts: dict[str, Any] = {"class": sorted(simulation.classes(image)), "size": image.size}
    if image.parent_id:
        facts["parent"] = image.parent_id
    if image.former:
        facts["former_references"] = [
            {"reference": each.reference, "until": format_time(each.until)} for each in image.former
        ]
    return facts
