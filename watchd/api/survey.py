"""The disk usage report of `watchd df`, for the page."""

from watchd.api.preview import BeingMade, plan_view
from watchd.cleanup.observe.observer import Observer
from watchd.cleanup.report.disk.usage import UsageReport, usage_report
from watchd.config import Cleanup
from watchd.engine.data.disks import EngineDisks
from watchd.engine.watch.mirror import Mirror
from watchd.engine.watch.sizes import Sizes

FRESH_FOR = 60.0  # seconds, at least
_PATIENCE = 2.0  # seconds that a request waits for sizes


class Survey:
    """Report from the last measured sizes, and request new ones if they are old: no request waits long for that."""

    def __init__(self, mirror: Mirror, sizes: Sizes, cleanup: Cleanup, observer: Observer, disks: EngineDisks) -> None:
        self._mirror = mirror
        self._sizes = sizes
        self._cleanup = cleanup
        self._observer = observer
        self._disks = disks
        self._latest: tuple[object, Cleanup, UsageReport] | None = None  # of these sizes

    def replace(self, cleanup: Cleanup) -> None:
        """Plan by another `[cleanup]` from now on."""
        self._cleanup = cleanup

    def accounts(self) -> UsageReport:
        """Return the disk usage report. Raise `BeingMade` while sizes are not known, or the error of the attempt."""
        if not self._sizes.ensure(FRESH_FOR, _PATIENCE):
            raise BeingMade("the engine is adding it up: come again in a moment")
        sizes, cleanup = self._mirror.view.sizes, self._cleanup
        latest = self._latest
        if latest is None or latest[0] is not sizes or latest[1] is not cleanup:
            prepared = plan_view(self._mirror, cleanup, self._observer, self._disks)
            latest = sizes, cleanup, usage_report(prepared.view, sizes.images if sizes else None, prepared.plan)
            self._latest = latest
        return latest[2]
