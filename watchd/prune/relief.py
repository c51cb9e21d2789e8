"""Whether a run under disk pressure has freed enough, by what the disk itself says."""

import logging
from collections.abc import Callable, Mapping

from watchd.config import Cleanup
from watchd.model import Disk, Kind
from watchd.prune.plan import Item, Reason
from watchd.prune.pressure import pressing
from watchd.units import format_size

logger = logging.getLogger(__name__)


class Relief:
    """Measures the disks while a plan is carried out. `measure` has how full the disk with a path is now."""

    def __init__(self, disks: Mapping[Kind, Disk], cleanup: Cleanup, measure: Callable[[Disk], Disk | None]) -> None:
        self._disks = dict(disks)
        self._policies = {policy.name: policy for policy in cleanup.policies}
        self._measure = measure
        self._fresh: set[str] = set()  # paths of what was measured since this run began
        self._trouble: dict[str, str] = {}  # by path: why nothing more is removed to make room there

    def enough(self, item: Item) -> str:
        """Return why an item need not go any more, empty while it has to."""
        disk = self._disks.get(item.kind)
        policy = self._policies.get(item.policy or "")
        if item.reason is not Reason.PRESSURE or policy is None or policy.pressure is None or disk is None:
            return ""
        if disk.path not in self._fresh:  # what went before in this run has freed something, too
            disk = self._look(item.kind) or disk
        if self._trouble.get(disk.path):
            return self._trouble[disk.path]
        if not pressing(policy.pressure, disk, acts_already=True):
            return f"the disk is at its low mark: {disk.used_share:.1%} of {disk.path} used"
        return ""

    def look_again(self, kind: Kind) -> None:
        """Measure the disk of a kind after a batch of it. One that freed nothing is the last."""
        before = self._disks.get(kind)
        if before is None:
            return
        after = self._look(kind)
        if after is None:
            self._trouble[before.path] = f"{before.path} cannot be measured any more"
        elif after.used >= before.used and after.inodes_used >= before.inodes_used:
            self._trouble[before.path] = (
                f"removing made no room on {before.path}: {format_size(after.available)} are available, no more than"
                " before"
            )
        if before.path in self._trouble:
            logger.warning("%s: nothing more is removed for it in this run", self._trouble[before.path])

    def _look(self, kind: Kind) -> Disk | None:
        before = self._disks[kind]
        after = self._measure(before)
        if after is not None:
            self._fresh.add(after.path)
            self._disks |= {other: after for other, disk in self._disks.items() if disk.path == after.path}
        return after
