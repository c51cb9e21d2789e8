"""Room that is set aside, so that what is done can still be recorded when the disk is full: then above all."""

import logging
import os
from pathlib import Path

logger = logging.getLogger(__name__)

SIZE = 4 * 1024 * 1024
_ROOM = 16 * SIZE  # that has to be left for others before the reserve is made


class Reserve:
    """A file that takes room until it is given up."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def make(self) -> None:
        """Set the room aside, if it is not and there is enough of it. Without it recording only ends the sooner."""
        try:
            if self._path.exists():
                return
            room = os.statvfs(self._path.parent)
            if room.f_bavail * room.f_frsize < _ROOM:
                return
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, SIZE)
            finally:
                os.close(descriptor)
        except OSError as error:
            logger.debug("no room is set aside in %s: %s", self._path.parent, error.strerror)

    def give_up(self) -> bool:
        """Give the room back to the disk. Return whether there was any."""
        try:
            self._path.unlink()
        except OSError:
            return False
        logger.warning("the disk of %s is full: what was set aside there is used to record with", self._path.parent)
        return True
