"""The plan as it stands now, for who looks on: made when it is asked for, and seldom more than once a minute."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from watchd.config import Cleanup
from watchd.engine import snapshot
from watchd.engine.client import EngineClient
from watchd.engine.own import find_own
from watchd.errors import WatchdError
from watchd.model import DiskUsage, Snapshot
from watchd.prune.run import Prepared, plan_for
from watchd.prune.usage import Usage

FRESH_FOR = 60.0  # seconds, at least: planning lists all that the engine has
_SHARE = 20.0  # how much longer than it took to make
_FAILED_FOR = 5.0  # seconds for which what could not be made is not tried again
_KEPT_FOR = 600.0  # seconds


class BeingMade(WatchdError):
    """The first plan is being made for someone else."""


class Preview:
    """Plans for all policies at once, whatever their schedule, as `watchd prune --dry-run` does; nothing is removed.

    `client` only reads. Sizes are not measured for it: `sizes` has those that metrics have, which may be older.
    """

    def __init__(
        self, client: EngineClient, cleanup: Cleanup, usage: Usage, sizes: Callable[[], DiskUsage | None]
    ) -> None:
        self._client = client
        self._cleanup = cleanup
        self._usage = usage
        self._sizes = sizes
        self._planning = threading.Lock()
        self._latest: Prepared | None = None
        self._made_at = 0.0  # monotonic
        self._fresh_for = FRESH_FOR
        self._failed: WatchdError | None = None
        self._failed_at = 0.0  # monotonic

    def replace(self, cleanup: Cleanup) -> None:
        """Plan by another `[cleanup]` from now on."""
        self._cleanup = cleanup
        self._latest = None

    def tick(self) -> None:
        """Forget a plan that nobody has asked for in a while."""
        if time.monotonic() - self._made_at > _KEPT_FOR:
            self._latest = None

    def plan(self, *, at_most: float | None = None) -> Prepared:
        """Return the plan of the last minute (or of the last `at_most` seconds), or make one.

        Where that takes the engine long it is not asked again for twenty times as long.

        Who comes while that goes on gets the one before. So however slow the engine is, one request waits for it and
        no other. Raise `BeingMade` where there is none before, and `EngineError` or `StateError` when none can be made.
        """
        latest = self._latest
        fresh_for = self._fresh_for if at_most is None or self._fresh_for > FRESH_FOR else at_most
        if latest is not None and time.monotonic() - self._made_at < fresh_for:
            return latest
        if self._failed is not None and time.monotonic() - self._failed_at < _FAILED_FOR:
            raise self._failed
        if not self._planning.acquire(blocking=False):
            if latest is None:
                raise BeingMade("the plan is being made: come again in a moment")
            return latest
        try:
            began, cleanup = time.monotonic(), self._cleanup
            kinds = {policy.kind for policy in cleanup.policies}
            look = snapshot.take(self._client, find_own(), kinds, quick=True)
            prepared = plan_for(_sized(look, self._sizes()), cleanup, self._usage)
            self._failed = None
            if cleanup is self._cleanup:
                self._latest, self._made_at = prepared, time.monotonic()
                self._fresh_for = max(FRESH_FOR, _SHARE * (self._made_at - began))
        except WatchdError as error:
            self._failed, self._failed_at = error, time.monotonic()
            raise
        else:
            return prepared
        finally:
            self._planning.release()


def _sized(look: Snapshot, sizes: DiskUsage | None) -> Snapshot:
    """Add what is known of sizes."""
    if sizes is None:
        return look
    containers = (
        replace(each, size_rw=sizes.containers[each.id].writable_layer) if each.id in sizes.containers else each
        for each in look.containers
    )
    volumes = (replace(each, size=sizes.volumes.get(each.name)) for each in look.volumes)
    return replace(look, containers=tuple(containers), volumes=tuple(volumes))
