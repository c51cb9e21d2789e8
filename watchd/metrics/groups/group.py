"""A group of container metrics: its name, its metrics, and how each source reads it."""

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any, Literal

from watchd.kernel.parse.formats import Read, Reader
from watchd.kernel.processes import Processes

MetricType = Literal["counter", "gauge"]
Label = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, or one of several that share a name and differ in their fixed labels; these stand together."""

    name: str
    type: MetricType  # not to be told from the name: some of cAdvisor's gauges end in _total
    unit: str
    record: str  # field of Sample or Usage (watchd.model.usage)
    field: str  # of the record
    text: str
    source: str  # the kernel file, on cgroup v1 and v2, or the engine's endpoint
    labels: tuple[str, ...] = ()  # fields of the record that are labels too
    fixed: tuple[Label, ...] = ()  # labels that are always the same

    @property
    def help(self) -> str:
        """The HELP line."""
        return f"{self.text} ({self.source})."


@dataclass(frozen=True, slots=True)
class Context:
    """Facts that parsers need besides the files."""

    device_name: Callable[[str], str] = str  # "/dev/sda" for "8:0"
    has_cpu_quota: bool = False
    is_disk: Callable[[str], bool] = bool  # whether "/dev/sda" is a disk of the host, not a partition
    net_dev: str = "1/net/dev"  # the host's
    stacked_interfaces: Container[str] = ()  # of the host: those that carry what others carry too


Parse = Callable[[Read, Context], Any]
"""Make a record of files that are read by name. Raise Malformed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of container metrics, on or off as a whole. A source without a parser does not have it."""

    name: str  # in the configuration, and the field of `Usage` that has its record
    metrics: tuple[Metric, ...]
    on: bool = True  # by default
    own_network: bool = False  # only of containers with a network namespace of their own
    process: Parse | None = None  # from `/proc/<pid>` of the container's first process
    live: Callable[[Processes], Any] | None = None  # from `/proc`, anew each time. Raises OSError and Gone.
    v1: Parse | None = None  # from the controllers of cgroup v1
    v2: Parse | None = None  # from the cgroup v2 tree
    unified: Parse | None = None  # from the cgroup v2 tree, also where the controllers are on v1
    api: Callable[[Any, Context], Any] | None = None  # from the engine's stats. Raises MalformedReply.
    host: Callable[[Reader[bytes], Context], Any] | None = None  # from the host's `/proc`. Raises OSError too.
