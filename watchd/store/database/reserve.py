"""Reserve file: disk space kept for recording removals when the disk is full."""

import logging
import os
from pathlib import Path

from watchd.runtime.files import check, open_file

logger = logging.getLogger(__name__)

SIZE = 4 * 1024 * 1024
_MIN_FREE = 16 * SIZE  # that the disk needs for the reserve to be allocated


class Reserve:
    """A file of `SIZE` bytes that is deleted when its space is needed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def allocate(self) -> None:
        """Allocate the file if the disk has room. Without it, recording stops earlier on a full disk."""
        try:
            if check(self._path) is not None:
                return
            disk = os.statvfs(self._path.parent)
            if disk.f_bavail * disk.f_frsize < _MIN_FREE:
                return
            descriptor = open_file(self._path, os.O_WRONLY | os.O_CREAT)
            try:
                os.posix_fallocate(descriptor, 0, SIZE)
            finally:
                os.close(descriptor)
        except OSError as error:
            logger.debug("cannot allocate %s: %s", self._path, error.strerror)

    def release(self) -> bool:
        """Delete the file. Return whether there was one."""
        try:
            self._path.unlink()
        except OSError:
            return False
        logger.warning("the disk of %s is full: the reserve is used for recording", self._path.parent)
        return True
