"""Regrets as text."""

from watchd.cleanup.report.words import full_name
from watchd.model import Regret
from watchd.store import Recorded
from watchd.units import format_time, short_duration


def how_regretted(regret: Regret) -> str:
    """Return one sentence on an object that was removed, or would have been, and was needed again."""
    removed = "removed" if regret.mode == "enforce" else "in force it would have been removed"
    after = short_duration(regret.needed_at - regret.removed_at)
    at = format_time(regret.removed_at)
    return f"{removed} by {regret.policy} at {at}, needed again after {after}: {regret.why}"


def regretted(row: Recorded) -> str:
    """Return one line on a regret, with the object."""
    removal = row.removal
    regret = Regret(removal.policy, removal.mode, removal.time, row.regretted_at or removal.time, row.needed_for)
    return f"{removal.kind} {full_name(removal.name, removal.facts)}: {how_regretted(regret)}"
