"""Usage of one container in base units, independent of its source.

`metrics/groups` maps each field to its metric and source. None: the kernel does not report it or it does not apply,
so there is no series. Counts never fall while the container runs.

Never changed after creation. Not frozen: that triples the cost of creation, and a scrape creates a dozen per container.
"""

from dataclasses import dataclass, field

from watchd.model.sockets import Tcp

SECTOR = 512
"""Bytes of a sector in the kernel's counts, whatever the device's own are."""


@dataclass(slots=True)
class Lifecycle:
    """Times in seconds since the epoch, health, and out-of-memory events."""

    seen: float | None = None
    created: float | None = None
    started: float | None = None
    health: int | None = None  # 1: healthy, 0: starting or unhealthy, -1: no health check
    oom_events: int | None = None  # since watchd first saw it


@dataclass(slots=True)
class State:
    """State of a container by the engine, running or not. Sizes in bytes."""

    state: str  # created, running, paused, restarting, removing, exited, dead
    held: int = 1  # value of the metric of the state
    exit_code: int | None = None
    oom_killed: int | None = None
    restarts: int | None = None
    writable_layer: int | None = None
    root_fs: int | None = None
    log: int | None = None
    log_limit: int | None = None  # 0: none is set


@dataclass(slots=True)
class Health:
    """Status of the health check."""

    status: str  # starting, healthy, unhealthy
    held: int = 1


@dataclass(slots=True)
class Spec:
    """Limits. Memory in bytes and threads, 0: no limit. CPU time in microseconds."""

    cpu_period: int | None = None
    cpu_quota: int | None = None  # None: no limit
    cpu_shares: int | None = None
    memory_limit: int | None = None
    memory_swap_limit: int | None = None
    memory_reservation: int | None = None
    threads: int | None = None
    swap_limit: int | None = None  # of swap alone. None: no limit, or not known
    effective_memory_limit: int | None = None  # the lowest of its own and those of the cgroups around. None: no limit
    effective_cpus: float | None = None  # CPU time a second, the same


@dataclass(slots=True)
class Around:
    """Throttling of the cgroups around the container's, in seconds."""

    throttled: float


@dataclass(slots=True)
class Cpu:
    """CPU time in seconds. Periods, throttling and bursts exist only with a quota."""

    usage: float | None = None
    user: float | None = None
    system: float | None = None
    periods: int | None = None
    throttled_periods: int | None = None
    throttled: float | None = None
    burst_periods: int | None = None
    burst: float | None = None


@dataclass(slots=True)
class Memory:
    """Memory in bytes; faults and pages are counts."""

    usage: int | None = None
    working_set: int | None = None
    rss: int | None = None
    cache: int | None = None
    swap: int | None = None
    mapped_file: int | None = None
    kernel: int | None = None
    max_usage: int | None = None
    failures: int | None = None
    active_file: int | None = None
    inactive_file: int | None = None
    dirty_file: int | None = None
    writeback_file: int | None = None
    faults: int | None = None  # of the container's own cgroup
    major_faults: int | None = None
    tree_faults: int | None = None  # with the cgroups below it
    tree_major_faults: int | None = None
    events_high: int | None = None
    events_max: int | None = None
    pages_scanned: int | None = None
    pages_reclaimed: int | None = None
    refaults_file: int | None = None
    refaults_anon: int | None = None


@dataclass(slots=True)
class Interface:
    """Traffic of one network interface in the container's own network namespace.

    `is_stacked`: an interface below it carries the same traffic, so it is left out of sums.
    """

    interface: str
    received_bytes: int
    received_packets: int
    received_errors: int
    received_dropped: int
    sent_bytes: int
    sent_packets: int
    sent_errors: int
    sent_dropped: int
    is_stacked: bool = field(default=False, kw_only=True)


@dataclass(slots=True)
class Device:
    """Reads from and writes to one block device. Times in seconds."""

    device: str  # "/dev/sda"
    major: str
    minor: str
    read_bytes: int | None = None
    written_bytes: int | None = None
    reads: int | None = None
    writes: int | None = None
    merged_reads: int | None = None
    merged_writes: int | None = None
    read_time: float | None = None
    write_time: float | None = None
    io_time: float | None = None
    weighted_time: float | None = None
    queued: int | None = None
    cost_usage: float | None = None
    cost_wait: float | None = None
    cost_indebt: float | None = None
    cost_indelay: float | None = None

    @property
    def read_sectors(self) -> int | None:
        """Sectors read, as the kernel counts them for disks."""
        return None if self.read_bytes is None else self.read_bytes // SECTOR

    @property
    def written_sectors(self) -> int | None:
        """Sectors written."""
        return None if self.written_bytes is None else self.written_bytes // SECTOR


@dataclass(slots=True)
class Filesystem:
    """Size of the writable layer and of its file system, in bytes."""

    device: str
    usage: int | None = None
    limit: int | None = None
    inodes: int | None = None
    inodes_free: int | None = None


@dataclass(slots=True)
class Pressure:
    """Seconds in which some tasks waited, or all tasks stalled, for a resource."""

    cpu_waiting: float | None = None
    cpu_stalled: float | None = None
    memory_waiting: float | None = None
    memory_stalled: float | None = None
    io_waiting: float | None = None
    io_stalled: float | None = None


@dataclass(slots=True)
class Process:
    """Processes and threads, including those of the cgroups below."""

    processes: int | None = None
    threads: int | None = None


@dataclass(slots=True)
class Files:
    """Open descriptors of all processes, and the soft limit of the first one (-1: none)."""

    descriptors: int | None = None
    sockets: int | None = None
    open_files_limit: int | None = None
    uncounted: int | None = None  # 1: too many processes or descriptors to count all


@dataclass(slots=True)
class Tasks:
    """Threads by state, the cgroups below included."""

    running: int | None = None
    sleeping: int | None = None
    stopped: int | None = None
    uninterruptible: int | None = None
    uncounted: int | None = None  # 1: too many threads to count them by state


@dataclass(slots=True)
class Usage:
    """Usage of one container at one moment; None: a group not requested or not readable."""

    spec: Spec | None = None
    cpu: Cpu | None = None
    memory: Memory | None = None
    network: tuple[Interface, ...] | None = None
    disk: tuple[Device, ...] | None = None
    pressure: Pressure | None = None
    process: Process | None = None
    tcp: Tcp | None = None
    files: Files | None = None
    tasks: Tasks | None = None
    around: Around | None = None


@dataclass(slots=True)
class Sample:
    """Sample of one container. `labels` is the rendered label text without braces ('id="...",name="..."').

    A removed container has only a `lifecycle`; the host has no `state`. `filesystem`: that of the writable layer, and
    those of the host.
    """

    container_id: str
    labels: str
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    usage: Usage = field(default_factory=Usage)
    state: State | None = None
    health: Health | None = None
    filesystem: tuple[Filesystem, ...] | None = None
