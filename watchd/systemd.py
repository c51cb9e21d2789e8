"""What systemd is told of this process, as sd_notify(3) has it. Elsewhere nothing is told, and nothing is missing."""

import logging
import os
import socket
from collections.abc import Mapping

logger = logging.getLogger(__name__)


class Systemd:
    """The service manager that started this process, if one did that wants to know (`Type=notify`).

    `watchdog_interval`: how often it wants to hear `WATCHDOG=1` at least, in seconds, where it does: half of what it
    waits before it ends the process.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.watchdog_interval = self._interval(environment) if address else None

    def tell(self, *assignments: str) -> None:
        """Send assignments such as "READY=1". What cannot be sent is lost: the service manager will judge by that."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
                connection.sendto("\n".join(assignments).encode(), self._address)
        except OSError as error:
            logger.warning("the service manager cannot be told %s: %s", assignments[0], error)

    def _interval(self, environment: Mapping[str, str]) -> float | None:
        if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
            return None  # meant for the process that started this one
        microseconds = environment.get("WATCHDOG_USEC", "")
        return int(microseconds) / 2_000_000 if microseconds.isdecimal() and int(microseconds) else None
