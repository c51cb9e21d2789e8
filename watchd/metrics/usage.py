"""What one container used, in base units, whatever it was read from.

The fields are named for what they mean; `catalog` says under which metric name each is shown and which kernel file it
comes from. None: this kernel does not tell (or it does not apply), so there is no series. Counts only ever rise while
the container runs.

Nobody changes what was made. It is not frozen for that, since frozen values take three times as long to make, and a
scrape makes a dozen for each container.
"""

from dataclasses import dataclass, field

GROUPS = frozenset({"cpu", "memory", "network", "disk", "pressure", "process"})
"""The groups of metrics that can be left out; the fields of `Usage` have the same names."""


@dataclass(slots=True)
class Lifecycle:
    """When things happened, in seconds since the epoch, and how the container fares."""

    seen: float | None = None
    created: float | None = None
    started: float | None = None
    health: int | None = None  # 1: healthy, 0: starting or unhealthy, -1: it has no health check
    oom_events: int | None = None  # since watchd first saw it


@dataclass(slots=True)
class State:
    """What the engine says of a container, running or not. Sizes in bytes."""

    state: str  # created, running, paused, restarting, removing, exited, dead
    held: int = 1  # it is in that state
    exit_code: int | None = None
    oom_killed: int | None = None
    restarts: int | None = None
    writable_layer: int | None = None
    root_fs: int | None = None


@dataclass(slots=True)
class Health:
    """What the container's health check says."""

    status: str  # starting, healthy, unhealthy
    held: int = 1


@dataclass(slots=True)
class Spec:
    """What the container may use. Memory in bytes and threads, 0: no limit. CPU time in microseconds."""

    cpu_period: int | None = None
    cpu_quota: int | None = None  # None: no limit
    cpu_shares: int | None = None
    memory_limit: int | None = None
    memory_swap_limit: int | None = None
    memory_reservation: int | None = None
    threads: int | None = None


@dataclass(slots=True)
class Cpu:
    """CPU time in seconds. Periods, throttling and bursts are told only where a quota is set."""

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
    """What went through one network interface of the container's own network namespace."""

    interface: str
    received_bytes: int
    received_packets: int
    received_errors: int
    received_dropped: int
    sent_bytes: int
    sent_packets: int
    sent_errors: int
    sent_dropped: int


@dataclass(slots=True)
class Device:
    """What the container read from and wrote to one block device. Times in seconds."""

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
    queued: int | None = None
    cost_usage: float | None = None
    cost_wait: float | None = None
    cost_indebt: float | None = None
    cost_indelay: float | None = None


@dataclass(slots=True)
class Filesystem:
    """What the container's writable layer takes of the file system it is on, and how large that is, in bytes."""

    device: str
    usage: int | None = None
    limit: int | None = None
    inodes: int | None = None
    inodes_free: int | None = None


@dataclass(slots=True)
class Pressure:
    """Seconds in which some task waited, or all tasks were stalled, for a resource."""

    cpu_waiting: float | None = None
    cpu_stalled: float | None = None
    memory_waiting: float | None = None
    memory_stalled: float | None = None
    io_waiting: float | None = None
    io_stalled: float | None = None


@dataclass(slots=True)
class Process:
    """Processes of the container's own cgroup and threads of it and all below."""

    processes: int | None = None
    threads: int | None = None


@dataclass(slots=True)
class Usage:
    """One container at one moment; a group that was not asked for or could not be read is None."""

    spec: Spec | None = None
    cpu: Cpu | None = None
    memory: Memory | None = None
    network: tuple[Interface, ...] | None = None
    disk: tuple[Device, ...] | None = None
    filesystem: tuple[Filesystem, ...] | None = None
    pressure: Pressure | None = None
    process: Process | None = None


@dataclass(slots=True)
class Sample:
    """What is shown of one container: `labels` is its label text, rendered, without braces ('id="...",name="..."').

    A container that is gone has a `lifecycle` alone, the host has no `state`.
    """

    container_id: str
    labels: str
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    usage: Usage = field(default_factory=Usage)
    state: State | None = None
    health: Health | None = None
