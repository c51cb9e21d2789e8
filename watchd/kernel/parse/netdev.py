"""`/proc/<pid>/net/dev`: the counters of every network interface that the process sees. Cgroups have none."""

import re

from watchd.kernel.parse.formats import Malformed, Odd, numbers, refuse, understood
from watchd.model.usage import Interface

_LOOPBACK = b"lo:"
_INNER_ENGINES = re.compile(r"docker0|nerdctl0|veth[0-9a-f]{7,8}")
"""Names that engines make up for the default bridge, and for their end of a container's interface."""


def has_own(network_mode: str) -> bool:
    """Return by its mode whether a container has interfaces of its own; shared, they are the host's or another's.

    "ns:<path>" is Podman's, of a namespace that was made beforehand and that others may share.
    """
    return network_mode != "host" and not network_mode.startswith(("container:", "ns:"))


def is_own(interface: str) -> bool:
    """Return whether an interface counts: all but loopback and what an engine in the container makes."""
    return interface != "lo" and _INNER_ENGINES.fullmatch(interface) is None


def net_dev(data: bytes, odd: Odd = refuse) -> tuple[Interface, ...]:
    """Parse `net/dev`: all interfaces that are the container's own."""
    lines = [line for line in data.splitlines()[2:] if not line.lstrip().startswith(_LOOPBACK)]  # two lines of headings
    return tuple([each for each in understood(_interface, lines, odd) if is_own(each.interface)])


def _interface(line: bytes) -> Interface:
    name, _, counters = line.rpartition(b":")  # an interface's name may have colons, its counters have none
    name, fields = name.strip(), counters.split()
    if not name or len(fields) < 12:
        raise Malformed(f"not a line of net/dev: {line[:80]!r}")
    return Interface(name.decode(errors="replace"), *numbers(fields[0:4] + fields[8:12]))
