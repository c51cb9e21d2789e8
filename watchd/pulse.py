"""Whether a thread makes progress. One that does not is a defect that nothing but a new start mends."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STUCK_AFTER = 1200.0  # seconds at one step: the longest that an engine is given to answer are 900


class Pulse:
    """What a thread shows of its work on `what`. It is stuck when one step takes it more than `limit` seconds.

    Safe to use from several threads: the last one to call counts.
    """

    def __init__(self, what: str, limit: float | None = None) -> None:
        self.what = what
        self.limit = STUCK_AFTER if limit is None else min(limit, STUCK_AFTER)
        self._since: float | None = None  # monotonic; None: it waits for work

    def beat(self) -> None:
        """Begin with the next step."""
        self._since = time.monotonic()

    def rest(self) -> None:
        """Wait for work, as long as it takes."""
        self._since = None

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Be at work meanwhile."""
        self.beat()
        try:
            yield
        finally:
            self.rest()

    def prod(self, how: Callable[[], object]) -> None:
        """Have a thread show itself that may wait for long: `how` makes it call `rest`, if it can."""
        if self._since is None:
            self.beat()
        how()

    @property
    def is_stuck(self) -> bool:
        """Whether the step in hand takes too long."""
        since = self._since
        return since is not None and time.monotonic() - since > self.limit
