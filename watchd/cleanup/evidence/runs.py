"""Runs of a container, several with short pauses as one use. Pure."""

from dataclasses import replace

from watchd.model import Container
from watchd.model.history.timeline import Use


def started(use: Use | None, at: float, merge_within: float) -> Use:
    """Return the use after a start; one that is already going on stays as it is."""
    if use is not None and use.last is None:
        return use
    if use is None or use.last is None or at - use.last > merge_within:
        return Use(at, None)
    return replace(use, last=None, count=use.count + 1, longest_gap=max(use.longest_gap, at - use.last))


def stopped(use: Use | None, at: float, exit_code: int | None) -> Use | None:
    """Return the use after an end; None where no start is known."""
    if use is None or use.last is not None:
        return use
    return replace(use, last=max(at, use.first), exit_code=exit_code)


def looked(use: Use | None, container: Container, merge_within: float) -> Use | None:
    """Return the use after a look at a container: events may not have told everything."""
    start, end = container.started_at, container.finished_at
    if start is not None and (use is None or (use.last is not None and start > use.last)):
        use = started(use, start, merge_within)
    return use if container.is_running or end is None else stopped(use, end, container.exit_code)
