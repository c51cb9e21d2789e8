"""The verdict about one object, and the conditions that change it, in a sentence each."""

from collections.abc import Mapping, Sequence
from typing import Any

from watchd.cleanup.plan.explain import Explanation, PolicyCheck
from watchd.cleanup.plan.plan import Item
from watchd.cleanup.plan.reasons import Reason
from watchd.cleanup.plan.rules.conditions import OBSERVED, Evaluation
from watchd.cleanup.report.words import joined
from watchd.units import format_duration, format_local_time, short_duration

_NO_DAEMON = 'while no `watchd run` watches (docs/cleaning.md, "Unwatched time")'
_NOT_YET = {
    Reason.PARENT_STAYS: "it stays as long as an image that it was built on does, which would go along with it",
    Reason.BUDGET_SPENT: "it goes at a later run, since the ceilings of one run leave no room for it",
    Reason.FREES_NOTHING: "the disk is too full, but its removal would free nothing: {why}",
}
_NOT_BY_TIME = (Reason.UNKNOWN_CLOCK, Reason.BELOW_WATERMARK, Reason.DISK_UNKNOWN)

_WENT = {
    Reason.EXITED_TOO_LONG: "it has ended long enough ago",
    Reason.NEVER_STARTED: "it was never started",
    Reason.DANGLING_TOO_LONG: "it has had no tag for long enough",
    Reason.UNUSED_TOO_LONG: "it has been unused for long enough",
    Reason.ARRIVED_TOO_LONG: "it has been here for long enough",
    Reason.BUILT_TOO_LONG: "it was built long enough ago",
    Reason.OVER_KEEP_LAST: "its policy keeps newer ones",
    Reason.PRESSURE: "the disk is too full, and its turn has come",
}
_STAYS = {
    Reason.INCOMPLETE_VIEW: "the engine did not list all that this decision needs",
    Reason.SELF: "watchd itself needs it",
    Reason.PROTECTED: "a label or the configuration protects it",
    Reason.IN_USE: "a container uses it",
    Reason.SWARM: "Swarm needs it",
    Reason.COMPOSE_ACTIVE: "its Compose project is running",
    Reason.RESTART_POLICY: "its restart policy starts it again",
    Reason.TAG_OF_IN_USE: "a container uses it by another tag",
    Reason.HAS_CHILDREN: "an image that stays was built on it",
    Reason.PARENT_STAYS: "the image that it was built on stays",
    Reason.GRACE: "it is new",
    Reason.KEEP: "a keep rule spares it",
    Reason.NAMED_VOLUME: "it is a volume with a name",
    Reason.NOT_SELECTED: "no policy selects it",
    Reason.CONDITION_NOT_MET: "its policy's conditions do not hold yet",
    Reason.UNKNOWN_CLOCK: "its policy goes by a time that is not known",
    Reason.BELOW_WATERMARK: "the disk has room",
    Reason.DISK_UNKNOWN: "which disk it is on is not known",
    Reason.FREES_NOTHING: "its removal would free nothing",
    Reason.BUDGET_SPENT: "this run has reached its ceiling",
    Reason.QUIET_HOURS: "these are quiet hours; else it would be removed now",
}


_AS_LONG_AS = _STAYS | {
    Reason.INCOMPLETE_VIEW: "the engine does not list all that this decision needs",
    Reason.NAMED_VOLUME: "no policy selects it by its name",
}


def verdict(explained: Explanation) -> str:
    """Return the decision and its reason: "stays: a container uses it"."""
    item = explained.item
    if item.action == "keep":
        return f"stays: it is {item.facts['status']}" if while_running(item) else f"stays: {_stays(item)}"
    if item.mode == "report":
        return f"stays: its policy only reports; else it would be removed now, since {_WENT[item.reason]}"
    return f"goes at the next run{_quiet_hours(explained.quiet_until)}: {_WENT[item.reason]}"


def _stays(item: Item) -> str:
    if _is_predefined(item):
        return "the engine made it itself"
    return _builder(item, item.reason) or _STAYS[item.reason]


def _stays_for(item: Item, lasting: Sequence[Reason]) -> str:
    """Return how long the object stays by protections that do not end with time."""
    if _is_predefined(item):
        return "it always stays: the engine made it itself"
    return f"it stays as long as {joined((_builder(item, each) or _AS_LONG_AS[each] for each in lasting), 'or')}"


def _is_predefined(item: Item) -> bool:
    return item.kind == "network" and item.reason is Reason.PROTECTED and item.facts.get("network") == "predefined"


