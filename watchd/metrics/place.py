"""The place of the engine: on this machine, or on another one. Its address is no evidence."""

import os
import time
from pathlib import Path

from watchd.engine.data.disks import EngineDisks
from watchd.engine.data.places import runs_here
from watchd.engine.own_container import find_own
from watchd.engine.watch.mirror import Mirror
from watchd.model import EngineView

LOOK_AGAIN = 15.0  # seconds


class Place:
    """Return whether the engine runs on this machine, so that `procfs` is its host's.

    Behind a UNIX socket it is, unless it has another kernel: a virtual machine, or a socket that was forwarded. Behind
    TCP it is once that is proven: by a process here in a container's cgroup, or by the engine's files.
    """

    def __init__(self, mirror: Mirror, disks: EngineDisks, address: str, procfs: Path) -> None:
        self._mirror = mirror
        self._disks = disks
        self._procfs = procfs
        self._own = find_own()
        self._by_socket = address.startswith("unix://")
        self._proven = False
        self._looked_at = -LOOK_AGAIN  # monotonic

    def is_here(self) -> bool:
        """Return whether it runs here, as far as is known now."""
        view = self._mirror.view
        if view.engine.kernel_version not in ("", os.uname().release):
            return False
        if self._by_socket or self._proven:
            return True
        now = time.monotonic()
        if now - self._looked_at >= LOOK_AGAIN and view.engine.version:
            self._looked_at = now
            self._proven = runs_here(view.containers, self._procfs) or self._finds_files(view)
        return self._proven

    def _finds_files(self, view: EngineView) -> bool:
        return self._disks.measure(view.engine, view.containers, view.volumes, view.images, self._own).is_here

    def has_cgroups(self) -> bool:
        """Return whether the engine gives containers cgroups of their own."""
        return self._mirror.view.engine.container_cgroups
