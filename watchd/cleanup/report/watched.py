"""Clocks that stand still since nobody watches the engine, in words."""

from collections.abc import Iterator

from watchd.cleanup.observe.observer import Watched
from watchd.cleanup.plan.rules.conditions import OBSERVED
from watchd.config import Cleanup
from watchd.units import short_duration

WHAT_TO_DO = "run `watchd run`, or set cleanup.count_unwatched = true where only `watchd prune` runs"
_RISK = "then a `docker run --rm` that nobody saw counts as no use"


def watched_note(watched: Watched, cleanup: Cleanup) -> Iterator[str]:
    """Yield that clocks stood still since the last look, if the policies or `grace` go by any that did."""
    observed = {
        clock: None for policy in cleanup.policies for clock in policy.when if clock in OBSERVED.get(policy.kind, ())
    }
    names = [*observed, *(["grace"] if cleanup.grace else [])]
    if watched.clocks_run or watched.since_last_look is None or not names:
        return
    since = short_duration(watched.since_last_look)
    part = short_duration(watched.watched) if watched.watched else "nothing"
    yield (
        f"of the {since} since the last look {part} was watched: {', '.join(names)} stood still. To let them run,"
        f" {WHAT_TO_DO} ({_RISK})."
    )
