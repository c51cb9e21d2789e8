"""The host itself, shown as the series with id="/": from `/proc`, the same on cgroup v1 and v2."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from watchd.engine.own_container import find_own
from watchd.kernel.files import read_file
from watchd.kernel.parse import procfs as parse
from watchd.kernel.parse.formats import Malformed, Reader
from watchd.kernel.proc_mount import hides_processes
from watchd.kernel.stacked_interfaces import StackedInterfaces
from watchd.metrics.groups import GROUPS
from watchd.metrics.groups.group import Context, Group
from watchd.metrics.host.filesystems import Filesystems
from watchd.model.usage import Lifecycle, Sample, Spec, Usage

_log = logging.getLogger(__name__)

_NOT_DISKS = ("loop", "ram", "zram")

T = TypeVar("T")


class Host:
    """Read the host's totals from `procfs`, the host's /proc.

    What cannot be read is left out, counted in `errors` each time ("host_cpu"), and logged once.
    """

    def __init__(self, procfs: Path, filesystems: Filesystems, groups: Sequence[Group] = GROUPS) -> None:
        self._procfs = procfs
        self._filesystems = filesystems
        context = Context(is_disk=_is_disk, net_dev=_net_dev(procfs), stacked_interfaces=StackedInterfaces(procfs))
        self._parsers = {
            group.name: partial(_in_context, group.host, context) for group in groups if group.host is not None
        }
        self._has_disks = any(group.name == "disk" for group in groups)
        names = ("spec", *self._parsers, *(("filesystem",) if self._has_disks else ()))
        self.errors: Counter[str] = Counter({f"host_{name}": 0 for name in names})
        self._logged: set[str] = set()

    def sample(self, now: float) -> Sample:
        """The sample with id="/"; `now` in seconds since the epoch."""
        content = cache(self._read)  # several groups read the same files
        booted = self._try("spec", content, lambda read: parse.boot_time(read("stat")))
        usage = Usage(self._try("spec", content, _spec))
        for name, parse_group in self._parsers.items():
            setattr(usage, name, self._try(name, content, parse_group))
        sample = Sample("/", 'id="/"', Lifecycle(seen=now, created=booted, started=booted), usage)
        if self._has_disks:
            sample.filesystem = self._filesystems.on_disks(partial(self._failed, "filesystem"))
        return sample

    def _read(self, name: str) -> bytes:
        return read_file(f"{self._procfs}/{name}")

    def _try(self, name: str, content: Callable[[str], bytes], parse: Callable[[Reader[bytes]], T]) -> T | None:
        read = Reader(content)
        try:
            return parse(read)
        except (OSError, Malformed) as error:
            self._failed(name, error)
            return None
        finally:
            for text in read.not_understood:
                self._failed(name, Malformed(text))

    def _failed(self, name: str, error: Exception) -> None:
        self.errors[f"host_{name}"] += 1
        if name not in self._logged:
            self._logged.add(name)
            _log.warning("the host's %s cannot be read: %s", name, error)


def _net_dev(procfs: Path) -> str:
    """Return the file with the host's interfaces, below `procfs`.

    An ordinary user cannot read process 1's where /proc hides it: then this process's own, outside of a container.
    """
    return "net/dev" if hides_processes(procfs) and not find_own().in_container else "1/net/dev"


def _in_context(parse: Callable[[Reader[bytes], Context], Any], context: Context, read: Reader[bytes]) -> Any:
    return parse(read, context)


def _spec(read: Reader[bytes]) -> Spec:
    return Spec(memory_limit=parse.memory_total(read("meminfo")))


def _is_disk(device: str, sysfs: Path = Path("/sys")) -> bool:
    """Return whether it is a disk: partitions are counted in theirs."""
    name = device.removeprefix("/dev/")
    return not name.startswith(_NOT_DISKS) and (sysfs / "block" / name.replace("/", "!")).exists()
