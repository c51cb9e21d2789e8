"""watchd with another interval between its pings of the engine."""

import sys

OFTEN, NEVER = 1.0, 3600.0  # seconds


def pinging(interval: float) -> tuple[str, ...]:
    """Return the command of a watchd that pings the engine at this interval.

    With `NEVER` it reconnects only where the engine's stream ends: a ping that a busy machine does not answer within
    3 s ends it, too.
    """
    change = f"import watchd.engine.watch.watcher; watchd.engine.watch.watcher.PING_INTERVAL = {interval}"
    return sys.executable, "-c", f"{change}\nfrom watchd.cli import main\nmain()"
