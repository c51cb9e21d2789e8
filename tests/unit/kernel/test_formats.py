"""Whatever bytes a kernel file has, its parser gives numbers; a line that it does not understand costs itself alone."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchd.kernel.block_devices import LOOK_AGAIN, BlockDevices, partitions
from watchd.kernel.cgroup_paths import proc_cgroup
from watchd.kernel.parse import cgroup_v1, cgroup_v2, procfs
from watchd.kernel.parse.formats import (
    Malformed,
    Odd,
    Read,
    Reader,
    flat_keyed,
    limit,
    number,
    refuse,
    seconds,
    single_value,
)
from watchd.kernel.parse.mountinfo import mountinfo
from watchd.kernel.parse.netdev import net_dev


def _name(number: str) -> str:
    return f"/dev/{number}"


PARSERS: dict[str, Callable[[bytes, Odd], object]] = {
    "single_value": single_value,
    "limit": limit,
    "flat_keyed": lambda data, odd: flat_keyed(data, odd)(b"a"),
    "mountinfo": mountinfo,
    "proc_cgroup": proc_cgroup,
    "net_dev": net_dev,
    "partitions": partitions,
    "meminfo": procfs.meminfo,
    "diskstats": procfs.diskstats,
    "vmstat": lambda data, odd: procfs.memory({}, data, odd),
    "v1.spec": lambda data, odd: cgroup_v1.spec(reader(data, odd)),
    "v1.cpu": lambda data, odd: cgroup_v1.cpu(reader(data, odd), limited=True),
    "v1.memory": lambda data, odd: cgroup_v1.memory(reader(data, odd)),
    "v1.disk": lambda data, odd: cgroup_v1.disk(reader(data, odd), _name),
    "v1.process": lambda data, odd: cgroup_v1.process(reader(data, odd)),
    "v2.spec": lambda data, odd: cgroup_v2.spec(reader(data, odd)),
    "v2.cpu": lambda data, odd: cgroup_v2.cpu(reader(data, odd), limited=True),
    "v2.memory": lambda data, odd: cgroup_v2.memory(reader(data, odd)),
    "v2.disk": lambda data, odd: cgroup_v2.disk(reader(data, odd), _name),
    "v2.process": lambda data, odd: cgroup_v2.process(reader(data, odd)),
    "v2.pressure": lambda data, odd: cgroup_v2.pressure(reader(data, odd)),
}


def reader(data: bytes, odd: Odd) -> Read:
    """Every file has this content."""
    read: Read = Reader(lambda _: data)
    read.odd = odd
    return read


def files(contents: dict[str, bytes | None]) -> Read:
    return Reader(contents.get)


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
def test_any_bytes_give_numbers_and_notes_of_what_is_odd(parse: Callable[[bytes, Odd], object], data: bytes) -> None:
    notes: list[str] = []
    parse(data, notes.append)
    assert all(notes)
    assert all(len(note) < 400 for note in notes), "not told whole"
    if notes:
        with pytest.raises(Malformed):
            parse(data, refuse)


# Whole files of each kind that has lines, from captured hosts.
WHOLE = {
    "flat_keyed": b"user 2\na 3\n",
    "mountinfo": b"36 35 8:17 /home /mnt rw - ext4 /dev/sdb1 rw,discard\n",
    "proc_cgroup": b"12:memory:/docker/x\n0::/docker/x\n",
    "meminfo": b"MemTotal: 16 kB\nMemFree: 8 kB\n",
    "diskstats": b"259 0 nvme0n1 100 7 2048 1500 50 3 4096 2500 2 3000 4000 0 0 0 0 5 6\n",
    "vmstat": b"pgfault 12\npgmajfault 3\n",
    "v1.cpu": b"user 2\nsystem 3\nnr_periods 1\n",
    "v1.memory": b"total_rss 2\npgfault 1\n",
    "v1.disk": b"8:0 Read 1\n8:0 Write 2\nTotal 3\n",
    "v2.cpu": b"usage_usec 2\nnr_periods 3\n",
    "v2.memory": b"anon 2\nfile 3\nmax 4\n",
    "v2.disk": b"8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n8:16 rbytes=5 wbytes=6 rios=7 wios=8\n",
    "v2.pressure": b"some avg10=0.00 avg60=0.00 avg300=0.00 total=5\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=4\n",
}
ODD_LINES = (b"(unknown) rbytes=1 wbytes=2 rios=3 wios=4", b"odd", b"a b c d e", b"8:0 Read x Write 3", b"\xff \0 x")


@pytest.mark.parametrize("kind", WHOLE)
@given(where=st.integers(0, 5), odd=st.sampled_from(ODD_LINES))
def test_an_odd_line_costs_itself_alone(kind: str, where: int, odd: bytes) -> None:
    """As of a disk that was removed: "(unknown) rbytes=1"."""
    lines = WHOLE[kind].splitlines(keepends=True)
    lines.insert(where % (len(lines) + 1), odd + b"\n")
    without: list[str] = []  # a group of several files notes that all of them have the same content
    notes: list[str] = []

    assert PARSERS[kind](b"".join(lines), notes.append) == PARSERS[kind](WHOLE[kind], without.append)
    assert len(notes) > len(without)


@pytest.mark.parametrize("group", ["spec", "memory", "process"])
@pytest.mark.parametrize("version", [cgroup_v1, cgroup_v2], ids=["v1", "v2"])
def test_files_that_a_kernel_does_not_have_give_no_values(version: object, group: str) -> None:
    record = getattr(version, group)(Reader(lambda _: None))

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
    with pytest.raises(Malformed, match="not a key and a number"):
        flat_keyed(b"user 2\nsystem")


def test_a_malformed_file_is_not_told_whole() -> None:
    with pytest.raises(Malformed) as raised:
        number(b"x" * 10_000)

    assert len(str(raised.value)) < 100


@pytest.mark.parametrize(
    ("limits", "swap"), [("max 0", 0), ("max max", None), ("max 4096", 4096), ("8192 0", 0), ("8192 max", None)]
)
def test_v2_swap_that_is_forbidden_is_not_swap_without_limit(limits: str, swap: int | None) -> None:
    memory_max, swap_max = (f"{value}\n".encode() for value in limits.split())
    spec = cgroup_v2.spec(files({"memory.max": memory_max, "memory.swap.max": swap_max}))
    assert (spec.swap_limit, spec.memory_swap_limit) == (swap, swap or 0)


@pytest.mark.parametrize(
    ("memory", "both", "swap"), [(8192, 8192, 0), (8192, 12288, 4096), (8192, 1 << 63, None), (1 << 63, 1 << 63, None)]
)
def test_v1_swap_that_is_forbidden_is_not_swap_without_limit(memory: int, both: int, swap: int | None) -> None:
    limits = {"memory.limit_in_bytes": b"%d\n" % memory, "memory.memsw.limit_in_bytes": b"%d\n" % both}
    assert cgroup_v1.spec(files({**limits})).swap_limit == swap


def test_blkio_gives_reads_and_writes_by_device() -> None:
    data = b"8:0 Read 4096\n8:0 Write 1\n8:0 Discard 9\n8:0 Total 9999\n8:16 Read 5\nTotal 4102\n"

    assert cgroup_v1.blkio(data) == {"8:0": (4096, 1), "8:16": (5, None)}
    assert cgroup_v1.blkio(b"Total 0\n") == cgroup_v1.blkio(None) == {}


_FURTHER = st.lists(st.sampled_from([b"Sync", b"Discard", b"Total"]), max_size=2)
_LINES = st.tuples(st.lists(st.sampled_from([b"8:0", b"8:16", b"254:1"]), unique=True), _FURTHER).map(
    lambda drawn: [(device, operation) for device in drawn[0] for operation in (*drawn[1], b"Read", b"Write")]
)


@given(lines=_LINES, numbers=st.lists(st.sampled_from([b"0", b"7", b"18446744073709551615", b"x"]), min_size=12))
def test_blkio_files_of_a_layout_that_was_seen_before_are_read_as_the_first(
    lines: list[tuple[bytes, bytes]], numbers: list[bytes]
) -> None:
    def file(counts: list[bytes]) -> bytes:
        return (
            b"".join(b"%b %b %b\n" % (*line, count) for line, count in zip(lines, counts, strict=False)) + b"Total 5\n"
        )

    notes: list[str] = []
    cgroup_v1._layouts.clear()
    first = cgroup_v1.blkio(file(numbers), notes.append)
    cgroup_v1._layouts.clear()
    cgroup_v1.blkio(file([b"1"] * 12), notes.append)
    assert len(cgroup_v1._layouts) == 1
    told = len(notes)

    assert cgroup_v1.blkio(file(numbers), notes.append) == first
    assert notes[told:] == notes[:told]


def test_the_first_family_of_blkio_files_that_counted_anything_counts() -> None:
    contents: dict[str, bytes | None] = {
        "blkio.bfq.io_service_bytes_recursive": b"Total 0\n",
        "blkio.io_service_bytes_recursive": b"8:0 Read 10\n8:0 Write 20\n8:0 Total 99\nTotal 99\n",
        "blkio.io_serviced_recursive": b"8:0 Read 1\n8:0 Write 2\nTotal 3\n",
        "blkio.io_merged_recursive": b"8:0 Read 3\n8:0 Write 4\nTotal 7\n",
        "blkio.io_service_time_recursive": b"8:0 Read 500000000\n8:0 Write 250000000\nTotal 750000000\n",
        "blkio.io_queued_recursive": b"8:0 Read 1\n8:0 Write 0\nTotal 1\n",
        "blkio.throttle.io_service_bytes_recursive": b"8:0 Read 77\n8:0 Write 77\nTotal 154\n",
    }

    (device,) = cgroup_v1.disk(files(contents), lambda _: "/dev/sda")

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

    pressure = cgroup_v2.pressure(files({"cpu.pressure": some}))

    assert (pressure.cpu_waiting, pressure.cpu_stalled, pressure.io_waiting) == (1.5, None, None)


def test_net_dev_leaves_out_what_is_not_the_containers_own() -> None:
    counters = b": 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n"
    dropped = (b"    lo", b"veth12ab34f", b"veth12ab34f0", b"docker0", b"nerdctl0")
    kept = ("eth0", "eth1:0", "br-1", "lora0", "lo1", "docker-dmz", "docker1", "vethwan", "veth0", "Docker0")
    names = (*dropped, *(b"  " + name.encode() for name in kept))

    interfaces = net_dev(b"Inter-|...\n face |...\n" + b"".join(name + counters for name in names))

    assert [interface.interface for interface in interfaces] == list(kept)
    eth0 = interfaces[0]
    assert (eth0.received_bytes, eth0.received_packets, eth0.received_errors, eth0.received_dropped) == (1, 2, 3, 4)
    assert (eth0.sent_bytes, eth0.sent_packets, eth0.sent_errors, eth0.sent_dropped) == (5, 6, 7, 8)


def test_partitions() -> None:
    data = b"major minor  #blocks  name\n\n   8        1   100 sda1\n 104        0   100 cciss/c0d0\n"

    assert partitions(data) == {"8:1": "/dev/sda1", "104:0": "/dev/cciss/c0d0"}


def test_a_device_that_comes_later_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = BlockDevices(tmp_path, refuse)
    assert devices.name("8:1") == "8:1"
    (tmp_path / "partitions").write_text("major minor  #blocks  name\n\n   8        1   100 sda1\n")
    later = time.monotonic() + LOOK_AGAIN
    monkeypatch.setattr(time, "monotonic", lambda: later)

    assert devices.name("8:1") == "/dev/sda1"


def test_a_device_keeps_its_name_while_another_thread_reads_the_names(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "partitions")  # which makes whoever reads it wait
    devices = BlockDevices(tmp_path, refuse)
    with ThreadPoolExecutor(2) as pool:
        names = [pool.submit(devices.name, "8:1") for _ in range(2)]
        done = wait(names, 0.2).done
        (tmp_path / "partitions").write_text("major minor  #blocks  name\n\n   8        1   100 sda1\n")
        assert not done
        assert [name.result(60) for name in names] == ["/dev/sda1", "/dev/sda1"]
