"""Pausing the garbage collector."""

import gc
from contextlib import ExitStack

from watchd.runtime.gc import gc_paused


def test_the_last_pause_to_end_resumes_the_collector() -> None:
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(gc_paused())
        second.enter_context(gc_paused())
        first.close()
        assert not gc.isenabled()
        second.close()
        assert gc.isenabled()
