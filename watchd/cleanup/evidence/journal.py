"""Removals as they are recorded, with the marks by which their objects are known if they are needed again. Pure."""

from collections.abc import Mapping
from functools import cached_property

from watchd.cleanup.evidence.needs import marks_of
from watchd.cleanup.plan.plan import Item
from watchd.model import EngineView, Key, Observations, Subject
from watchd.store import Cause, Removal


class Journal:
    """Makes the record of an item, from the view and the observations that the plan was made from."""

    def __init__(self, view: EngineView, observations: Observations) -> None:
        self._view = view
        self._observations = observations

    def removal(self, item: Item, plan_id: str, now: float, cause: Cause) -> Removal:
        """Return the record of an item that is removed, or that would be if its policy enforced."""
        assert item.policy is not None  # noqa: S101 - nothing is removed without one
        return Removal(
            engine=self._view.engine.id,
            time=now,
            plan_id=plan_id,
            kind=item.kind,
            id=item.id,
            name=item.name,
            names=item.names,
            action=item.action,
            labels=item.labels,
            policy=item.policy,
            reason=item.reason,
            facts=item.facts,
            bytes=item.bytes,
            at_least=item.at_least,
            trigger=cause,
            mode=item.mode or "enforce",
            marks=self._marks(item),
        )

    def _marks(self, item: Item) -> tuple[str, ...]:
        subject = self._subjects.get(item.subject)
        if subject is None or item.action != "remove":
            return ()
        seen = self._observations.get((subject.kind, subject.identity))
        return marks_of(subject, seen, stays=item.mode == "report")

    @cached_property
    def _subjects(self) -> Mapping[Key, Subject]:
        return {subject.key: subject for subject in self._view.subjects()}
