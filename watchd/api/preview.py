"""The plan as it stands now, from the mirror: made when it is asked for, at most once a minute if it is complete."""

import threading
import time
from dataclasses import replace

from watchd.cleanup.observe.observer import Observer
from watchd.cleanup.run.planning import Prepared, plan_cleanup, with_frequency, with_records
from watchd.config import Cleanup
from watchd.engine.data.disks import EngineDisks
from watchd.engine.data.mounts import with_mounts
from watchd.engine.own_container import find_own
from watchd.engine.watch.mirror import Mirror
from watchd.engine.watch.sizes import Sizes
from watchd.errors import EngineUnreachable, WatchdError
from watchd.model import EngineView

FRESH_FOR = 60.0  # seconds, at least
_SHARE = 20.0  # how much longer than it took to make
_KEPT_FOR = 600.0  # seconds
_PATIENCE = 2.0  # seconds to wait for the build cache to be listed


class BeingMade(WatchdError):
    """The first plan is being made for another request."""


class Preview:
    """Plans for all policies at once, whatever their schedule, as `watchd prune --dry-run` does.

    Asks the engine for nothing but the build cache, and writes nothing.
    """

    def __init__(self, mirror: Mirror, sizes: Sizes, cleanup: Cleanup, observer: Observer, disks: EngineDisks) -> None:
        self._mirror = mirror
        self._sizes = sizes
        self._cleanup = cleanup
        self._observer = observer
        self._disks = disks
        self._planning = threading.Lock()
        self._latest: Prepared | None = None
        self._made_at = 0.0  # monotonic
        self._fresh_for = FRESH_FOR

    @property
    def cleanup(self) -> Cleanup:
        """The `[cleanup]` in force."""
        return self._cleanup

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

        While one is being made, others get the one before. Raise `BeingMade` where there is none, `EngineUnreachable`
        before the engine was listed, and `StateError` where observations cannot be read.
        """
        latest = self._latest
        fresh_for = self._fresh_for if at_most is None or self._fresh_for > FRESH_FOR else at_most
        if latest is not None and time.monotonic() - self._made_at < fresh_for:
            return latest
        if not self._planning.acquire(blocking=False):
            if latest is None:
                raise BeingMade("the plan is being made: come again in a moment")
            return latest
        try:
            began, cleanup = time.monotonic(), self._cleanup
            if any(policy.kind == "build_cache" for policy in cleanup.policies):
                self._sizes.ensure(FRESH_FOR, _PATIENCE)
            prepared = plan_view(self._mirror, cleanup, self._observer, self._disks)
            if cleanup is self._cleanup:
                self._latest, self._made_at = prepared, time.monotonic()
                least = 0.0 if prepared.plan.incomplete else FRESH_FOR  # what was missing may be known in a moment
                self._fresh_for = max(least, _SHARE * (self._made_at - began))
            return prepared
        finally:
            self._planning.release()


def plan_view(mirror: Mirror, cleanup: Cleanup, observer: Observer, disks: EngineDisks) -> Prepared:
    """Plan from the mirror and the record, without writing."""
    view = _complete(mirror, disks)
    observations = with_frequency(observer.read(view, view.taken_at), view, cleanup, observer)
    view = with_records(view, observations, observer)
    return plan_cleanup(view, cleanup, observations, view.taken_at)


def _complete(mirror: Mirror, disks: EngineDisks) -> EngineView:
    """Return the mirror's view with sizes, disks, and the container that this process runs in."""
    view = mirror.view
    if not view.engine.is_known:
        raise EngineUnreachable("the engine has not been listed yet")
    own = find_own()
    view = replace(view.sized(), own=own, taken_at=time.time())
    measured = disks.measure(view.engine, view.containers, view.volumes, view.images, own)
    volumes = with_mounts(view.volumes) if measured.is_here else view.volumes
    return replace(
        view, disks=measured.disks, log_disk=measured.log_disk, unmeasured=measured.unmeasured, volumes=volumes
    )
