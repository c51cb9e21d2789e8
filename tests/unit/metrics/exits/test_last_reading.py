"""The last reading of a container: on this machine's kernel, and on plain directories for what is rare."""

import errno
import logging
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from inotify_simple import Event, INotify, flags

from tests.harness.waiting import settled, wait_until
from tests.unit.conftest import open_descriptors
from watchd.kernel.cgroup_paths import CgroupMount, Hierarchy, container_named
from watchd.metrics.exits import last_reading
from watchd.metrics.exits.last_reading import LastReadings
from watchd.metrics.exits.life import LastReading

MIB = 2**20
ID = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4
USED = frozenset({"memory", "cpuacct"})

WORK = """
import os, resource, sys, time
for directory in sys.argv[1:]:
    with open(directory + "/cgroup.procs", "w") as procs:
        procs.write("0")
before = resource.getrusage(resource.RUSAGE_SELF)
print(before.ru_utime + before.ru_stime, flush=True)
block = bytearray(32 * 2**20)
block[::4096] = b"x" * len(block[::4096])
until = time.process_time() + 0.2
while time.process_time() < until:
    pass
os._exit(0)
"""

CHURN = """
import os, sys
for line in sys.stdin:
    directories = [sys.argv[1] + "/" + id for id in line.split()]
    for directory in directories:
        os.mkdir(directory)
        if not (child := os.fork()):
            procs = os.open(directory + "/cgroup.procs", os.O_WRONLY)
            os.write(procs, b"0")
            os._exit(0)
        os.waitpid(child, 0)
    print("ended", flush=True)
    sys.stdin.readline()
    for directory in directories:
        os.rmdir(directory)
    print("removed", flush=True)
"""


class Readings(list[LastReading]):
    """The readings."""

    def of(self, container_id: str) -> list[LastReading]:
        return [reading for reading in self if reading.container_id == container_id]


