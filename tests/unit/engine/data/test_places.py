"""The file systems of the engine's data, by the mounts of this process and of the host."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cleanup.builders import ENGINE, container, hex_id, image, running, volume
from watchd.config.schema.config import DataRoots
from watchd.engine.data import places as data_places
from watchd.engine.data.disks import EngineDisks, Measured
from watchd.model import Own

ROOT = "/var/lib/docker"
CONTAINERD = "/var/lib/containerd"
SNAPSHOT = f"{CONTAINERD}/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs"
LAYER = f"{ROOT}/overlay2/abc/diff"
HOST = "10 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
DOCKER = f"11 10 8:16 / {ROOT} rw - ext4 /dev/sdb rw\n"
OF_CONTAINERD = f"12 10 8:32 / {CONTAINERD} rw - ext4 /dev/sdc rw\n"
VOLUME = "22 20 8:16 /volumes/state/_data /var/lib/watchd rw - ext4 /dev/sdb rw\n"

ME = running("watchd", pid=4100, volumes=("state",))
WEB = running("web", pid=4242)
STATE = volume("state", mountpoint=f"{ROOT}/volumes/state/_data")
IN_CONTAINER = Own(in_container=True, container_id=ME.id)
ON_HOST = Own(in_container=False)
IN_CONTAINERD = replace(ENGINE, store="containerd", storage_driver="overlayfs")


def overlay(upper: str, point: str = "/") -> str:
    return f"20 19 0:83 / {point} rw - overlay overlay rw,lowerdir=/l,upperdir={upper},workdir=/w\n"


class Machine:
    """The host's /proc, as watchd sees it."""

    def __init__(self, procfs: Path) -> None:
        self.procfs = procfs
        self.disks = EngineDisks(procfs=procfs)

    def mounts(self, own: str | None = None, host: str | None = None, web: str | None = None) -> None:
        """Write mountinfo of watchd, of the first process, and of a container."""
        for name, table in (("self", own), ("1", host), (str(WEB.pid), web)):
            if table is None:
                continue
            process = self.procfs / name
            process.mkdir(exist_ok=True)
            (process / "mountinfo").write_text(table)

    def runs(self, *names: str) -> None:
        """Write cgroups of the processes of containers, each with the container's ID."""
        for pid, name in ((ME.pid, "watchd"), (WEB.pid, "web")):
            if name in names:
                (self.procfs / str(pid)).mkdir(exist_ok=True)
                (self.procfs / str(pid) / "cgroup").write_text(f"0::/docker/{hex_id(name)}\n")

    def measure(self, own: Own = ON_HOST, **changes: Any) -> Measured:
        seen = {"engine": ENGINE, "containers": (ME, WEB), "volumes": (STATE,), "images": (image("app"),), **changes}
        return self.disks.measure(own=own, **seen)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(data_places, "_can_be_measured", lambda _: True)
    monkeypatch.setattr("watchd.engine.data.disks.os.statvfs", lambda _: _Statvfs())
    machine = Machine(tmp_path)
    machine.mounts(own=HOST + DOCKER + OF_CONTAINERD, host=HOST + DOCKER + OF_CONTAINERD)
    return machine


class _Statvfs:
    f_blocks, f_bfree, f_bavail, f_frsize, f_files, f_ffree = 100, 50, 40, 1, 10, 5


def places(measured: Measured) -> dict[str, tuple[str, str]]:
    """Return the path of each kind's disk, and where it is measured."""
    return {kind: (disk.path, disk.seen_at) for kind, disk in measured.disks.items()}


