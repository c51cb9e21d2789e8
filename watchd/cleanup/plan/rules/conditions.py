"""The clocks of an object and the conditions (`when`) of a policy. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from watchd.cleanup.plan.reasons import Reason
from watchd.config import Clock, Policy
from watchd.model import CacheRecord, Container, Image, Kind, Observation, Subject

# Reading of a clock: seconds, None if its source is unknown, or STOPPED if it does not run (a running container has
# not finished, a tagged image does not dangle). STOPPED is less than every duration, 0s included.
Reading = float | None
STOPPED = -math.inf

_REASONS: Mapping[Clock, Reason] = {
    "finished_for": Reason.EXITED_TOO_LONG,
    "never_started_for": Reason.NEVER_STARTED,
    "dangling_for": Reason.DANGLING_TOO_LONG,
    "unused_for": Reason.UNUSED_TOO_LONG,
    "arrived_for": Reason.ARRIVED_TOO_LONG,
    "built_for": Reason.BUILT_TOO_LONG,
}


@dataclass(slots=True)
class Evaluation:
    """Result of a policy for an object that it selects. `facts` has the reading and the need of each clock.

    Never changed. Not frozen: that triples the cost of creation, and a plan creates thousands.
    """

    holds: bool
    reason: Reason
    facts: Mapping[str, Any]


OBSERVED: Mapping[Kind, frozenset[str]] = {
    "image": frozenset(("unused_for", "arrived_for", "dangling_for")),
    "network": frozenset(("unused_for", "arrived_for")),
    "volume": frozenset(("unused_for", "arrived_for")),
}
"""Clocks that run only while watchd watches; the others are the engine's."""


def clocks(subject: Subject, observation: Observation | None, now: float) -> dict[Clock, Reading]:
    """Read the clocks of an object. Whether it is in use now is up to the protections."""
    match subject:
        case Container():
            return _container_clocks(subject, now)
        case CacheRecord():  # BuildKit records both times itself
            last_used = subject.last_used_at or subject.created_at
            return {"unused_for": _since(last_used, now), "arrived_for": _since(subject.created_at, now)}
    arrived = None if observation is None else observation.arrived_at
    used = None if observation is None else max(observation.arrived_at, observation.last_used or 0.0)
    readings: dict[Clock, Reading] = {"unused_for": _since(used, now), "arrived_for": _since(arrived, now)}
    if isinstance(subject, Image):
        dangling = None if observation is None else observation.dangling_since
        readings["dangling_for"] = STOPPED if subject.tags else _since(dangling, now)
        readings["built_for"] = _since(subject.created_at, now)
    return readings


def _container_clocks(container: Container, now: float) -> dict[Clock, Reading]:
    if not container.inspected:  # the list alone has neither time
        return {"finished_for": None, "never_started_for": None}
    ended = container.status in ("exited", "dead")
    created = container.status == "created" and container.finished_at is None
    return {
        "finished_for": _since(container.finished_at, now) if ended else STOPPED,
        "never_started_for": _since(container.created_at, now) if created else STOPPED,
    }


def _since(moment: float | None, now: float) -> Reading:
    if moment is None:
        return None
    # A moment in the future means that the clock was set back: no time has passed.
    return now - moment if moment < now else 0.0


def last_used(subject: Subject, observation: Observation | None) -> float | None:
    """Return the time of last use in seconds since the epoch; infinity if in use now, None if unknown."""
    match subject:
        case Container():
            if subject.is_running or not subject.inspected:
                return math.inf
            return subject.finished_at or subject.created_at
        case CacheRecord():
            return subject.last_used_at or subject.created_at
    return None if observation is None else max(observation.arrived_at, observation.last_used or 0.0)


def arrived(subject: Subject, observation: Observation | None) -> float | None:
    """Return the time of arrival on this host in seconds since the epoch; None if unknown."""
    if isinstance(subject, Container | CacheRecord):
        return subject.created_at
    return None if observation is None else observation.arrived_at


def check_conditions(policy: Policy, subject: Subject, readings: Mapping[Clock, Reading]) -> Evaluation:
    """Check that each clock has reached its condition. An unknown clock has not.

    Conditions never hold for a running container, even if there are none. A policy with a `pressure` only acts under
    pressure.
    """
    when: Mapping[Any, float] = policy.when
    facts: dict[str, Any] = {}
    unknown = failed = False
    for clock, needs in when.items():
        reading = readings[clock]
        if reading is None:
            facts[clock] = {"elapsed": None, "needs": needs}
            unknown = True
        elif reading == STOPPED:
            facts[clock] = {"elapsed": None, "needs": needs, "stopped": True}
            failed = True
        else:
            facts[clock] = {"elapsed": round(reading, 3), "needs": needs}
            failed = failed or reading < needs
    if failed or unknown:  # a failed condition tells more than an unknown one
        return Evaluation(holds=False, reason=Reason.CONDITION_NOT_MET if failed else Reason.UNKNOWN_CLOCK, facts=facts)
    if not _is_removable(subject):
        return Evaluation(holds=False, reason=Reason.CONDITION_NOT_MET, facts=facts)
    if policy.pressure is not None:
        return Evaluation(holds=False, reason=Reason.BELOW_WATERMARK, facts=facts)
    return Evaluation(holds=True, reason=removal_reason(policy), facts=facts)


def removal_reason(policy: Policy) -> Reason:
    """Return the reason of a policy's removals: pressure, else its first condition."""
    if policy.pressure is not None:
        return Reason.PRESSURE
    return _REASONS[next(iter(policy.when))] if policy.when else Reason.OVER_KEEP_LAST


def _is_removable(subject: Subject) -> bool:
    """Return whether the state of an object allows its removal at all."""
    if not isinstance(subject, Container):
        return True
    return subject.inspected and subject.status in ("exited", "dead", "created")
