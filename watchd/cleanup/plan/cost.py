"""The eviction order by cost: what it is expected to cost to get an object again, for each byte that it frees. Pure.

Cost by size and frequency of use is GreedyDual-Size-Frequency (Cherkasova, "Improving WWW Proxies Performance with
Greedy-Dual-Size-Frequency Caching Policy", HPL-98-69, 1998). It lets a frequency age only as other objects go. Here an
object's own uses tell whether they go on, by MBG/NBD (Batislam, Denizel, Filiztekin, "Empirical validation and
comparison of models for customer base analysis", IJRM 24, 2007): an image that was used every ten minutes is given up
after a day, and one that is used each Sunday is not. `tests/bench/orders.py` has measured the numbers below.
"""

import math
from collections.abc import Mapping, Sequence

from watchd.cleanup.plan.host import Host
from watchd.cleanup.plan.rules.conditions import last_used
from watchd.model import CacheRecord, Image, Key, Subject

Rank = tuple[float, float, float]

# What is assumed of an object before anything is known of it, as the model's parameters.
_PRIOR_USES, _PRIOR_TIME = 0.5, 8 * 3600.0  # r and alpha: so many uses in so many seconds
_PRIOR_ENDS, _PRIOR_GOES_ON = 2.0, 1.0  # a and b: how often a use was the last one, and was not
_LARGEST_EXPONENT = 700.0  # of a float


def ranks_by_cost(subjects: Sequence[Subject], host: Host) -> dict[Key, Rank]:
    """Return the sort keys of objects.

    Objects that nobody can fetch again come last, the least recently used first: containers, volumes, and images
    without a known registry.
    """
    rates = {subject.key: _rate(subject, host) for subject in host.subjects}
    lasting = {each.key: (not _can_be_had_again(each), rates[each.key], each.id) for each in host.subjects}
    return {subject.key: _rank(subject, host, rates, lasting) for subject in subjects}


def _rank(
    subject: Subject, host: Host, rates: Mapping[Key, float], lasting: Mapping[Key, tuple[bool, float, str]]
) -> Rank:
    """Return the sort key of an object.

    It frees the bytes whose other holders all go before it. Each holder that is needed again needs them again.
    """
    space, key = host.space, subject.key
    last = last_used(subject, host.observation(subject))
    last = host.now if last is None else last
    if not _can_be_had_again(subject):
        return (1.0, last, 0.0)
    freed, cost = 0, 0.0
    for piece in space.held.get(key, ()):
        holders, size = space.holders[piece], space.sizes[piece] or 0
        if size and max(holders, key=lasting.__getitem__) == key:
            freed += size
            cost += size * sum(rates[holder] for holder in holders)
    return (0.0, cost / freed if freed else rates[key], last)


def _can_be_had_again(subject: Subject) -> bool:
    return isinstance(subject, CacheRecord) or (isinstance(subject, Image) and subject.pullable is True)


def _rate(subject: Subject, host: Host) -> float:
    """Return the expected uses of an object in a second; infinity while a container that needs it runs."""
    if any(user.is_running for user in host.users.get(subject.key, ())):
        return math.inf
    seen = host.observation(subject)
    last = last_used(subject, seen)
    if last is None or last == math.inf:
        return math.inf
    if isinstance(subject, CacheRecord):
        first, count = subject.created_at, subject.usage_count
    elif seen is None:
        first, count = None, 1
    elif seen.uses is None:
        first, count = seen.first_seen, 1 if seen.last_used is None else 2
    else:
        first, count = seen.uses.first, seen.uses.count
    return expected_rate(count, last if first is None else min(first, last), last, host.now)


def expected_rate(count: int, first: float, last: float, now: float) -> float:
    """Return the expected uses per second of an object, from its number of uses and their first and last time.

    It is the rate while it was in use, times the chance that it still is.
    """
    again = max(0, count - 1)
    known, until_last = max(0.0, now - first), max(0.0, last - first)
    uses = _PRIOR_USES + again
    exponent = uses * math.log((_PRIOR_TIME + known) / (_PRIOR_TIME + until_last))
    odds_of_end = _PRIOR_ENDS / (_PRIOR_GOES_ON + again) * math.exp(min(exponent, _LARGEST_EXPONENT))
    return uses / (_PRIOR_TIME + known) / (1.0 + odds_of_end)
