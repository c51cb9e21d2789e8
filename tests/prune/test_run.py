"""What a run does around planning."""

import gc
from contextlib import ExitStack

from watchd.prune.run import undisturbed


def test_the_last_that_wants_no_cycles_collected_has_them_collected_again() -> None:
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(undisturbed())
        second.enter_context(undisturbed())
        first.close()
        assert not gc.isenabled()
        second.close()
        assert gc.isenabled()
