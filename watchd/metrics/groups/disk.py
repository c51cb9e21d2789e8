"""Input and output of block devices, and the file systems that containers and the host write to."""

from watchd.engine.decode import stats
from watchd.kernel.parse import cgroup_v1, cgroup_v2, procfs
from watchd.metrics.groups.group import Group, Metric


def _disk(name: str, unit: str, field: str, text: str, source: str) -> Metric:
    return Metric(f"container_fs_{name}", "counter", unit, "disk", field, text, source, ("device",))


def _filesystem(name: str, unit: str, field: str, text: str, source: str) -> Metric:
    return Metric(f"container_fs_{name}", "gauge", unit, "filesystem", field, text, source, ("device",))


def _blkio(operation: str, field: str) -> Metric:
    name = "container_blkio_device_usage_total"
    text, source = "Bytes read and written", "v1 blkio.*io_service_bytes; v2 io.stat rbytes, wbytes"
    labels, fixed = ("device", "major", "minor"), (("operation", operation),)
    return Metric(name, "counter", "bytes", "disk", field, text, source, labels, fixed)


# fmt: off
METRICS = (
    _disk("reads_bytes_total", "bytes", "read_bytes",
          "Bytes read", "v1 blkio.*io_service_bytes Read; v2 io.stat rbytes; of the host /proc/diskstats"),
    _disk("writes_bytes_total", "bytes", "written_bytes",
          "Bytes written", "v1 blkio.*io_service_bytes Write; v2 io.stat wbytes"),
    _disk("reads_total", "reads", "reads", "Reads completed", "v1 blkio.*io_serviced Read; v2 io.stat rios"),
    _disk("writes_total", "writes", "writes", "Writes completed", "v1 blkio.*io_serviced Write; v2 io.stat wios"),
    _disk("sector_reads_total", "sectors", "read_sectors", "Sectors of 512 bytes read", "the bytes read"),
    _disk("sector_writes_total", "sectors", "written_sectors", "Sectors of 512 bytes written", "the bytes written"),
    _disk("reads_merged_total", "reads", "merged_reads", "Reads merged", "v1 blkio.*io_merged Read"),
    _disk("writes_merged_total", "writes", "merged_writes", "Writes merged", "v1 blkio.*io_merged Write"),
    _disk("read_seconds_total", "seconds", "read_time", "Time spent reading", "v1 blkio.*io_service_time Read"),
    _disk("write_seconds_total", "seconds", "write_time", "Time spent writing", "v1 blkio.*io_service_time Write"),
    _disk("io_time_seconds_total", "seconds", "io_time",
          "Time spent reading and writing", "v1 blkio.*io_service_time Read and Write"),
    _disk("io_time_weighted_seconds_total", "seconds", "weighted_time",
          "Time spent reading and writing, times the reads and writes under way", "of the host /proc/diskstats"),
    Metric("container_fs_io_current", "gauge", "requests", "disk", "queued",
           "Reads and writes under way", "v1 blkio.*io_queued Read and Write", ("device",)),
    _disk("io_cost_usage_seconds_total", "seconds", "cost_usage",
          "Device time by the cost model", "v2 io.stat cost.usage"),
    _disk("io_cost_wait_seconds_total", "seconds", "cost_wait",
          "Time spent waiting for device time", "v2 io.stat cost.wait"),
    _disk("io_cost_indebt_seconds_total", "seconds", "cost_indebt",
          "Time spent in debt of device time", "v2 io.stat cost.indebt"),
    _disk("io_cost_indelay_seconds_total", "seconds", "cost_indelay",
          "Time spent delayed for that debt", "v2 io.stat cost.indelay"),
    _filesystem("usage_bytes", "bytes", "usage",
                "Bytes of the writable layer, taken every ten minutes; of the host bytes in use",
                "/system/df SizeRw; of the host statfs"),
    _filesystem("limit_bytes", "bytes", "limit", "Size of the file system it is on", "statfs"),
    _filesystem("inodes_total", "inodes", "inodes", "Inodes of the file system it is on", "statfs"),
    _filesystem("inodes_free", "inodes", "inodes_free", "Free inodes of the file system it is on", "statfs"),
    _blkio("Read", "read_bytes"),
    _blkio("Write", "written_bytes"),
)
# fmt: on

GROUP = Group(
    name="disk",
    metrics=METRICS,
    v1=lambda read, context: cgroup_v1.disk(read, context.device_name),
    v2=lambda read, context: cgroup_v2.disk(read, context.device_name),
    api=lambda raw, context: stats.disk(raw, context.device_name),
    host=lambda read, context: tuple(
        device for device in procfs.diskstats(read("diskstats"), read.odd) if context.is_disk(device.device)
    ),
)
