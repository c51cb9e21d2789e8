"""Free ports of 127.0.0.1 to listen on.

The kernel's own choice (port 0) is free when it is made. Until somebody listens there, it can be given to another
process, or to any connection that is made meanwhile.
"""

import random
import socket
from itertools import count

# Below the ports that the kernel chooses from.
_FIRST = 20_000
_RANGE = 12_000

_turns = count(random.randrange(_RANGE))  # noqa: S311 - other checkouts' test runs may be on this machine


def free_port() -> int:
    """Return a port on which nothing listens, and which this process returns again only after 12,000 others."""
    ports = (_FIRST + turn % _RANGE for turn in _turns)
    return next(port for port in ports if _is_free(port))


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
