"""Thresholds by evidence: what each would have freed, and what of it would have been regretted. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from watchd.cleanup.past.marks import DiskAdvice, advise_marks
from watchd.cleanup.past.record import Past
from watchd.cleanup.past.replay import replay
from watchd.cleanup.past.result import Judged, Outcome, Taken
from watchd.config import Cleanup, ContainerPolicy, ImagePolicy, NetworkPolicy, Policy, VolumePolicy
from watchd.model import Kind

_HOUR, _DAY = 3600.0, 86400.0
THRESHOLDS = (
    *(hours * _HOUR for hours in (1, 6, 12)),
    *(days * _DAY for days in (1, 2, 3, 5, 7, 9, 14, 30, 60, 90)),
)  # fmt: skip
KINDS: tuple[Kind, ...] = ("container", "image", "network", "volume")
FEWEST_DECIDED = 20  # objects, for a threshold to have a value
_NOTHING = Taken()

Judge = Callable[[float], dict[Kind, "Threshold | None"]]
Each = Callable[[Judge, Sequence[float]], Iterable[dict[Kind, "Threshold | None"]]]


@dataclass(frozen=True, slots=True)
class Threshold:
    """Result of a policy with one threshold. `mean` is the bytes that the kind would have taken."""

    seconds: float
    removed: int
    decided: int  # those of which it is known whether they were needed again
    regrets: int
    regretted_bytes: int
    mean: float


@dataclass(frozen=True, slots=True)
class KindAdvice:
    """The thresholds of a kind; those without a value are None. `without` is what it takes if nothing is removed."""

    kind: Kind
    thresholds: Mapping[float, Threshold | None]
    recommended: Threshold | None
    without: Taken
    today: Sequence[float] = ()  # of the policies in the configuration


@dataclass(frozen=True, slots=True)
class Advice:
    """Thresholds of kinds and marks of disks, by the time from `since` to `until`, in seconds since the epoch."""

    since: float
    until: float
    unwatched: float  # seconds, left out
    window: float  # seconds within which a need was a regret
    most_regrets: int
    kinds: tuple[KindAdvice, ...]
    disks: tuple[DiskAdvice, ...]

    @property
    def watched(self) -> float:
        """The seconds that were watched."""
        return self.until - self.since - self.unwatched


def advise(  # noqa: PLR0913 - what is looked at, and how
    past: Past,
    cleanup: Cleanup,
    *,
    kinds: Sequence[Kind] = KINDS,
    most_regrets: int = 0,
    since: float,
    until: float,
    each: Each = map,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Advice:
    """Return what each threshold would have done, for all these kinds, in the place of their policies.

    The policies of other kinds do as configured. `each` calls a function for each threshold and yields the results in
    their order; `on_progress` gets the share that is done.
    """

    def judge(seconds: float) -> dict[Kind, Threshold | None]:
        settings = with_threshold(cleanup, kinds, seconds)
        outcome = replay(past, settings, judged=[name_of(kind) for kind in kinds], since=since, until=until)
        return {judged.kind: _threshold(outcome, judged, seconds) for judged in outcome.policies}

    nothing = replay(past, replace(cleanup, policies=()), since=since, until=until)
    watched = nothing.until - nothing.since - nothing.unwatched
    chosen = [seconds for seconds in THRESHOLDS if seconds <= watched / 2]
    found: dict[Kind, dict[float, Threshold | None]] = {kind: dict.fromkeys(THRESHOLDS) for kind in kinds}
    for number, of_kinds in enumerate(each(judge, chosen)):
        on_progress((number + 1) / len(chosen))
        for kind, threshold in of_kinds.items():
            found[kind][chosen[number]] = threshold
    return Advice(
        since=nothing.since,
        until=nothing.until,
        unwatched=nothing.unwatched,
        window=nothing.window,
        most_regrets=most_regrets,
        kinds=tuple(_advice(kind, of_kind, cleanup, nothing, most_regrets) for kind, of_kind in found.items()),
        disks=tuple(advise_marks(past.disks, nothing.since, nothing.until)),
    )


def with_threshold(cleanup: Cleanup, kinds: Sequence[Kind], seconds: float) -> Cleanup:
    """Return settings with one policy for each of these kinds, in the place of all that they have."""
    others = [policy for policy in cleanup.policies if policy.kind not in kinds]
    return replace(cleanup, policies=(*(_policy(kind, seconds) for kind in kinds), *others))


def clock_of(kind: Kind) -> str:
    """Return the clock whose threshold is sought."""
    return "finished_for" if kind == "container" else "unused_for"


def name_of(kind: Kind) -> str:
    """Return the name of an advised policy."""
    return f"{'exited' if kind == 'container' else 'unused'}-{kind}s"


def _policy(kind: Kind, seconds: float) -> Policy:
    name = name_of(kind)
    match kind:
        case "container":
            return ContainerPolicy(name=name, kind=kind, when={"finished_for": seconds})
        case "image":
            return ImagePolicy(name=name, kind=kind, when={"unused_for": seconds})
        case "network":
            return NetworkPolicy(name=name, kind=kind, when={"unused_for": seconds})
        case "volume":
            return VolumePolicy(name=name, kind=kind, when={"unused_for": seconds})
    raise ValueError(kind)


def _threshold(outcome: Outcome, judged: Judged, seconds: float) -> Threshold | None:
    """Return what a threshold would have done; None where too little is decided."""
    decided = len(judged.removed) - judged.undecided
    if decided < FEWEST_DECIDED:
        return None
    return Threshold(
        seconds=seconds,
        removed=len(judged.removed),
        decided=decided,
        regrets=len(judged.regrets),
        regretted_bytes=judged.regretted_bytes,
        mean=outcome.with_policies.kinds.get(judged.kind, _NOTHING).mean,
    )


def _advice(
    kind: Kind, found: Mapping[float, Threshold | None], cleanup: Cleanup, nothing: Outcome, most_regrets: int
) -> KindAdvice:
    of_kind: list[Any] = [policy for policy in cleanup.policies if policy.kind == kind]
    enough = (each for each in found.values() if each is not None and each.regrets <= most_regrets)
    return KindAdvice(
        kind=kind,
        thresholds=found,
        recommended=next(enough, None),
        without=nothing.without.kinds.get(kind, _NOTHING),
        today=sorted({policy.when[clock] for policy in of_kind if (clock := clock_of(kind)) in policy.when}),
    )
