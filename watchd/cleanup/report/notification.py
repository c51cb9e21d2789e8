"""Notifications about runs: short texts for people."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from watchd.cleanup.plan.plan import Outcome, Outcomes, Plan
from watchd.cleanup.report.past.regrets import regretted
from watchd.cleanup.report.plans import result
from watchd.cleanup.report.words import full_name
from watchd.model import EngineInfo
from watchd.store import Recorded

_MOST_NAMES = 10


@dataclass(frozen=True, slots=True)
class Notification:
    """A title and a few lines."""

    title: str
    body: str
    is_failure: bool = False


def of_run(plan: Plan, outcomes: Outcomes | None, *, succeeded: bool, under_pressure: bool) -> Notification | None:
    """Return the notification of a run; None if it removed nothing and nothing failed."""
    removed = [item for item in plan.in_force if outcomes and outcomes.get(item.key) is Outcome.REMOVED]
    if not removed and succeeded:
        return None
    lines = [str(result(plan, outcomes or {}))]
    lines += [
        f"{item.kind.replace('_', ' ')} {full_name(item.name, item.facts)} ({item.policy})"
        for item in removed[:_MOST_NAMES]
    ]
    if len(removed) > _MOST_NAMES:
        lines.append(f"and {len(removed) - _MOST_NAMES} more: watchd history")
    lines += [f"Not judged: {kind.replace('_', ' ')} ({error})" for kind, error in plan.incomplete.items()]
    what = "cleaned up" if succeeded else "cleaned up, with failures" if removed else "could not clean up"
    why = ", since a disk is too full" if under_pressure else ""
    return Notification(f"watchd {what} {_host(plan.engine)}{why}", "\n".join(lines), not succeeded)


def of_error(error: Exception, policies: Collection[str]) -> Notification:
    """Return the notification of a run that ended with an error."""
    return Notification("watchd could not clean up", f"Run of {', '.join(sorted(policies))}: {error}", is_failure=True)


def of_exhausted(policy: str) -> Notification:
    """Return the notification that a policy cannot make enough room."""
    body = f"Policy {policy} can make no more room now. `watchd df` shows what is on the disk."
    return Notification("watchd cannot make enough room: a disk is still too full", body, is_failure=True)


def of_regrets(regrets: Sequence[Recorded], engine: EngineInfo) -> Notification | None:
    """Return the notification about regretted removals; None if all were in report mode."""
    removed = [regret for regret in regrets if regret.removal.mode == "enforce"]
    if not removed:
        return None
    lines = [regretted(regret) for regret in removed[:_MOST_NAMES]]
    if len(removed) > _MOST_NAMES:
        lines.append(f"and {len(removed) - _MOST_NAMES} more: watchd history --regretted")
    return Notification(f"watchd removed what is needed again on {_host(engine)}", "\n".join(lines))


def _host(engine: EngineInfo) -> str:
    return engine.name or "the engine"
