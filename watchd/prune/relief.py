"""Whether a run under disk pressure has freed enough, by what the disk itself says."""

import logging
from collections.abc import Callable, Mapping

from watchd.config import Cleanup
from watchd.model import Disk, Kind
from watchd.prune.plan import Item
from watchd.prune.pressure import pressing
from watchd.units import format_size

logger = logging.getLogger(__name__)


class Relief:
    """Measures the disks while a plan is carried out. `measure` has how full one is now, None where it cannot tell."""

    def __init__(self, disks: Mapping[Kind, Disk], cleanup: Cleanup, measure: Callable[[Disk], Disk | None]) -> None:
        self._disks = disks
        self._policies = {policy.name: policy for policy in cleanup.policies}
        self._measure = measure
        self._before: Disk | None = None  # the batch under way
        self._trouble = ""  # why nothing more is removed to make room

    def begin(self, kind: Kind) -> None:
        """Begin a batch of objects of one kind."""
        disk = self._disks.get(kind)
        self._before = self._measure(disk) if disk else None

    def enough(self, item: Item) -> str:
        """Return why an item need not go any more to make room, empty while it has to."""
        disk = self._disks.get(item.kind)
        policy = self._policies.get(item.policy or "")
        if self._trouble or disk is None or policy is None or policy.pressure is None:
            return self._trouble
        now = self._measure(disk)  # what went otherwise has freed something, too
        if now is None:
            return f"{disk.path} cannot be measured any more"
        if not pressing(policy.pressure, now, acts_already=True):
            return f"the disk is at its low mark: {now.used_share:.1%} of {disk.path} used"
        return ""

    def end(self) -> None:
        """End a batch of which something was removed. One that freed nothing is the last."""
        before, self._before = self._before, None
        now = self._measure(before) if before else None
        if before and now and now.used >= before.used and now.inodes_used >= before.inodes_used:
            available = format_size(now.available)
            self._trouble = f"removing made no room on {now.path}: {available} are available, no more than before"
            logger.warning("%s; nothing more is removed for that in this run", self._trouble)
