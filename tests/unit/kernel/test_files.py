"""Several files are read at once as each of them is by itself, also where one of them cannot be read."""

import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.unit.conftest import open_descriptors
from watchd.kernel.files import CgroupFiles, Gone

NAMES = ("memory.current", "memory.stat", "cgroup.procs", "memory.peak")


class Kernel:
    """Reads files, but for those that fail with an error."""

    def __init__(self) -> None:
        self.fails: Mapping[str, int] = {}

    def pread(self, descriptor: int, length: int, offset: int) -> bytes:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        if name in self.fails:
            raise OSError(self.fails[name], os.strerror(self.fails[name]))
        return os.pread(descriptor, length, offset)


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "memory.current").write_text("4096\n")
    (tmp_path / "memory.stat").write_text("anon 1\n" * 1000)
    (tmp_path / "cgroup.procs").write_text("1\n" * 100_000)
    return tmp_path


@pytest.fixture
def files(directory: Path, kernel: Kernel) -> Iterator[CgroupFiles]:
    files = CgroupFiles({"": directory}, kernel.pread)
    yield files
    files.close()


def test_all_are_read_whole_the_first_time_and_later(files: CgroupFiles, directory: Path) -> None:
    whole = [b"4096\n", b"anon 1\n" * 1000, b"1\n" * 100_000, None]
    assert files.read_all(NAMES) == whole
    assert files.read_all(NAMES) == whole
    (directory / "memory.current").write_text("8192\n")
    assert files.read_all(NAMES[:3]) == [b"8192\n", *whole[1:3]]


def test_one_that_this_kernel_does_not_have_costs_no_other(files: CgroupFiles, kernel: Kernel) -> None:
    before = open_descriptors()
    files.read_all(NAMES)
    kernel.fails = {"memory.stat": errno.EOPNOTSUPP}
    assert files.read_all(NAMES) == [b"4096\n", None, b"1\n" * 100_000, None]
    assert open_descriptors() == before + 3, "the directory's, too"
    kernel.fails = {}
    assert files.read("memory.stat") is None, "it is not looked for again"


def test_one_that_cannot_be_read_is_an_error(files: CgroupFiles, kernel: Kernel) -> None:
    files.read_all(NAMES)
    kernel.fails = {"memory.stat": errno.EIO}
    with pytest.raises(OSError, match="Input/output error"):
        files.read_all(NAMES)
    assert files.read_all(("memory.current", "memory.peak")) == [b"4096\n", None]


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENODEV, errno.ESRCH, errno.ESTALE])
def test_when_the_cgroup_was_removed_it_is_gone(files: CgroupFiles, kernel: Kernel, number: int) -> None:
    files.read_all(NAMES)
    kernel.fails = dict.fromkeys(NAMES, number)
    with pytest.raises(Gone):
        files.read_all(NAMES)


def test_those_read_anew_have_descriptors_of_their_own(files: CgroupFiles) -> None:
    files.read_all(NAMES)
    before = open_descriptors()
    others = files.anew()
    assert others.read_all(NAMES[:2]) == files.read_all(NAMES[:2])
    assert open_descriptors() == before + 2
    others.close()
    assert open_descriptors() == before


@pytest.mark.parametrize("controller", ["", "memory"])
def test_processes_are_those_of_the_whole_tree(tmp_path: Path, controller: str) -> None:
    """As where systemd or an engine runs inside: the container's own cgroup has none. On v2 (""), and on v1."""
    (tmp_path / "init.scope/deep").mkdir(parents=True)
    for directory, processes in ((".", ""), ("init.scope", "2\n3\n"), ("init.scope/deep", "4\n")):
        (tmp_path / directory / "cgroup.procs").write_text(processes)
    (tmp_path / "pids.current").write_text("3\n")
    files = CgroupFiles({controller: tmp_path})
    for _ in range(2):
        own, _threads = files.read_all(("cgroup.procs", "pids.current"))
        assert sorted((own or b"").split()) == [b"2", b"3", b"4"]
    (tmp_path / "init.scope/deep/cgroup.procs").write_text("")
    assert files.read_all(("cgroup.procs",)) == [b"2\n3\n"]
    files.close()


def test_processes_of_a_cgroup_that_was_made_anew_are_not_those_of_the_one_before(tmp_path: Path) -> None:
    """As of a container that was restarted: its cgroup has the same path. On v1, where the file is not kept open."""
    before = open_descriptors()
    cgroup = tmp_path / "cgroup"
    files = CgroupFiles({"memory": cgroup})
    for processes in ("2\n", "3\n"):
        cgroup.mkdir()
        (cgroup / "cgroup.procs").write_text(processes)
        if processes == "2\n":
            assert files.read("cgroup.procs") == b"2\n"
            (cgroup / "cgroup.procs").unlink()
            cgroup.rmdir()
    with pytest.raises(Gone):
        files.read("cgroup.procs")
    files.close()
    assert files.read("cgroup.procs") == b"3\n"
    files.close()
    assert open_descriptors() == before
