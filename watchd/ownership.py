"""Whose the files in the state directory are."""

import os
from contextlib import suppress
from pathlib import Path


def give_away(descriptor: int, path: Path) -> None:
    """Give a file that root has open to whom its directory belongs.

    The daemon may run as that user, and root by hand: what root made first, the daemon has to write, too.
    """
    if os.geteuid() != 0:
        return
    with suppress(OSError):  # in a user namespace root may not give anything away
        owner = path.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
