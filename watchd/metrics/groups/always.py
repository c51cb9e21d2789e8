"""Metrics that are always there: when a container ran, its limits, its state and its health."""

from watchd.metrics.groups.group import Metric


def _lifecycle(name: str, unit: str, field: str, text: str, source: str) -> Metric:
    return Metric(f"container_{name}", "gauge", unit, "lifecycle", field, text, source)


def _spec(name: str, unit: str, field: str, text: str, source: str) -> Metric:
    return Metric(f"container_spec_{name}", "gauge", unit, "spec", field, text, source)


def _limit(name: str, unit: str, field: str, text: str, source: str) -> Metric:
    return Metric(f"watchd_container_{name}", "gauge", unit, "spec", field, text, source)


def _state(name: str, unit: str, field: str, text: str, source: str, *labels: str) -> Metric:
    return Metric(f"watchd_container_{name}", "gauge", unit, "state", field, text, source, labels)


# fmt: off
METRICS = (
    # stay for a while after the container's end
    _lifecycle("last_seen", "seconds", "seen",
               "When the container was last seen running, in seconds since the epoch; stays 10 minutes after its end",
               "its cgroup"),
    _lifecycle("start_time_seconds", "seconds", "started",
               "When the container was last started, in seconds since the epoch", "inspect; of the host /proc/stat"),
    _lifecycle("creation_time_seconds", "seconds", "created",
               "When the container was created, in seconds since the epoch", "inspect; of the host /proc/stat"),
    _lifecycle("health_state", "", "health",
               "1: healthy, 0: starting or unhealthy (watchd_container_health tells which), -1: no health check",
               "inspect State.Health"),
    Metric("container_oom_events_total", "counter", "events", "lifecycle", "oom_events",
           "Processes killed for want of memory since watchd first saw it; stays 10 minutes after its end", "events"),
    # limits
    _spec("cpu_period", "microseconds", "cpu_period",
          "Period of the CPU quota", "v1 cpu.cfs_period_us; v2 cpu.max"),
    _spec("cpu_quota", "microseconds", "cpu_quota",
          "CPU time in a period, where limited", "v1 cpu.cfs_quota_us; v2 cpu.max"),
    _spec("cpu_shares", "shares", "cpu_shares",
          "Weight of the CPU time", "v1 cpu.shares; v2 cpu.weight, on the scale of v1"),
    _spec("memory_limit_bytes", "bytes", "memory_limit",
          "Memory limit, 0: none", "v1 memory.limit_in_bytes; v2 memory.max"),
    _spec("memory_swap_limit_bytes", "bytes", "memory_swap_limit",
          "Limit of memory and swap together (v1), of swap alone (v2), 0: none (v2: or no swap at all)",
          "v1 memory.memsw.limit_in_bytes; v2 memory.swap.max"),
    _spec("memory_reservation_limit_bytes", "bytes", "memory_reservation",
          "Memory reservation, 0: none", "v1 memory.soft_limit_in_bytes; v2 memory.low"),
    Metric("container_threads_max", "gauge", "threads", "spec", "threads", "Limit of threads, 0: none", "pids.max"),
    _limit("swap_limit_bytes", "bytes", "swap_limit",
           "Swap that it may use, 0: none at all; no series without a limit",
           "v1 memory.memsw.limit_in_bytes less memory.limit_in_bytes; v2 memory.swap.max"),
    _limit("effective_memory_limit_bytes", "bytes", "effective_memory_limit",
           "The lowest memory limit of the container and the cgroups around it; no series without a limit",
           "v1 memory.limit_in_bytes; v2 memory.max"),
    _limit("effective_cpu_limit_cores", "cores", "effective_cpus",
           "The lowest CPU quota of the container and the cgroups around it, by its period; no series without one",
           "v1 cpu.cfs_quota_us; v2 cpu.max"),
    Metric("watchd_container_ancestors_throttled_seconds_total", "counter", "seconds", "around", "throttled",
           "Time for which the cgroups around the container were throttled, added up; of those that have a quota",
           "v1 cpu.stat throttled_time; v2 cpu.stat throttled_usec"),
    # as long as the container exists
    _state("state", "", "held", "1 for the state that the container is in", "inspect State.Status", "state"),
    _state("exit_code", "", "exit_code", "Exit code of the last run, where it has ended", "inspect State.ExitCode"),
    _state("oom_killed", "", "oom_killed",
           "1 where a process was killed for want of memory in the last run, told when that has ended",
           "inspect State.OOMKilled"),
    Metric("watchd_container_restarts_total", "counter", "restarts", "state", "restarts",
           "Restarts by its restart policy", "inspect RestartCount"),
    _state("writable_layer_bytes", "bytes", "writable_layer",
           "Bytes of the writable layer, taken every ten minutes, of a new container within 30 s",
           "/system/df, /containers/json SizeRw"),
    _state("root_fs_bytes", "bytes", "root_fs",
           "Bytes of the root file system, its image included, taken every ten minutes", "/system/df SizeRootFs"),
    _state("log_bytes", "bytes", "log",
           "Bytes of the log, rotated files included, taken once a minute; no series where it cannot be seen",
           "stat of inspect LogPath"),
    _state("log_limit_bytes", "bytes", "log_limit",
           "Bytes that its log may take, max-size times max-file; 0: no limit is set", "inspect HostConfig.LogConfig"),
    Metric("watchd_container_health", "gauge", "", "health", "held",
           "1 for what the container's health check says", "inspect State.Health.Status", ("status",)),
)
# fmt: on
