"""Decide by the disk itself whether a run under pressure has freed enough."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate

from watchd.cleanup.plan.plan import Item
from watchd.cleanup.plan.rules.watermarks import active_watermarks
from watchd.config import Cleanup, Policy, Pressure
from watchd.model import Disk, Kind
from watchd.units import format_size

logger = logging.getLogger(__name__)

_STEP = 10  # objects, at the most, between two measurements where estimates are not proven
_LARGEST_STEP = 64  # where they are
_WORTHWHILE = 0.1  # of the estimate: the engine's own notes about an image take some kilobytes, and go with it
_AGREES = (0.5, 2.0)  # what is freed, by its estimate
_MEASURABLE = 1_000_000  # bytes; of fewer nothing is seen beside other programs' writes
_MEASURABLE_SHARE = 0.001  # of a small disk
_IN_VAIN = 3  # steps in a row that may free nothing: a build may have taken what one of them freed


class DiskRoom:
    """Measure the disks while a plan is executed, and the totals of policies. `measure` and `total` may return None.

    `in_vain` counts the steps in a row that freed nothing, by kind, over all runs: one plan may have too few of them.

    Whether removals free anything is learned from one object at a time, or from as many small ones as can be measured,
    and ends the kind that freed nothing. While what they free agrees with its estimate, each step is twice as large as
    the one before, but never larger than the estimates say is left until the low mark.
    """

    def __init__(
        self,
        disks: Mapping[Kind, Disk],
        cleanup: Cleanup,
        measure: Callable[[Disk], Disk | None],
        total: Callable[[Policy], int | None] = lambda _: None,
        in_vain: Counter[Kind] | None = None,
    ) -> None:
        self._disks = disks
        self._policies = {policy.name: policy for policy in cleanup.policies}
        self._measure = measure
        self._total = total
        self._totals: dict[str, int | None] = {}  # by policy, when the current step began
        self._before: Disk | None = None  # the disk when the current step began
        # Objects of the next step, by path and kind: those of which the last step on that disk freed something.
        self._sizes: dict[tuple[str, Kind], int] = {}
        self._in_vain = Counter() if in_vain is None else in_vain
        self._ended: dict[Kind, str] = {}  # why no further object of a kind is removed under pressure

    @property
    def in_vain(self) -> frozenset[Kind]:
        """Return the kinds that were ended because their removals freed nothing."""
        return frozenset(self._ended)

    def begin_step(self, items: Sequence[Item]) -> Sequence[Item]:
        """Measure the disk before the first of these items. Return those that go before it is measured again.

        Where nothing of their kind has made room yet they end with the first that should make room that can be
        measured: what holds the same space as it goes before it.
        """
        step = items[:_LARGEST_STEP]
        step = step[: next((n for n, each in enumerate(step) if self._place(each) != self._place(step[0])), None)]
        policy = self._policies.get(items[0].policy or "")
        if policy is not None and _for_total(items[0]):
            self._before = None
            self._totals[policy.name] = self._total(policy)
            return step[:_STEP]
        disk = self._disks.get(items[0].kind)
        self._before = self._measure(disk) if disk else None
        freed = accumulate(item.bytes for item in step)
        least = _measurable(self._before) if self._before else 1
        needed = next((n for n, size in enumerate(freed, start=1) if size >= least), _STEP)
        return step[: max(needed, self._proven(step, self._before, policy))]

    def _proven(self, items: Sequence[Item], disk: Disk | None, policy: Policy | None) -> int:
        """Return how many of these items may go before the disk is measured again; 0: nothing tells yet."""
        size = self._sizes.get((disk.path, items[0].kind), 0) if disk else 0
        if not size or disk is None or policy is None or policy.pressure is None:
            return 0
        items = items[: next((n for n, each in enumerate(items) if (disk.path, each.kind) not in self._sizes), size)]
        lows = [mark.in_bytes(disk) for mark in active_watermarks(policy.pressure, disk, acting=True)]
        if not lows or None in lows:  # of inodes nothing is estimated
            return len(items[:size])
        left = disk.used - min(low for _, low in filter(None, lows))
        freed = accumulate(item.bytes for item in items[:size])
        return next((n for n, total in enumerate(freed, start=1) if total >= left), len(items[:size]))

    def enough(self, item: Item) -> str:
        """Return why an item can stay, empty if its disk still needs the space."""
        policy = self._policies.get(item.policy or "")
        if policy is not None and policy.pressure is not None and _for_total(item):
            return self._below_total(policy.name, policy.pressure)
        if item.kind in self._ended:
            return self._ended[item.kind]
        disk = self._disks.get(item.kind)
        if disk is None or policy is None or policy.pressure is None:
            return ""
        now = self._measure(disk)  # each time: other removals free space, too
        if now is None:
            return f"{disk.path} cannot be measured any more"
        if not active_watermarks(policy.pressure, now, acting=True):
            return f"the disk is at its low mark: {now.used_share:.1%} of {disk.path} used"
        return ""

    def _freed_inodes(self, removed: Sequence[Item], before: Disk, now: Disk) -> bool:
        """Return whether inodes were freed, for a policy that has marks of them."""
        policies = (self._policies.get(item.policy or "") for item in removed)
        wanted = any(each and each.pressure and each.pressure.inodes_high is not None for each in policies)
        return wanted and now.inodes_used < before.inodes_used

    def _below_total(self, policy: str, pressure: Pressure) -> str:
        total = self._totals.get(policy)
        if total is None:
            return f"what {policy} selects cannot be listed any more"
        enough = pressure.total_until is not None and total <= pressure.total_until
        return f"what {policy} selects takes {format_size(total)} now, its low mark" if enough else ""

    def end_step(self, removed: Sequence[Item]) -> None:
        """Measure the disk after a step that removed these items."""
        before, self._before = self._before, None
        now = self._measure(before) if before else None
        if before is None or now is None:
            return
        kinds = {item.kind for item in removed if item.action == "remove"}
        expected, freed = sum(item.bytes for item in removed), before.used - now.used
        if freed >= max(1, expected * _WORTHWHILE) or self._freed_inodes(removed, before, now):
            agrees = _AGREES[0] * expected <= freed <= _AGREES[1] * expected
            most = _LARGEST_STEP if agrees else _STEP
            for kind in kinds:
                self._in_vain.pop(kind, None)
                self._sizes[now.path, kind] = min(most, 2 * self._sizes.get((now.path, kind), 1))
            return
        if 0 < expected < _measurable(before) and not any(item.at_least for item in removed):
            return
        self._sizes = {place: size for place, size in self._sizes.items() if place[0] != now.path}
        self._in_vain.update(kinds)
        for kind in kinds:
            if self._in_vain[kind] >= _IN_VAIN and kind not in self._ended:
                self._ended[kind] = (
                    f"removals of this kind freed nothing on {now.path}: {format_size(now.available)} are available"
                )
                logger.warning("%s (%s); this run removes no more of it under pressure", self._ended[kind], kind)

    def _place(self, item: Item) -> str:
        """Return the policy whose total an item is removed for, else the path of its disk."""
        disk = self._disks.get(item.kind)
        return f"total of {item.policy}" if _for_total(item) else disk.path if disk else ""


def _measurable(disk: Disk) -> float:
    """Return the bytes that removals have to free for a measurement to show it."""
    return min(_MEASURABLE, max(1, _MEASURABLE_SHARE * (disk.used + disk.available)))


def _for_total(item: Item) -> bool:
    return "total_above" in item.facts.get("pressure", {})
