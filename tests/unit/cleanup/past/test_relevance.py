"""What a replay leaves out changes nothing: it is the same as with every run and every object."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.cleanup.past.lives import replayed
from tests.unit.cleanup.past.random_past import random_past, random_settings

seeds = st.integers(0, 2**32)


@given(seeds, seeds)
@settings(deadline=None, max_examples=100)
def test_a_replay_that_skips_is_the_full_replay(host: int, policies: int) -> None:
    record, chosen = random_past(host), random_settings(policies)
    assert replayed(record, chosen) == replayed(record, chosen, skip=False)
