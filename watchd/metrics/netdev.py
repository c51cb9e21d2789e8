"""`/proc/<pid>/net/dev`: the counters of every network interface that the process sees. Cgroups have none."""

from watchd.metrics.formats import Malformed, number
from watchd.metrics.usage import Interface

_NOT_THE_CONTAINERS_OWN = (b"lo", b"veth", b"docker", b"nerdctl")


def has_own(network_mode: str) -> bool:
    """Whether a container has interfaces of its own; in a shared namespace they are the host's or another's."""
    return network_mode != "host" and not network_mode.startswith("container:")


def is_own(interface: bytes) -> bool:
    """Whether an interface counts: all but loopback and what an engine in the container makes."""
    return not interface.lower().startswith(_NOT_THE_CONTAINERS_OWN)


def net_dev(data: bytes) -> tuple[Interface, ...]:
    """Parse `net/dev`: all interfaces that are the container's own. Raise Malformed."""
    interfaces = []
    for line in data.splitlines()[2:]:  # two lines of headings
        name, _, counters = line.rpartition(b":")  # an interface's name may have colons, its counters have none
        name = name.strip()
        if not is_own(name):
            continue
        fields = counters.split()
        if not name or len(fields) < 12:
            raise Malformed(f"not a line of net/dev: {line[:80]!r}")
        interfaces.append(Interface(name.decode(errors="replace"), *map(number, fields[0:4] + fields[8:12])))
    return tuple(interfaces)
