"""`/proc/<pid>/mountinfo`: what is mounted where, see proc_pid_mountinfo(5)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from watchd.kernel.parse.formats import Malformed, Odd, refuse, understood

_ESCAPED = re.compile(rb"\\([0-3][0-7]{2})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount. Names that are not UTF-8 have surrogates, as `os.fsdecode` makes them."""

    device: str  # "8:1"
    root: str  # the directory of the file system that is seen at `point`
    point: str
    type: str  # "ext4"
    source: str  # "/dev/sda1"
    options: frozenset[str]  # of the file system, not of this mount

    @property
    def upperdir(self) -> str | None:
        """Directory that an overlay writes into, as the process named it that mounted it; None: no overlay."""
        if self.type != "overlay":
            return None
        found = (option.removeprefix("upperdir=") for option in self.options if option.startswith("upperdir=/"))
        return next(found, None)


def mountinfo(data: bytes, odd: Odd = refuse) -> list[Mount]:
    """Parse the mounts in the order of mounting."""
    lines = data.rstrip(b"\n").split(b"\n") if data else ()  # a carriage return can be part of a name
    return list(understood(_mount, lines, odd))


def _mount(line: bytes) -> Mount:
    before, separator, after = line.partition(b" - ")
    fields, filesystem = before.split(b" "), after.split(b" ")
    if not separator or len(fields) < 6 or len(filesystem) < 3:
        raise Malformed(f"not a line of mountinfo: {line[:80]!r}")
    device, root, point = map(_unescaped, fields[2:5])
    type_, source, options = map(_unescaped, filesystem[:3])
    return Mount(device, root, point, type_, source, frozenset(options.split(",")))


def mount_of(path: str, mounts: Iterable[Mount]) -> Mount | None:
    """Return the mount that an absolute path is on; of several at one place the last, which is the one seen."""
    found: Mount | None = None
    for mount in mounts:
        is_below = path == mount.point or path.startswith(f"{mount.point.rstrip('/')}/")
        if is_below and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


def _unescaped(field: bytes) -> str:
    r"""Undo the octal escapes: a space is written \040."""
    if b"\\" in field:
        field = _ESCAPED.sub(lambda match: bytes([int(match[1], 8)]), field)
    return field.decode(errors="surrogateescape")
