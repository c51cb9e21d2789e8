"""Use of the host's table of tracked connections: when it is full, packets of new connections are dropped."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.metrics_core import Metric

from watchd.families import counters, gauge
from watchd.kernel.files import read_file
from watchd.kernel.parse import sockets


@dataclass(frozen=True, slots=True)
class Conntrack:
    """Tracked connections of the network namespace of the host's first process.

    `procfs`: the host's /proc; `is_here`: whether the engine's containers are on this host.
    """

    procfs: Path
    is_here: Callable[[], bool]

    def collect(self) -> Iterator[Metric]:
        """Yield the families; none where the kernel tracks no connections, or was built without these files."""
        if not self.is_here():
            return
        try:
            limit = read_file(f"{self.procfs}/sys/net/netfilter/nf_conntrack_max")  # one for all namespaces
            found = sockets.conntrack(read_file(f"{self.procfs}/1/net/stat/nf_conntrack"))
        except FileNotFoundError:
            return
        if found is not None:
            entries, dropped = found
            yield gauge("watchd_host_conntrack_entries", "Tracked connections.", entries)
            yield gauge(
                "watchd_host_conntrack_entries_limit",
                "The most connections that are tracked: packets of further ones are dropped.",
                int(limit),
            )
            text = "Packets dropped since no connection could be added."
            yield counters("watchd_host_conntrack_drops", text, [], [([], dropped)])
