"""Whatever bytes a kernel file has, its parser gives numbers or raises Malformed."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchd.metrics import cgroup_v1, cgroup_v2
from watchd.metrics.formats import Malformed, flat_keyed, limit, number, seconds, single_value
from watchd.metrics.hierarchy import mountinfo, proc_cgroup
from watchd.metrics.netdev import net_dev
from watchd.metrics.partitions import LOOK_AGAIN, BlockDevices, partitions


def _name(number: str) -> str:
    return f"/dev/{number}"


PARSERS: dict[str, Callable[[bytes], object]] = {
    "single_value": single_value,
    "limit": limit,
    "flat_keyed": lambda data: flat_keyed(data)(b"a"),
    "mountinfo": mountinfo,
    "proc_cgroup": proc_cgroup,
    "net_dev": net_dev,
    "partitions": partitions,
    "v1.spec": lambda data: cgroup_v1.spec(lambda _: data),
    "v1.cpu": lambda data: cgroup_v1.cpu(lambda _: data, limited=True),
    "v1.memory": lambda data: cgroup_v1.memory(lambda _: data),
    "v1.disk": lambda data: cgroup_v1.disk(lambda _: data, _name),
    "v1.process": lambda data: cgroup_v1.process(lambda _: data),
    "v2.spec": lambda data: cgroup_v2.spec(lambda _: data),
    "v2.cpu": lambda data: cgroup_v2.cpu(lambda _: data, limited=True),
    "v2.memory": lambda data: cgroup_v2.memory(lambda _: data),
    "v2.disk": lambda data: cgroup_v2.disk(lambda _: data, _name),
    "v2.process": lambda data: cgroup_v2.process(lambda _: data),
    "v2.pressure": lambda data: cgroup_v2.pressure(lambda _: data),
}

_TOKENS = st.sampled_from(
    [
        *(b"0", b"7", b"-1", b"max", b"9" * 25, b"9" * 5000, b"1_0", b"\xff", b"\0", b":", b"=", b" - ", b".."),
        *(b"a", b"some", b"total=", b"total=5", b"8:0", b"rbytes=1", b"cost.usage=3", b"Read", b"Total", b"user"),
        *(b"usage_usec", b"/docker/x", b"0::/docker/x", b"cgroup2", b"cgroup", b"rw,memory", b"eth0:", b"lo:"),
    ]
)
_ALMOST = st.lists(st.tuples(_TOKENS, st.sampled_from([b" ", b"\n", b"\t", b""]))).map(
    lambda pairs: b"".join(token + end for token, end in pairs)
)


@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS.keys())
@given(data=st.one_of(st.binary(max_size=300), _ALMOST))
def test_any_bytes_give_numbers_or_malformed(parse: Callable[[bytes], object], data: bytes) -> None:
    with suppress(Malformed):
        parse(data)


@pytest.mark.parametrize("group", ["spec", "memory", "process"])
@pytest.mark.parametrize("version", [cgroup_v1, cgroup_v2], ids=["v1", "v2"])
def test_files_that_a_kernel_does_not_have_give_no_values(version: object, group: str) -> None:
    record = getattr(version, group)(lambda _: None)

    assert all(getattr(record, field) is None for field in record.__slots__)


@given(st.integers(min_value=0, max_value=2**64 - 1))
def test_every_count_of_a_kernel_is_read_exactly(value: int) -> None:
    assert single_value(b"%d\n" % value) == value
    assert flat_keyed(b"a 1\nb %d\n" % value)(b"b") == value


def test_values() -> None:
    assert single_value(None) is None
    assert limit(b"max\n") == 0
    assert limit(b"50\n") == 50
    assert limit(None) is None
    assert seconds(1_500_000, 1_000_000) == 1.5
    assert seconds(None, 100) is None
    assert flat_keyed(b"user 2\nsystem 3\n")(b"nice") is None
    with pytest.raises(Malformed, match="not a number"):
        number(b"abc")
    with pytest.raises(Malformed, match="missing"):
        flat_keyed(b"user 2\nsystem")


def test_a_malformed_file_is_not_told_whole() -> None:
    with pytest.raises(Malformed) as raised:
        number(b"x" * 10_000)

    assert len(str(raised.value)) < 100


def test_blkio_gives_reads_and_writes_by_device() -> None:
    data = b"8:0 Read 4096\n8:0 Write 1\n8:0 Discard 9\n8:0 Total 9999\n8:16 Read 5\nTotal 4102\n"

    assert cgroup_v1.blkio(data) == {"8:0": {b"Read": 4096, b"Write": 1}, "8:16": {b"Read": 5}}
    assert cgroup_v1.blkio(b"Total 0\n") == cgroup_v1.blkio(None) == {}


def test_the_first_family_of_blkio_files_that_counted_anything_counts() -> None:
    files = {
        "blkio.bfq.io_service_bytes_recursive": b"Total 0\n",
        "blkio.io_service_bytes_recursive": b"8:0 Read 10\n8:0 Write 20\n8:0 Total 99\nTotal 99\n",
        "blkio.io_serviced_recursive": b"8:0 Read 1\n8:0 Write 2\nTotal 3\n",
        "blkio.io_merged_recursive": b"8:0 Read 3\n8:0 Write 4\nTotal 7\n",
        "blkio.io_service_time_recursive": b"8:0 Read 500000000\n8:0 Write 250000000\nTotal 750000000\n",
        "blkio.io_queued_recursive": b"8:0 Read 1\n8:0 Write 0\nTotal 1\n",
        "blkio.throttle.io_service_bytes_recursive": b"8:0 Read 77\n8:0 Write 77\nTotal 154\n",
    }

    (device,) = cgroup_v1.disk(files.get, lambda _: "/dev/sda")

    assert (device.device, device.major, device.minor) == ("/dev/sda", "8", "0")
    assert (device.read_bytes, device.written_bytes, device.reads, device.writes) == (10, 20, 1, 2)
    assert (device.merged_reads, device.merged_writes, device.queued) == (3, 4, 1)
    assert (device.read_time, device.write_time, device.io_time) == (0.5, 0.25, 0.75)


def test_io_stat_survives_devices_without_counts_and_without_line_ends() -> None:
    data = b"253:1 253:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0 cost.vrate=100.00 cost.usage=7\n8:0 \n"

    counts = {"rbytes": 1, "wbytes": 2, "rios": 3, "wios": 4, "dbytes": 0, "dios": 0, "cost.usage": 7}
    assert cgroup_v2.io_stat(data) == {"253:0": counts}


def test_cpu_weight_is_converted_back_to_shares() -> None:
    assert [cgroup_v2.cpu_weight(b"%d\n" % weight) for weight in (0, 1, 100, 10000)] == [2, 2, 2597, 262144]


def test_pressure_of_kernels_that_do_not_tell_when_all_waited_for_a_cpu() -> None:
    some = b"some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n"

    pressure = cgroup_v2.pressure({"cpu.pressure": some}.get)

    assert (pressure.cpu_waiting, pressure.cpu_stalled, pressure.io_waiting) == (1.5, None, None)


def test_net_dev_leaves_out_what_is_not_the_containers_own() -> None:
    counters = b": 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n"
    names = (b"    lo", b"  eth0", b"Veth12", b"docker0", b"NERDCTL1", b"  eth1:0", b"br-1")

    interfaces = net_dev(b"Inter-|...\n face |...\n" + b"".join(name + counters for name in names))

    assert [interface.interface for interface in interfaces] == ["eth0", "eth1:0", "br-1"]
    eth0 = interfaces[0]
    assert (eth0.received_bytes, eth0.received_packets, eth0.received_errors, eth0.received_dropped) == (1, 2, 3, 4)
    assert (eth0.sent_bytes, eth0.sent_packets, eth0.sent_errors, eth0.sent_dropped) == (5, 6, 7, 8)


def test_partitions() -> None:
    data = b"major minor  #blocks  name\n\n   8        1   100 sda1\n 104        0   100 cciss/c0d0\n"

    assert partitions(data) == {"8:1": "/dev/sda1", "104:0": "/dev/cciss/c0d0"}


def test_a_device_that_comes_later_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = BlockDevices(tmp_path)
    assert devices.name("8:1") == "8:1"
    (tmp_path / "partitions").write_text("major minor  #blocks  name\n\n   8        1   100 sda1\n")
    later = time.monotonic() + LOOK_AGAIN
    monkeypatch.setattr(time, "monotonic", lambda: later)

    assert devices.name("8:1") == "/dev/sda1"


def test_a_device_keeps_its_name_while_another_thread_reads_the_names(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "partitions")  # which makes whoever reads it wait
    devices = BlockDevices(tmp_path)
    with ThreadPoolExecutor(2) as pool:
        names = [pool.submit(devices.name, "8:1") for _ in range(2)]
        done = wait(names, 0.2).done
        (tmp_path / "partitions").write_text("major minor  #blocks  name\n\n   8        1   100 sda1\n")
        assert not done
        assert [name.result(5) for name in names] == ["/dev/sda1", "/dev/sda1"]
