"""`watchd_prune_*`: metrics of plans and runs."""

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from watchd.cleanup.plan.plan import Item, Outcome, Plan
from watchd.cleanup.plan.rules.conditions import removal_reason
from watchd.config import Cleanup
from watchd.families import counters, gauges
from watchd.store import LastRun, Recorded

_Labels = tuple[str, ...]


class PruneMetrics(Collector):
    """Count from the start of the process; the times of last runs come from the state."""

    def __init__(self, last_runs: Mapping[str, LastRun]) -> None:
        self._lock = threading.Lock()
        self._last_runs = dict(last_runs)
        self._durations: dict[str, float] = {}
        self._planned: dict[str, Counter[_Labels]] = {"": Counter(), "_bytes": Counter()}  # by kind and policy
        self._kept: dict[str, Counter[_Labels]] = {"": Counter(), "_bytes": Counter()}  # by kind and reason
        self._removed: Counter[_Labels] = Counter()
        self._reclaimed: Counter[_Labels] = Counter()
        self._unsized: Counter[_Labels] = Counter()
        self._freed: Counter[_Labels] = Counter()
        self._outcomes: Counter[_Labels] = Counter()
        self._regretted: dict[str, Counter[_Labels]] = {"": Counter(), "_bytes": Counter()}  # by kind, policy and mode
        self._acting: Mapping[str, bool] = {}
        self._shown: Collection[str] | None = None  # None: all

    def set_policies(self, cleanup: Cleanup) -> None:
        """Limit the metrics to these policies; a policy that was dropped must not look overdue.

        Their counters begin at 0, or Prometheus would not see the rise at the first removal.
        """
        with self._lock:
            self._shown = frozenset(policy.name for policy in cleanup.policies)
            for policy in cleanup.policies:
                for kind in (policy.kind, "volume") if getattr(policy, "anonymous_volumes", False) else (policy.kind,):
                    self._removed[kind, policy.name, removal_reason(policy).value] += 0
                    self._reclaimed[(kind,)] += 0
                    self._unsized[(kind,)] += 0
                    for regretted in self._regretted.values():
                        regretted[kind, policy.name, cleanup.mode_of(policy)] += 0
                    for outcome in Outcome:
                        self._outcomes[kind, outcome.value] += 0

    def on_plan(self, plan: Plan, due: Collection[str]) -> None:
        """Set the planned removals of the due policies, in either mode, and the kept objects by reason."""
        with self._lock:
            for number in self._planned.values():
                for labels in [labels for labels in number if labels[1] in due]:
                    del number[labels]
            self._kept = {"": Counter(), "_bytes": Counter()}
            for item in plan.items:
                if item.action == "remove":
                    labels = (item.kind, item.policy or "")
                    self._planned[""][labels] += 1
                    self._planned["_bytes"][labels] += item.bytes
                elif item.action == "keep":
                    labels = (item.kind, item.reason.value)
                    self._kept[""][labels] += 1
                    self._kept["_bytes"][labels] += item.bytes

    def on_outcome(self, item: Item, outcome: Outcome) -> None:
        """Count the outcome of one item."""
        with self._lock:
            self._outcomes[item.kind, outcome.value] += 1
            if outcome is Outcome.REMOVED and item.action == "remove":
                self._removed[item.kind, item.policy or "", item.reason.value] += 1
                self._reclaimed[(item.kind,)] += item.bytes
                self._unsized[(item.kind,)] += item.at_least

    def on_regrets(self, regrets: Iterable[Recorded]) -> None:
        """Count removals whose objects were needed again."""
        with self._lock:
            for removal in (regret.removal for regret in regrets):
                labels = (removal.kind, removal.policy, removal.mode)
                self._regretted[""][labels] += 1
                self._regretted["_bytes"][labels] += removal.bytes

    def on_freed(self, path: str, size: int) -> None:
        """Count the bytes that a run freed on a disk, as measured."""
        with self._lock:
            self._freed[(path,)] += max(0, size)

    def on_run(self, policies: Collection[str], run: LastRun, duration: float) -> None:
        """Note when policies ran, and for how many seconds."""
        with self._lock:
            for policy in policies:
                before = self._last_runs.get(policy)
                succeeded = run.succeeded or (before.succeeded if before else None)
                self._last_runs[policy] = LastRun(run.ran, succeeded)
                self._durations[policy] = duration

    def on_pressure(self, acting: Mapping[str, bool]) -> None:
        """Note which policies act under disk pressure, and whether they found nothing more to remove."""
        with self._lock:
            self._acting = dict(acting)

    def collect(self) -> Iterator[Metric]:
        """Yield the families of `watchd_prune_*`."""
        with self._lock:
            by_policy, by_reason = ("kind", "policy"), ("kind", "reason")
            for suffix, what in (("", "Objects"), ("_bytes", "Bytes of the objects")):
                text = f"{what} that each policy would remove by the last plan it was due in, in either mode."
                planned = [(by, count) for by, count in self._planned[suffix].items() if self._is_shown(by[1])]
                yield gauges(f"watchd_prune_planned{suffix}", text, by_policy, planned)
                text = f"{what} that the last plan keeps, by why."
                yield gauges(f"watchd_prune_kept{suffix}", text, by_reason, self._kept[suffix].items())
            text = "Objects removed by the daemon."
            yield counters("watchd_prune_removed", text, ("kind", "policy", "reason"), self._removed.items())
            text = "Bytes of the objects removed by the daemon, as they were estimated."
            yield counters("watchd_prune_reclaimed_bytes", text, ("kind",), self._reclaimed.items())
            text = "Objects removed by the daemon that may have freed more than their estimate: part of it was unknown."
            yield counters("watchd_prune_unsized", text, ("kind",), self._unsized.items())
            text = "Bytes by which there was more room on a disk after a run of the daemon than before it, as measured."
            yield counters("watchd_prune_freed_bytes", text, ("path",), self._freed.items())
            text = "What became of the items of plans."
            yield counters("watchd_prune_outcomes", text, ("kind", "outcome"), self._outcomes.items())
            labels = ("kind", "policy", "mode")
            text = "Objects that were removed, or in report mode would have been, and were needed again."
            yield counters("watchd_prune_regretted", text, labels, self._regretted[""].items())
            text = "Bytes of those objects, as they were estimated."
            yield counters("watchd_prune_regretted_bytes", text, labels, self._regretted["_bytes"].items())
            runs = sorted((policy, run) for policy, run in self._last_runs.items() if self._is_shown(policy))
            ran = [((policy,), run.ran) for policy, run in runs]
            succeeded = [((policy,), run.succeeded) for policy, run in runs if run.succeeded is not None]
            durations = [((policy,), seconds) for policy, seconds in self._durations.items() if self._is_shown(policy)]
            name, text = "watchd_prune_last_run_timestamp_seconds", "When a policy was last judged by the daemon."
            yield gauges(name, text, ("policy",), ran)
            name, text = "watchd_prune_last_success_timestamp_seconds", "When that was last without any failure."
            yield gauges(name, text, ("policy",), succeeded)
            name, text = "watchd_prune_duration_seconds", "How long the last run of a policy took, planning included."
            yield gauges(name, text, ("policy",), durations)
            name, text = "watchd_prune_under_pressure", "1 while a policy acts for room on the disk."
            yield gauges(name, text, ("policy",), [((policy,), 1) for policy in self._acting])
            name, text = "watchd_prune_exhausted", "1 while a policy acts for room and can make no more."
            yield gauges(name, text, ("policy",), [((policy,), int(spent)) for policy, spent in self._acting.items()])

    def _is_shown(self, policy: str) -> bool:
        return self._shown is None or policy in self._shown