def all_at(*place: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(("volume", "container", "image", "build_cache"), place)


class TestInContainer:
    def test_a_volume_of_its_own_proves_the_data_roots_file_system(self, machine: Machine) -> None:
        machine.mounts(own=overlay(LAYER) + VOLUME, host=overlay(LAYER))
        found = machine.measure(IN_CONTAINER)
        assert places(found)["volume"] == (ROOT, "/var/lib/watchd")
        assert found.is_here

    @pytest.mark.parametrize(
        "changes",
        [
            {"volumes": (replace(STATE, options={"device": ":/srv"}),)},
            {"volumes": (replace(STATE, driver="nfs"),)},
            {"volumes": (replace(STATE, mountpoint="/mnt/volumes/state/_data"),)},
            {"volumes": ()},
            {"containers": (replace(ME, volumes=()), WEB)},
            {"containers": (WEB,)},
        ],
    )
    def test_no_other_volume_does(self, machine: Machine, changes: dict[str, Any]) -> None:
        machine.mounts(own=VOLUME, host="")
        found = machine.measure(IN_CONTAINER, **changes)
        assert not found.disks
        assert not found.is_here
        assert "engine.data_roots.docker" in found.unmeasured["volume"]

    def test_its_own_overlay_shows_the_disk_of_containerd(self, machine: Machine) -> None:
        """Statvfs of an overlay tells of the file system of its upper directory."""
        machine.mounts(own=overlay(SNAPSHOT) + VOLUME)
        found = machine.measure(IN_CONTAINER, engine=IN_CONTAINERD)
        assert places(found) == {**all_at(CONTAINERD, "/"), "volume": (ROOT, "/var/lib/watchd")}

    def test_where_that_is_the_disk_of_the_data_root_both_are_one(self, machine: Machine) -> None:
        machine.mounts(own=overlay(SNAPSHOT) + VOLUME, host=HOST + DOCKER.replace(ROOT, "/var/lib"))
        found = machine.measure(IN_CONTAINER, engine=IN_CONTAINERD)
        assert len(set(found.disks.values())) == 1
        assert places(found) == all_at(ROOT, "/var/lib/watchd")

    def test_without_the_hosts_mounts_that_of_containerd_is_not_known(self, machine: Machine) -> None:
        machine.mounts(own=overlay(SNAPSHOT) + VOLUME, host="")
        found = machine.measure(IN_CONTAINER, engine=IN_CONTAINERD)
        assert places(found) == {"volume": (ROOT, "/var/lib/watchd")}
        assert "--pid host" in found.unmeasured["image"]
        assert "engine.data_roots.containerd" in found.unmeasured["image"]

    def test_a_disk_of_which_nothing_is_mounted_is_not_measured(self, machine: Machine) -> None:
        machine.mounts(own=overlay("/elsewhere/upper") + VOLUME, web=overlay(SNAPSHOT))
        machine.runs("web")
        assert places(machine.measure(IN_CONTAINER, engine=IN_CONTAINERD)) == {"volume": (ROOT, "/var/lib/watchd")}


class TestOnTheHost:
    def test_a_containers_overlay_proves_where_containerd_is(self, machine: Machine) -> None:
        elsewhere = "/mnt/big/containerd"
        machine.mounts(host=HOST + DOCKER + OF_CONTAINERD.replace(CONTAINERD, "/mnt/big"))
        machine.mounts(own=HOST + DOCKER + OF_CONTAINERD.replace(CONTAINERD, "/mnt/big"))
        machine.mounts(web=overlay(SNAPSHOT.replace(CONTAINERD, elsewhere)))
        machine.runs("web")
        found = machine.measure(engine=IN_CONTAINERD)
        assert places(found) == {**all_at(elsewhere, elsewhere), "volume": (ROOT, ROOT)}

    def test_what_was_proven_holds_when_that_container_has_ended(self, machine: Machine) -> None:
        machine.mounts(web=overlay(SNAPSHOT))
        machine.runs("web")
        before = machine.measure(engine=IN_CONTAINERD)
        ended: dict[str, Any] = {"containers": (container("web"),), "images": ()}
        assert machine.measure(engine=IN_CONTAINERD, **ended) == before
        assert machine.measure(engine=replace(IN_CONTAINERD, id="another"), **ended).disks == {}

    def test_a_process_of_another_machines_container_proves_nothing(self, machine: Machine) -> None:
        machine.mounts(web=overlay(LAYER))
        assert machine.measure().disks == {}

    @pytest.mark.parametrize("upper", ["/cow/upper", "/other/docker/overlay2/abc/diff"])
    def test_an_overlay_that_is_not_of_the_store_proves_no_layers(self, machine: Machine, upper: str) -> None:
        machine.mounts(web=overlay(upper))
        machine.runs("web")
        assert "image" not in machine.measure(engine=IN_CONTAINERD).disks

    def test_volumes_may_be_on_a_disk_of_their_own(self, machine: Machine) -> None:
        table = HOST + DOCKER + f"13 11 8:48 / {ROOT}/volumes rw - ext4 /dev/sdd rw\n"
        machine.mounts(own=table, host=table)
        machine.runs("web")
        assert places(machine.measure()) == {**all_at(ROOT, ROOT), "volume": (f"{ROOT}/volumes", f"{ROOT}/volumes")}

    def test_two_paths_on_one_file_system_are_one_disk(self, machine: Machine) -> None:
        """Subvolumes of btrfs have one device in mountinfo, and each another st_dev."""
        table = (
            "10 1 0:30 /@ / rw - btrfs /dev/sda1 rw,subvol=/@\n"
            f"11 10 0:30 /@docker {ROOT} rw - btrfs /dev/sda1 rw,subvol=/@docker\n"
            f"12 10 0:30 /@containerd {CONTAINERD} rw - btrfs /dev/sda1 rw,subvol=/@containerd\n"
        )
        machine.mounts(own=table, host=table, web=overlay(SNAPSHOT))
        machine.runs("web")
        assert places(machine.measure(engine=IN_CONTAINERD)) == all_at(ROOT, ROOT)

    def test_a_path_that_is_hidden_here_is_measured_at_another_mount(self, machine: Machine) -> None:
        """As systemd's ProtectHome= does it."""
        home = replace(ENGINE, root_dir="/home/u/docker")
        machine.mounts(own=HOST + "14 10 0:25 / /home ro - tmpfs tmpfs ro\n", host=HOST)
        machine.runs("web")
        assert places(machine.measure(engine=home)) == all_at("/home/u/docker", "/")


class TestImagesOfContainerd:
    @pytest.fixture
    def stores(self, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Measured]:
        """Let stores hold an image: that of the engine's own containerd, and that of one beside it."""
        root, beside = tmp_path / "docker", tmp_path / "containerd"
        monkeypatch.setattr(data_places, "CONTAINERD_ROOT", beside)
        table = HOST + f"11 10 8:16 / {root} rw - ext4 a rw\n12 10 8:32 / {beside} rw - ext4 b rw\n"
        machine.mounts(own=table, host=table)

        def measured(*holding: str) -> Measured:
            for store in holding:
                blobs = tmp_path / store / "io.containerd.content.v1.content/blobs/sha256"
                blobs.mkdir(parents=True)
                (blobs / hex_id("app")).touch()
            engine = replace(IN_CONTAINERD, root_dir=str(root))
            return machine.measure(engine=engine, containers=())

        return measured

    def test_they_prove_its_root(self, stores: Callable[..., Measured], tmp_path: Path) -> None:
        assert places(stores("containerd"))["image"][0] == str(tmp_path / "containerd")

    def test_they_prove_that_of_the_engines_own(self, stores: Callable[..., Measured], tmp_path: Path) -> None:
        assert places(stores("docker/containerd/daemon"))["image"][0] == str(tmp_path / "docker/containerd/daemon")

    def test_in_two_stores_they_prove_nothing(self, stores: Callable[..., Measured]) -> None:
        assert "image" not in stores("containerd", "docker/containerd/daemon").disks

    @pytest.mark.parametrize(("user", "helps"), [(0, "known: start a"), (1000, "known: run watchd as root, start a")])
    def test_nowhere_they_prove_nothing(
        self, stores: Callable[..., Measured], monkeypatch: pytest.MonkeyPatch, user: int, helps: str
    ) -> None:
        monkeypatch.setattr("os.geteuid", lambda: user)
        assert f"{helps} container, or set engine.data_roots.containerd" in stores().unmeasured["image"]


def test_paths_that_are_named_come_first_and_prove_no_machine(machine: Machine) -> None:
    machine.disks = EngineDisks(DataRoots(docker=Path("/var"), containerd=Path("/usr")), machine.procfs)
    machine.mounts(own=HOST + "11 10 8:16 / /var rw - ext4 /dev/sdb rw\n")
    found = machine.measure(engine=IN_CONTAINERD)
    assert places(found) == {**all_at("/usr", "/usr"), "volume": ("/var", "/var")}
    assert not found.is_here, "a volume's mounts may be another machine's"
    assert places(machine.measure()) == all_at("/var", "/var")


def test_an_engine_that_does_not_tell_its_data_root_has_no_disks(machine: Machine) -> None:
    machine.runs("web")
    assert set(machine.measure(engine=replace(ENGINE, root_dir="")).unmeasured) == set(all_at())
