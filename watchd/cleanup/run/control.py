"""Callbacks of a run, and the ways to end it early."""

import threading

from watchd.cleanup.plan.plan import Item, Outcome
from watchd.cleanup.run.planning import Prepared
from watchd.model import EngineView, Kind
from watchd.store import Cause


class RunControl:
    """Follow and steer a run. These defaults report nothing and never end it early.

    Once `stop` is set the run ends after the current object. `cause` is the trigger of the run, as in the history.
    """

    cause: Cause = "manual"

    def __init__(self, stop: threading.Event | None = None) -> None:
        self.stop = stop or threading.Event()

    def on_fresh_view(self, view: EngineView) -> None:
        """Take note of the view that the plan is made from."""

    def on_plan(self, prepared: Prepared) -> bool:  # noqa: ARG002 - for those that override it
        """Report the plan. Return whether to execute it."""
        return True

    def ends_before(self, kind: Kind) -> bool:  # noqa: ARG002 - for those that override it
        """Return whether the run ends here, before an object of this kind. The rest has no outcome."""
        return self.stop.is_set()

    def pause(self) -> str:
        """Return why no further object may be removed for now, empty if it may. The rest is deferred."""
        return ""

    def on_item(self, item: Item) -> None:
        """Take note of the item that comes next."""

    def on_outcome(self, item: Item, outcome: Outcome, detail: str) -> None:
        """Report the outcome of an item."""
