"""A replay that skips runs and objects has the same result as one with all of them.

Only what goes in one run may go in another order, and of shared layers the last one frees the bytes.
"""

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.cleanup.past.lives import replayed
from tests.unit.cleanup.past.random_past import random_past, random_settings
from watchd.cleanup.past.result import Outcome

seeds = st.integers(0, 2**32)


def told(outcome: Outcome) -> list[Any]:
    return [
        outcome.with_policies,
        outcome.without,
        *(
            (
                judged.name,
                sorted((each.time, each.id) for each in judged.removed),
                sorted((each.removed.time, each.needed_at, each.removed.id, each.bytes) for each in judged.regrets),
                judged.undecided,
            )
            for judged in outcome.policies
        ),
        sum(judged.removed_bytes for judged in outcome.policies),
    ]


@given(seeds, seeds)
@example(host=228, policies=311)  # arrives while nobody watches, and there is no grace
@example(host=3214108731, policies=3039261947)  # of two images one has a parent, and a run may remove one
@settings(deadline=None, max_examples=100)
def test_a_replay_that_skips_is_the_full_replay(host: int, policies: int) -> None:
    record, chosen = random_past(host), random_settings(policies)
    assert told(replayed(record, chosen)) == told(replayed(record, chosen, skip=False))
