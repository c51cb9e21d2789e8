"""Replay the past of a host, with policies that remove objects by the plans of real runs. Pure."""

from collections.abc import Callable, Collection
from dataclasses import replace

from watchd.cleanup.past.agenda import Agenda, Due
from watchd.cleanup.past.host import PastHost
from watchd.cleanup.past.moments import Moment, moments
from watchd.cleanup.past.record import Past
from watchd.cleanup.past.regrets import Absences
from watchd.cleanup.past.result import Outcome, Removed
from watchd.cleanup.past.usage import Recorder
from watchd.cleanup.plan.planner import Trigger, plan
from watchd.cleanup.plan.rules.watermarks import active_watermarks, watermarks
from watchd.config import Cleanup
from watchd.config.cron import quiet_until

_LARGEST_SHARE = 3  # of the time looked at, that may be needed to decide about a removal


def replay(  # noqa: PLR0913 - what is looked at, and how
    past: Past,
    cleanup: Cleanup,
    *,
    judged: Collection[str] | None = None,
    since: float,
    until: float,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Outcome:
    """Return what policies would have done between two times. `on_progress` gets the share that is done.

    The policies `judged` (None: all) count as enforced, the others as configured. The build cache has no past.
    """
    if past.watched:
        since, until = max(since, past.watched[0][0]), min(until, past.watched[-1][1])
    until = max(since, until)
    names = {policy.name for policy in cleanup.policies} if judged is None else set(judged)
    policies = [policy for policy in cleanup.policies if policy.kind != "build_cache"]
    window = min(cleanup.regret_window, (until - since) / _LARGEST_SHARE)
    replayed = _Replay(past, _in_force(cleanup, names), Absences(window), since)
    replayed.live(until, on_progress)
    return Outcome(
        since=since,
        until=until,
        unwatched=max(0.0, until - since - past.watched_seconds(since, until)),
        window=window,
        policies=tuple(
            replayed.absences.judged(policy, cleanup, lambda at: past.watched_seconds(at, until))
            for policy in policies
            if policy.name in names
        ),
        with_policies=replayed.with_policies.course(),
        without=replayed.without.course(),
    )


def _in_force(cleanup: Cleanup, judged: Collection[str]) -> Cleanup:
    """Return the settings with the policies that are judged in force, and without those for the build cache."""
    return replace(
        cleanup,
        policies=tuple(
            replace(policy, mode="enforce") if policy.name in judged else policy
            for policy in cleanup.policies
            if policy.kind != "build_cache"
        ),
    )


class _Replay:
    """One life of the host with the policies in force."""

    def __init__(self, past: Past, cleanup: Cleanup, absences: Absences, since: float) -> None:
        self.absences = absences
        self._past = past
        self._cleanup = cleanup
        self._since = since
        enforced = [policy for policy in cleanup.policies if cleanup.mode_of(policy) == "enforce"]
        self._agenda = Agenda(cleanup, {policy.name for policy in enforced}, past.watched, since)
        self._with_marks = [each for each in enforced if each.pressure and any(watermarks(each.pressure))]
        self._acting: Due = frozenset()
        self._host = PastHost(past, since, count_unwatched=cleanup.count_unwatched)
        self.with_policies = Recorder(self._host.ledger, since, past.watched_seconds)
        self.without = Recorder(self._host.without, since, past.watched_seconds)

    def live(self, until: float, on_progress: Callable[[float], None]) -> None:
        """Go through the past up to a time."""
        steps = moments(self._past, until)
        for number, moment in enumerate(steps):
            if moment.at >= self._since:
                self._run_until(moment.at)
                self._advance(moment.at)
            self._apply(moment)
            if moment.at >= self._since:
                self._watch_disks(moment.at)
            if number % 100 == 0:
                on_progress(number / len(steps))
        self._run_until(until, at_end=True)
        self._advance(until)
        on_progress(1.0)

    def _advance(self, at: float) -> None:
        self.with_policies.advance(at)
        self.without.advance(at)

    def _apply(self, moment: Moment) -> None:
        for need in self._host.needs(moment) if self.absences.waiting else ():
            for absence in self.absences.needed(need):
                absent = absence.key in self._host.absent
                fetched = self._host.bring_back(absence.key, need.time) if absent else absence.removed.bytes
                self.absences.end(absence, need, fetched)
        self._host.apply(moment)

    def _run_until(self, at: float, *, at_end: bool = False) -> None:
        """Carry out the runs before a time; what happens at the same time as a run comes first."""
        while (run_at := self._agenda.next_at()) is not None and (run_at < at or (at_end and run_at == at)):
            due = self._agenda.pop()
            self._advance(run_at)
            self._watch_disks(run_at)
            quiet = quiet_until(self._cleanup.quiet_hours, run_at, self._cleanup.timezone)
            if quiet is None:
                self._run(run_at, due)
            else:
                self._agenda.put_off(due, quiet)

    def _run(self, at: float, due: Due, acting: Due = frozenset()) -> bool:
        """Carry out one run. Return whether it removed anything."""
        view, observations = self._host.look(at)
        made = plan(view, self._cleanup, observations, at, Trigger(due=due, acting=acting))
        removals = [item for item in made.in_force if item.action == "remove"]
        for item in removals:
            key = self._host.key_of(item.kind, item.id)
            thing = self._host.things[key]
            size = self._host.remove(key)
            removed = Removed(at, item.policy or "", item.kind, item.id, item.name, size)
            self.absences.begin(key, removed, thing)
        return bool(removals)

    def _watch_disks(self, at: float) -> None:
        """Let policies act from their high marks to their low marks, as the daemon does."""
        while self._with_marks:
            disks = self._host.disks()
            self._acting = frozenset(
                policy.name
                for policy in self._with_marks
                if policy.pressure is not None
                and policy.kind in disks
                and active_watermarks(policy.pressure, disks[policy.kind], acting=policy.name in self._acting)
            )
            if not self._acting or quiet_until(self._cleanup.quiet_hours, at, self._cleanup.timezone) is not None:
                return
            if not self._run(at, self._acting, self._acting):
                return
