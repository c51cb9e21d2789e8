"""Replay the past of a host, with policies that remove objects by the plans of real runs. Pure."""

from collections.abc import Callable, Collection
from dataclasses import replace

from watchd.cleanup.past.agenda import Agenda, Due
from watchd.cleanup.past.host.host import PastHost
from watchd.cleanup.past.host.ledger import Recorder
from watchd.cleanup.past.moments import Moment, moments
from watchd.cleanup.past.record import Past
from watchd.cleanup.past.regrets import Absences
from watchd.cleanup.past.relations import Relations
from watchd.cleanup.past.relevance import Relevance
from watchd.cleanup.past.result import Outcome, Removed
from watchd.cleanup.plan.planner import Trigger, plan
from watchd.cleanup.plan.rules.watermarks import active_watermarks, total_watermark, watermarks
from watchd.config import Cleanup
from watchd.config.schedules import quiet_until
from watchd.model import SWARM_SERVICE, Key

_LARGEST_SHARE = 3  # of the time looked at, that may be needed to decide about a removal

_TRY_AGAIN = 3600.0  # seconds until policies under pressure that found nothing to remove try again


def replay(  # noqa: PLR0913 - what is looked at, and how
    past: Past,
    cleanup: Cleanup,
    *,
    judged: Collection[str] | None = None,
    since: float,
    until: float,
    on_progress: Callable[[float], None] = lambda _: None,
    skip: bool = True,
) -> Outcome:
    """Return what policies would have done between two times. `on_progress` gets the share that is done.

    The policies `judged` (None: all) count as enforced, the others as configured. The build cache has no past.
    `skip` leaves out runs and objects for which no decision can change: the result is the same.
    """
    if past.watched:
        since, until = max(since, past.watched[0][0]), min(until, past.watched[-1][1])
    until = max(since, until)
    names = {policy.name for policy in cleanup.policies} if judged is None else set(judged)
    policies = [policy for policy in cleanup.policies if policy.kind != "build_cache"]
    window = min(cleanup.regret_window, (until - since) / _LARGEST_SHARE)
    replayed = _Replay(past, _in_force(cleanup, names), Absences(window), since, skip=skip)
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

    def __init__(self, past: Past, cleanup: Cleanup, absences: Absences, since: float, *, skip: bool) -> None:
        self.absences = absences
        self._past = past
        self._cleanup = cleanup
        self._since = since
        self._skip = skip
        enforced = [policy for policy in cleanup.policies if cleanup.mode_of(policy) == "enforce"]
        self._with_marks = [each for each in enforced if each.pressure and any(watermarks(each.pressure))]
        self._totals = {
            each.name: mark for each in enforced if each.pressure and (mark := total_watermark(each.pressure))
        }
        scheduled = {each.name for each in enforced if each.pressure is None or each.name in self._totals}
        self._agenda = Agenda(cleanup, scheduled, past.watched, since)
        self._acting: Due = frozenset()
        self._relations = Relations(cleanup)
        self._relevance: dict[Due, Relevance] = {}
        self._try_at = 0.0  # to make room again, after a run that removed nothing
        self._changed: set[Key] = set()  # objects, since the last run
        self._host = PastHost(past, since, cleanup, self._changed.add if skip else lambda _: None)
        self.with_policies = Recorder(self._host.things.held)
        self.without = Recorder(self._host.things.without)
        self._advanced = since

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
        """Count what is held now as held until a time. To be called before each change."""
        if at > self._advanced:
            seconds = self._past.watched_seconds(self._advanced, at)
            self._advanced = at
            self.with_policies.add(seconds)
            self.without.add(seconds)

    def _apply(self, moment: Moment) -> None:
        for need in self._host.needs(moment) if self.absences.waiting else ():
            for absence in self.absences.needed(need):
                absent = absence.key in self._host.things.absent
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
        over = {name for name in due & self._totals.keys() if self._may_be_over(name)}
        due -= self._totals.keys() - over - acting
        relevance = None if over or acting else self._relevance_for(due)
        keys: set[Key] | None = None
        if relevance is not None:
            if not relevance.open_at(at):
                return False
            by_size = self._cleanup.max_bytes is not None and relevance.has_open("image")
            keys = None if by_size else relevance.keys()
        view, observations = self._host.look(at, keys)
        made = plan(view, self._cleanup, observations, at, Trigger(due=due, acting=acting))
        decided = [(item, self._host.key_of(item.kind, item.id)) for item in made.items if item.action != "untag"]
        if relevance is not None:
            relevance.settle(decided)  # before the removals, which let decisions be made anew
        removals = [(item, key) for item, key in decided if item.in_force]
        for item, key in removals:
            thing = self._host.things.present[key]
            size = self._host.remove(key)
            removed = Removed(at, item.policy or "", item.kind, item.id, item.name, size)
            self.absences.begin(key, removed, thing)
        return bool(removals)

    def _may_be_over(self, policy: str) -> bool:
        """Return whether what a policy selects may be above its mark: all of its kind is."""
        kind = next(each.kind for each in self._cleanup.policies if each.name == policy)
        return self._host.things.held.bytes[kind] > self._totals[policy].start

    def _relevance_for(self, due: Due) -> Relevance | None:
        if not self._skip:
            return None
        self._take_changes()
        found = self._relevance.get(due)
        if found is None:
            found = self._relevance[due] = Relevance(self._cleanup, due, self._relations)
            for key, thing in self._host.things.present.items():
                found.change(key, thing, ())
        return found

    def _take_changes(self) -> None:
        """Let runs decide anew about what has changed, and what rests on it. Between runs nothing is decided."""
        of_swarm = False
        for key in self._changed:
            thing = self._host.things.present.get(key)
            resting = self._relations.replace(key, None if thing is None else thing.subject)
            of_swarm = of_swarm or (thing is not None and SWARM_SERVICE in thing.subject.labels)
            for relevance in self._relevance.values():
                relevance.change(key, thing, resting)
        self._changed.clear()
        if of_swarm:
            for relevance in self._relevance.values():
                relevance.reopen_all()

    def _watch_disks(self, at: float) -> None:
        """Let policies act from their high marks to their low marks, as the daemon does."""
        while self._with_marks and self._past.is_watched(at):
            disks = self._host.disks.now()
            self._acting = frozenset(
                policy.name
                for policy in self._with_marks
                if policy.pressure is not None
                and policy.kind in disks
                and active_watermarks(policy.pressure, disks[policy.kind], acting=policy.name in self._acting)
            )
            if (
                not self._acting
                or at < self._try_at
                or quiet_until(self._cleanup.quiet_hours, at, self._cleanup.timezone) is not None
            ):
                return
            if not self._run(at, self._acting, self._acting):
                self._try_at = at + _TRY_AGAIN
                return
