"""How a decision is told: the items of a plan about one object, and what they tell of it. Pure."""

from dataclasses import replace
from typing import Any

from watchd.model import CacheRecord, Container, Image, Key, Network, Subject, Volume
from watchd.prune.decision import Decision
from watchd.prune.plan import Item
from watchd.prune.references import repository
from watchd.prune.view import View
from watchd.units import format_time

_NOTHING: frozenset[Key] = frozenset()


def items_of(subject: Subject, decision: Decision, view: View) -> list[Item]:
    """Return the item about an object that stays or goes, after those about the references that go before it."""
    needs = _NOTHING
    if decision.removes:
        key = subject.key
        users, children = view.users.get(key, ()), view.children.get(key, ())
        needs = frozenset((*(container.key for container in users), *children)) if users or children else _NOTHING
    facts = _facts(subject, view)
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
        bytes=view.size(subject),
        labels=subject.labels,
        needs=needs,
    )
    if not decision.removes or not isinstance(subject, Image):
        return [item]
    # The item itself has the name that stays longest.
    return [*(replace(item, name=reference, action="untag", bytes=0) for reference in _surplus(subject)), item]


def _surplus(image: Image) -> list[str]:
    """Return the references to take off an image before it is removed by its ID, in order: all but its name.

    The engine only removes it when one is left. The digest references of a repository go with its last tag.
    """
    if len(image.tags) + len(image.digests) < 2:
        return []
    last = image.name
    tagged = {repository(tag) for tag in image.tags}
    digests = [digest for digest in image.digests if digest != last and repository(digest) not in tagged]
    return [*(tag for tag in image.tags if tag != last), *digests]


def _facts(subject: Subject, view: View) -> dict[str, Any]:
    """Return what to tell of an object besides the decision."""
    facts: dict[str, Any]
    match subject:
        case Container():
            facts = {"status": subject.status, "image": subject.image}
            if subject.exit_code is not None:
                facts["exit_code"] = subject.exit_code
            if subject.finished_at is not None:
                facts["finished_at"] = format_time(subject.finished_at)
        case Image():
            facts = {"class": sorted(view.classes(subject)), "size": subject.size}
            if subject.parent_id:
                facts["parent"] = subject.parent_id
        case Network():
            facts = {"driver": subject.driver, "scope": subject.scope}
        case Volume():
            facts = {"anonymous": subject.is_anonymous}
        case CacheRecord():
            facts = {"type": subject.type, "shared": subject.shared}
            if subject.last_used_at is not None:
                facts["last_used_at"] = format_time(subject.last_used_at)
    return facts
