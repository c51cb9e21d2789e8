"""Clocks that stand still since nobody watches the engine, in words."""

from collections.abc import Iterator

from watchd.cleanup.observe.observer import Watched
from watchd.cleanup.plan.rules.conditions import OBSERVED
from watchd.cleanup.report.words import joined
from watchd.config import Cleanup
from watchd.units import short_duration


def watched_note(watched: Watched, cleanup: Cleanup) -> Iterator[str]:
    """Yield that clocks stood still since the last look, if the policies or `grace` go by any that did."""
    observed = {
        clock: None for policy in cleanup.policies for clock in policy.when if clock in OBSERVED.get(policy.kind, ())
    }
    names = [*observed, *(["grace"] if cleanup.grace else [])]
    if watched.clocks_run or watched.since_last_look is None or not names:
        return
    unwatched = short_duration(watched.since_last_look - watched.watched)
    yield f'unwatched for {unwatched}: {joined(names)} stood still (docs/cleaning.md, "Unwatched time")'