def churn_in_batches(parent: Path, ids: list[str], readings: Readings) -> None:
    """Have each container live and end, and its cgroup removed once it was read: however busy this machine is."""
    churn = [sys.executable, "-I", "-S", "-c", CHURN, str(parent)]
    with subprocess.Popen(churn, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for start in range(0, len(ids), 50):
            batch = ids[start : start + 50]
            process.stdin.write(" ".join(batch) + "\n")
            assert process.stdout.readline() == "ended\n"
            wait_until(lambda: all(map(readings.of, batch)), seconds=10, what="the readings")  # noqa: B023 - at once
            process.stdin.write("\n")
            assert process.stdout.readline() == "removed\n"


@contextmanager
def reading_all(hierarchy: Hierarchy) -> Iterator[tuple[LastReadings, Readings]]:
    readings = Readings()
    reader = LastReadings(hierarchy, readings.append)
    reader.start()
    try:
        yield reader, readings
    finally:
        reader.stop(timeout=60)


def watches(reader: LastReadings) -> int:
    """The number of watches that the kernel keeps for it."""
    return Path(f"/proc/self/fdinfo/{reader._watches.inotify.fd}").read_text().count("inotify wd:")


class Cgroups:
    """A directory in the v2 tree, and in v1's memory and cpuacct where this host has them, for cgroups of a test."""

    def __init__(self) -> None:
        host = Hierarchy.read(Path("/proc"))
        root = host.unified
        if root is None:
            pytest.skip("there is no cgroup v2 tree here")
        self.parent = root / f"watchd-test-{secrets.token_hex(4)}"
        v1 = {name: path for name, path in host.controllers(self.parent).items() if name in USED}
        self._v1_parents = list(v1.values())
        # As if only this part of each hierarchy were mounted: what else goes on here stays out of sight.
        mounts = [CgroupMount(path, f"/{self.parent.name}", frozenset({name})) for name, path in v1.items()]
        self.hierarchy = Hierarchy([*mounts, CgroupMount(self.parent, f"/{self.parent.name}", frozenset())])
        try:
            for parent in (self.parent, *self._v1_parents):
                parent.mkdir()
            if not self._v1_parents:  # controllers are handed down level by level
                for directory in (root, self.parent):
                    (directory / "cgroup.subtree_control").write_text("+cpu +memory")
        except OSError as error:
            self.remove()
            pytest.skip(f"cgroups cannot be made here: {error}")

    def make(self, container_id: str) -> list[Path]:
        """Make a container's directories, the last of them in the v2 tree."""
        directories = [parent / container_id for parent in (*self._v1_parents, self.parent)]
        for directory in directories:
            directory.mkdir()
        return directories

    def unmake(self, container_id: str) -> None:
        for parent in (*self._v1_parents, self.parent):
            (parent / container_id).rmdir()

    def peak(self, container_id: str) -> int | None:
        """The kernel's own peak of memory."""
        for path in (
            *(p / container_id / "memory.max_usage_in_bytes" for p in self._v1_parents),
            self.parent / container_id / "memory.peak",
        ):
            with suppress(FileNotFoundError):
                return int(path.read_text())
        return None

    def live(self, container_id: str, readings: Readings) -> tuple[float, int | None]:
        """Have a container work, end, be read, and be removed. Give the CPU seconds and memory that it used."""
        lives = len(readings.of(container_id))
        command = [sys.executable, "-I", "-S", "-c", WORK, *map(str, self.make(container_id))]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        with process.stdout:
            before = float(process.stdout.readline())
        _, process.returncode, usage = os.wait4(process.pid, 0)
        assert process.returncode == 0
        wait_until(lambda: len(readings.of(container_id)) > lives, seconds=10, what="the reading")
        peak = self.peak(container_id)
        self.unmake(container_id)
        return usage.ru_utime + usage.ru_stime - before, peak

    def remove(self) -> None:
        for parent in (self.parent, *self._v1_parents):
            for directory, _, _ in os.walk(parent, topdown=False):
                with suppress(OSError):
                    Path(directory).rmdir()


@pytest.fixture
def cgroups() -> Iterator[Cgroups]:
    cgroups = Cgroups()
    yield cgroups
    cgroups.remove()


def test_cpu_time_and_peak_memory_are_those_of_the_whole_life(cgroups: Cgroups) -> None:
    container_id = secrets.token_hex(32)
    with reading_all(cgroups.hierarchy) as (reader, readings):
        before = time.time()
        used, peak = cgroups.live(container_id, readings)

    (reading,) = readings.of(container_id)
    assert reader.available
    assert reading.cpu == pytest.approx(used, abs=0.005)
    assert used >= 0.2
    assert reading.memory_peak == peak
    assert peak is None or 32 * MIB <= peak < 64 * MIB
    assert before < reading.at < time.time()


def test_each_life_of_a_restarted_container_is_read_by_itself(cgroups: Cgroups) -> None:
    container_id = secrets.token_hex(32)
    with reading_all(cgroups.hierarchy) as (_, readings):
        used = [cgroups.live(container_id, readings)[0] for _ in range(3)]

    assert [reading.cpu for reading in readings.of(container_id)] == pytest.approx(used, abs=0.005)


def test_a_container_that_runs_at_the_start_is_read_too_and_only_at_its_end(cgroups: Cgroups) -> None:
    container_id = secrets.token_hex(32)
    process = subprocess.Popen(["sleep", "60"])
    *_, directory = cgroups.make(container_id)
    (directory / "inner").mkdir()  # in which the container runs its processes
    (directory / "inner/cgroup.procs").write_text(str(process.pid))
    with reading_all(cgroups.hierarchy) as (_, readings):
        for frozen in ("1", "0"):  # as a pause does
            (directory / "cgroup.freeze").write_text(frozen)
            time.sleep(0.1)
        assert not readings.of(container_id)
        process.kill()
        process.wait()
        wait_until(lambda: readings.of(container_id), seconds=10, what="the reading")
        (directory / "inner").rmdir()

    assert len(readings.of(container_id)) == 1


def test_after_thousands_of_containers_nothing_is_left_and_none_was_missed(cgroups: Cgroups) -> None:
    ids = [secrets.token_hex(32) for _ in range(2000)]
    threads = threading.active_count()
    descriptors = open_descriptors()
    with reading_all(cgroups.hierarchy) as (reader, readings):
        watched, opened = watches(reader), open_descriptors()
        churn_in_batches(cgroups.parent, ids, readings)
        wait_until(lambda: watches(reader) == watched, seconds=10, what="the watches to be as they were")
        wait_until(lambda: open_descriptors() <= opened, seconds=10, what="the descriptors to be let go of")
        assert len(reader._by_watch) == len(reader._by_path) == watched == 1
    assert sorted(reading.container_id for reading in readings) == sorted(ids)
    assert all(reading.cpu for reading in readings)
    assert open_descriptors() <= descriptors
    assert threading.active_count() <= threads


@pytest.fixture
def overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that only ever overflows: of directories nothing is told but that."""
    read = INotify.read

    def overflowing(self: INotify, timeout: int | None = None) -> list[Event]:
        return [Event(-1, flags.Q_OVERFLOW, 0, "")] if read(self, timeout) else []

    monkeypatch.setattr(INotify, "read", overflowing)


@pytest.mark.usefixtures("overflow")
def test_what_the_queue_had_no_room_for_is_looked_up(cgroups: Cgroups) -> None:
    container_id = secrets.token_hex(32)
    with reading_all(cgroups.hierarchy) as (reader, readings):
        watched = watches(reader)
        used = [cgroups.live(container_id, readings)[0] for _ in range(2)]

        wait_until(lambda: watches(reader) == watched, seconds=10, what="the watches to be as they were")
    assert [reading.cpu for reading in readings.of(container_id)] == pytest.approx(used, abs=0.005)


def test_cgroups_that_vanish_at_once_are_no_readings(cgroups: Cgroups, caplog: pytest.LogCaptureFixture) -> None:
    with reading_all(cgroups.hierarchy) as (reader, readings):
        watched = watches(reader)
        for _ in range(200):
            directory = cgroups.parent / "batch" / secrets.token_hex(32)
            directory.mkdir(parents=True)
            directory.rmdir()
            directory.parent.rmdir()
        undecodable = os.fsencode(cgroups.parent) + b"/\xff\xfe"
        os.mkdir(undecodable)  # noqa: PTH102 - bytes
        wait_until(lambda: watches(reader) == watched + 1, seconds=10, what="the watches to be as they were")
        os.rmdir(undecodable)  # noqa: PTH106 - bytes

        wait_until(lambda: watches(reader) == watched, seconds=10, what="the watches to be as they were")
        assert reader._thread is not None
        assert reader._thread.is_alive()
    assert not readings
    assert not caplog.records


def test_it_sleeps_while_nothing_happens(tmp_path: Path) -> None:
    with reading_all(unified(tmp_path)) as (reader, _):
        assert reader._thread is not None
        status = Path(f"/proc/self/task/{reader._thread.native_id}/schedstat")
        settled(status.read_text, still=0.5, seconds=10, what="its CPU time")


# From here on, plain files stand for the kernel's.


def unified(root: Path) -> Hierarchy:
    return Hierarchy([CgroupMount(root, "/", frozenset())])


def plain(directory: Path, *, populated: int = 0, usage: int = 0) -> Path:
    directory.mkdir(parents=True)
    (directory / "cpu.stat").write_text(f"usage_usec {usage:09}\n")
    (directory / "cgroup.events").write_text(f"populated {populated}\nfrozen 0\n")
    return directory


def change(reader: LastReadings, file: Path, text: str) -> None:
    """Write a file and have all files looked at: plain ones cannot be polled. Used where the queue always overflows."""
    file.write_text(text)
    root = reader._hierarchy.unified
    assert root is not None
    nudge = root / f"nudge-{secrets.token_hex(4)}"
    nudge.mkdir()
    wait_until(lambda: nudge in reader._by_path, seconds=10, what="all to be looked at")


def test_what_watchd_follows_on_a_systemd_host(tmp_path: Path) -> None:
    followed = {
        "system.slice": "",
        f"system.slice/docker-{ID}.scope": ID,
        "machine.slice": "",
        f"machine.slice/libpod-{OTHER}.scope": OTHER,
        "docker": "",
        f"docker/{'a' * 64}": "a" * 64,
        "my.own": "",
        f"my.own/libpod-{'b' * 64}": "b" * 64,
        "user.slice/user-1000.slice/user@1000.service/user.slice": "",
        f"user.slice/user-1000.slice/user@1000.service/user.slice/docker-{'c' * 64}.scope": "c" * 64,
    }
    not_followed = (
        "init.scope",
        f"system.slice/some.service/{'d' * 64}",
        f"machine.slice/libpod-conmon-{OTHER}.scope",
        f"kubepods.slice/cri-containerd-{ID}.scope",
        f"docker/{'a' * 64}/docker/{'e' * 64}",
        f"docker/{'a' * 64}/system.slice",
        "dev-hugepages.mount",
    )
    for name, container_id in followed.items():
        if container_id:
            plain(tmp_path / name, populated=1)
        else:
            (tmp_path / name).mkdir(parents=True, exist_ok=True)
    for name in not_followed:
        (tmp_path / name).mkdir(parents=True)

    with reading_all(unified(tmp_path)) as (reader, _):
        paths = {path.relative_to(tmp_path).as_posix() for path in reader._by_path}
    parents = {".", "user.slice", "user.slice/user-1000.slice", "kubepods.slice"}
    assert paths == {*followed, *parents, "user.slice/user-1000.slice/user@1000.service"}
    assert {container_named(Path(name).name) or "" for name in followed} == set(followed.values())


@pytest.mark.usefixtures("overflow")
def test_a_cgroup_that_was_never_used_has_not_ended(tmp_path: Path) -> None:
    directory = plain(tmp_path / "docker" / ID)
    with reading_all(unified(tmp_path)) as (reader, readings):
        change(reader, directory / "cgroup.events", "populated 0\nfrozen 1\n")
        assert not readings

        change(reader, directory / "cgroup.events", "populated 1\nfrozen 0\n")
        change(reader, directory / "cpu.stat", f"usage_usec {1_500_000:09}\n")
        for _ in range(3):  # only the first of which is an end
            change(reader, directory / "cgroup.events", "populated 0\nfrozen 0\n")
    assert [(reading.container_id, reading.cpu, reading.memory_peak) for reading in readings] == [(ID, 1.5, None)]


def test_a_cgroup_that_is_found_when_it_has_ended_is_read(tmp_path: Path) -> None:
    plain(tmp_path / "docker" / ID, usage=250_000)
    with reading_all(unified(tmp_path)) as (_, readings):
        pass

    assert [reading.cpu for reading in readings] == [0.25]


@pytest.mark.usefixtures("overflow")
def test_garbage_is_no_reading_and_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory = plain(tmp_path / "docker" / ID, populated=1)
    plain(tmp_path / "docker" / OTHER, populated=1)
    with reading_all(unified(tmp_path)) as (reader, readings):
        for garbage in ("\0\0\0\0", "populated x\n", "populated 0\nfrozen 0 0\n"):
            change(reader, directory / "cgroup.events", garbage)
        change(reader, tmp_path / "docker" / OTHER / "cgroup.events", "populated 0\n")

    assert [reading.container_id for reading in readings] == [OTHER]
    assert len(caplog.messages) == 1
    assert f"cannot read the cgroup {directory}" in caplog.text


def test_the_directories_of_v1_beside_one_of_v2() -> None:
    separate = Hierarchy(
        [
            CgroupMount(Path("/c/memory"), "/", frozenset({"memory"})),
            CgroupMount(Path("/c/cpuacct"), "/outer", frozenset({"cpuacct"})),
            CgroupMount(Path("/c/pids"), "/elsewhere", frozenset({"pids"})),
            CgroupMount(Path("/c/unified"), "/outer", frozenset()),
        ]
    )
    of_a_container = separate.controllers(Path("/c/unified/docker") / ID)

    assert separate.unified == Path("/c/unified")
    assert of_a_container == {
        "memory": Path("/c/memory/outer/docker") / ID,
        "cpuacct": Path("/c/cpuacct/docker") / ID,
    }


@pytest.mark.usefixtures("overflow")
def test_cpu_time_and_memory_come_from_v1_where_the_v2_tree_does_not_tell_them(tmp_path: Path) -> None:
    hierarchy = Hierarchy(
        [
            CgroupMount(tmp_path / "memory", "/", frozenset({"memory"})),
            CgroupMount(tmp_path / "cpuacct", "/", frozenset({"cpuacct"})),
            CgroupMount(tmp_path / "unified", "/", frozenset()),
        ]
    )
    for controller, file, content in (
        ("memory", "memory.max_usage_in_bytes", "4096\n"),
        ("cpuacct", "cpuacct.usage", "1250000000\n"),
    ):
        (tmp_path / controller / "docker" / ID).mkdir(parents=True)
        (tmp_path / controller / "docker" / ID / file).write_text(content)
    directory = plain(tmp_path / "unified/docker" / ID, populated=1)
    (directory / "cpu.stat").write_text("")
    with reading_all(hierarchy) as (reader, readings):
        change(reader, directory / "cgroup.events", "populated 0\n")

    assert [(reading.cpu, reading.memory_peak) for reading in readings] == [(1.25, 4096)]


def test_a_host_without_a_v2_tree_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    pure_v1 = Hierarchy([CgroupMount(Path("/sys/fs/cgroup/memory"), "/", frozenset({"memory"}))])
    with reading_all(pure_v1) as (reader, _):
        assert not reader.available

    (said,) = (record for record in caplog.records if record.name == last_reading.__name__)  # not by other threads
    assert said.levelname == "INFO"
    assert "no cgroup v2 tree" in said.message


def test_a_host_without_a_free_inotify_instance_says_what_to_raise(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: INotify, **_options: bool) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(INotify, "__init__", refuse)
    monkeypatch.setattr(INotify, "__del__", lambda _self: None, raising=False)
    with reading_all(unified(tmp_path)) as (reader, _):
        assert not reader.available

    assert len(caplog.messages) == 1
    assert "sysctl fs.inotify.max_user_instances" in caplog.text


def test_where_watches_run_out_the_others_are_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_watch = INotify.add_watch

    def refuse(self: INotify, path: Path, mask: int) -> int:
        if "refused" in path.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(add_watch(self, path, mask))

    monkeypatch.setattr(INotify, "add_watch", refuse)
    for parent in ("docker", "refused", "refused-too"):
        plain(tmp_path / parent / ID, populated=1)
    with reading_all(unified(tmp_path)) as (reader, _):
        assert reader.available
        assert {tmp_path, tmp_path / "docker", tmp_path / "docker" / ID} == set(reader._by_path)

    assert len(caplog.messages) == 1
    assert "sysctl fs.inotify.max_user_watches" in caplog.text


def test_a_tree_that_cannot_be_watched(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with reading_all(unified(tmp_path / "gone")) as (reader, _):
        assert not reader.available

    assert f"{tmp_path}/gone cannot be watched" in caplog.text


@pytest.mark.usefixtures("overflow")
def test_stopping_waits_no_longer_than_it_may_and_leaves_nothing(tmp_path: Path) -> None:
    descriptors, threads = open_descriptors(), threading.active_count()
    blocked, let_go = threading.Event(), threading.Event()

    def ended(_reading: LastReading) -> None:
        blocked.set()
        let_go.wait(60)

    directory = plain(tmp_path / "docker" / ID, populated=1)
    reader = LastReadings(unified(tmp_path), ended)
    reader.stop()  # before it was started: nothing to do
    reader.start()
    (directory / "cgroup.events").write_text("populated 0\n")
    (tmp_path / "nudge").mkdir()
    assert blocked.wait(10)
    reader.stop(timeout=0.1)
    assert reader._thread is not None, "it has not ended"

    let_go.set()
    reader.stop(timeout=60)
    reader.stop()
    assert open_descriptors() <= descriptors
    assert threading.active_count() <= threads
