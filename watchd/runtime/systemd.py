"""Notifications to systemd, as in sd_notify(3). Without systemd they do nothing."""

import logging
import os
import socket
from collections.abc import Mapping

logger = logging.getLogger(__name__)


class Systemd:
    """The service manager, if it started this process with `Type=notify`.

    `watchdog_interval`: seconds between two `WATCHDOG=1`, half of its time-out; None: it expects none.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.watchdog_interval = self._interval(environment) if address else None

    def notify(self, *assignments: str) -> None:
        """Send assignments such as "READY=1". Failures are logged only: systemd times out by itself."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
                connection.sendto("\n".join(assignments).encode(), self._address)
        except OSError as error:
            logger.warning("cannot notify systemd of %s: %s", assignments[0], error)

    def _interval(self, environment: Mapping[str, str]) -> float | None:
        if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
            return None  # for another process
        microseconds = environment.get("WATCHDOG_USEC", "")
        return int(microseconds) / 2_000_000 if microseconds.isdecimal() and int(microseconds) else None
