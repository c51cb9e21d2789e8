"""The cgroups around containers (a slice, `--cgroup-parent`): their limits and throttling hold for all inside."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from watchd.kernel.files import CgroupFiles, Gone
from watchd.kernel.parse import cgroup_v1, cgroup_v2
from watchd.kernel.parse.formats import Malformed, Read, Reader
from watchd.model.usage import Cpu, Spec

LIMITS_STAY = 60.0  # seconds

Directories = Mapping[str, str]
"""Directories of one cgroup, as `CgroupFiles` takes them."""

T = TypeVar("T")


class Ancestors:
    """Limits and throttling around containers: each cgroup is read once for all containers in it.

    Limits are read once a minute, throttling once for each `now`, in seconds.
    """

    def __init__(self) -> None:
        self._limits: dict[str, Spec] = {}
        self._limits_read = -LIMITS_STAY
        self._cpu: dict[str, Cpu] = {}
        self._cpu_read = -1.0

    def limits(self, ancestors: Sequence[Directories], now: float) -> Sequence[Spec]:
        """Return the limits of each."""
        if not 0 <= now - self._limits_read < LIMITS_STAY:
            self._limits, self._limits_read = {}, now
        return [_kept(self._limits, each, _spec) or Spec() for each in ancestors]

    def throttled(self, limited: Sequence[Directories], now: float) -> float | None:
        """Return the seconds for which cgroups with a quota were throttled, added up; None: not known."""
        if now != self._cpu_read:
            self._cpu, self._cpu_read = {}, now
        found = [cpu.throttled for each in limited if (cpu := _kept(self._cpu, each, _limited_cpu)) is not None]
        known = [seconds for seconds in found if seconds is not None]
        return sum(known) if known else None


def _kept(kept: dict[str, T], directories: Directories, parse: Callable[[Directories, Read], T]) -> T | None:
    """Read a cgroup once; None where it cannot be read."""
    key = next(iter(directories.values()))
    if key not in kept:
        files = CgroupFiles(directories)
        try:
            kept[key] = parse(directories, Reader(files.read))
        except (Gone, Malformed, OSError):
            return None
        finally:
            files.close()
    return kept[key]


def _spec(directories: Directories, read: Read) -> Spec:
    return cgroup_v2.spec(read) if "" in directories else cgroup_v1.spec(read)


def _limited_cpu(directories: Directories, read: Read) -> Cpu:
    return cgroup_v2.cpu(read, limited=True) if "" in directories else cgroup_v1.cpu(read, limited=True)