def _builder(item: Item, reason: Reason) -> str:
    """Return why a container is in use: no container needs another; empty for any other object or reason."""
    return "it is a builder of docker buildx" if (item.kind, reason) == ("container", Reason.IN_USE) else ""


def while_running(item: Item, reason: Reason | None = None) -> str:
    """Return the reason with the state of a container, if that state is why no policy removes it."""
    status = item.facts.get("status")
    runs = item.kind == "container" and status not in ("exited", "dead", "created")
    reason = reason or item.reason
    return f"{reason.value}, since it is {status}" if runs and reason is Reason.CONDITION_NOT_MET else ""


def what_next(explained: Explanation) -> str:
    """Return one sentence: when the object goes as time passes, or the protection or condition that keeps it."""
    item = explained.item
    hours = _quiet_hours(explained.quiet_until)
    if item.action != "keep":
        return f"it goes at the next run{hours}" if item.mode == "enforce" else "it would go if its policy enforced"
    lasting = [check.reason for check in explained.protections if check.facts and check.reason != Reason.GRACE]
    free = [check for check in explained.policies if check.result and not {*check.held_back_by} - {Reason.GRACE}]
    if lasting and not free:
        return _stays_for(item, lasting)
    if item.reason in _NOT_YET:
        return _NOT_YET[item.reason].format(why=item.facts.get("why", "it is empty"))
    waits = [  # a condition whose clock runs sorts first
        (_standing(check.result, explained), *wait, check.mode)
        for check in free
        if check.result and check.result.reason not in _NOT_BY_TIME and (wait := _wait(check.result))
    ]
    if not waits:
        return _not_by_time(explained, free)
    return _goes_when(explained, *min(waits))


def _not_by_time(explained: Explanation, free: Sequence[PolicyCheck]) -> str:
    """Return one sentence about an object that time alone does not remove. `free`: policies without a protection."""
    for check in free:
        if check.result and check.result.reason is Reason.BELOW_WATERMARK:
            return f"it goes when the disk is so full that its turn comes in {check.policy}"
    if any(check.result and check.result.reason is Reason.DISK_UNKNOWN for check in free):
        return f"it goes under disk pressure only, and its disk is not known: {explained.disk_unknown}"
    return "no policy would remove it, however long it stays as it is"


def _goes_when(explained: Explanation, standing: str, seconds: float, when: str, mode: str) -> str:
    """Return when the object goes; `standing` is the condition whose clock stands still, empty if none does."""
    goes = "it goes" if mode == "enforce" else "if its policy enforced, it would go"
    runs = when if seconds and when != standing else ""  # a condition that is not met either, but whose clock runs
    for check in explained.protections:
        if check.reason is Reason.GRACE and check.facts:  # ends with time as well
            seconds, when = max((seconds, when), _longest_wait(check.facts))
            standing = standing or ("" if explained.clocks_run else _longest_wait(check.facts)[1])
    if standing:
        both = f"{runs} and {standing}, but the latter" if runs else f"{standing}, but that clock"
        return f"{goes} when {both} stands still {_NO_DAEMON}"
    if seconds:
        return f"{goes} in {short_duration(seconds)}, when {when}"
    return f"{goes} at the next run due{_quiet_hours(explained.quiet_until)}"


def _quiet_hours(until: float | None) -> str:
    if until is None:
        return ""
    return f" by hand, or of the daemon after its quiet hours, which end at {format_local_time(until)}"


def _wait(result: Evaluation) -> tuple[float, str] | None:
    """Return the seconds until the last clock reaches its condition, and which it is; None if one does not run."""
    if not result.holds and not result.facts:
        return None
    return None if any(reading["elapsed"] is None for reading in result.facts.values()) else _longest_wait(result.facts)


def _standing(result: Evaluation, explained: Explanation) -> str:
    """Return the condition that is not met and whose clock stands still, since nobody watches; empty if none does."""
    observed = frozenset[str]() if explained.clocks_run else OBSERVED.get(explained.item.kind, frozenset())
    seconds, when = _longest_wait({name: reading for name, reading in result.facts.items() if name in observed})
    return when if seconds else ""


def _longest_wait(readings: Mapping[str, Any]) -> tuple[float, str]:
    waits = [
        (max(0.0, reading["needs"] - reading["elapsed"]), f"{name} reaches {format_duration(reading['needs'])}")
        for name, reading in readings.items()
    ]
    return max(waits, default=(0.0, ""))
