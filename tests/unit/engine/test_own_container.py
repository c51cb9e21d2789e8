"""The ID of watchd's own container, by files as Docker, Podman and Kubernetes leave them."""

from pathlib import Path

import pytest

from watchd.engine.own_container import find_own
from watchd.model import Own

ID = "249f14a28c3f346c48f68e35e0ce6d609ad31e655b9783267c7f5b6e9075bd98"
OTHER = "0365e8fc489f3fb3676992260cbb1430ef1a2c40e4230823db820fac28dbc3ac"

HOST_MOUNTS = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw
95 27 0:45 / /var/lib/docker/overlay2/0e68dfcbb713/merged rw,relatime - overlay overlay rw,lowerdir=/l/A:/l/B
"""
OVERLAY_ROOT = "1029 940 0:60 / / rw,relatime master:301 - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/A\n"


def docker_mounts(id_: str, *, folder: str = "/var/lib/docker/containers") -> str:
    return OVERLAY_ROOT + "".join(
        f"10{number} 1029 254:1 {folder}/{id_}/{name} /etc/{name} rw,relatime - ext4 /dev/vda1 rw\n"
        for number, name in enumerate(("resolv.conf", "hostname", "hosts"))
    )


def podman_mounts(id_: str) -> str:
    return OVERLAY_ROOT + "".join(
        f"70{number} 682 0:24 /containers/overlay-containers/{id_}/userdata/{name} /etc/{name} rw - tmpfs tmpfs rw\n"
        for number, name in enumerate(("resolv.conf", "hosts", "hostname"))
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine on which a process runs in no container."""
    process = tmp_path / "proc/self"
    (process / "ns").mkdir(parents=True)
    (process / "ns/pid").symlink_to("pid:[4026531836]")
    (process / "mountinfo").write_text(HOST_MOUNTS)
    (process / "cgroup").write_text("0::/system.slice/watchd.service\n")
    return tmp_path


def in_container(root: Path, *, mounts: str = OVERLAY_ROOT, cgroup: str = "0::/\n") -> None:
    """Make the process one with a PID namespace of its own."""
    (root / "proc/self/ns/pid").unlink()
    (root / "proc/self/ns/pid").symlink_to("pid:[4026532201]")
    (root / "proc/self/mountinfo").write_text(mounts)
    (root / "proc/self/cgroup").write_text(cgroup)


def test_a_process_on_the_machine_itself_is_in_no_container(root: Path) -> None:
    assert find_own(root) == Own(in_container=False)


def test_a_machine_whose_disk_was_made_from_a_container_is_none(root: Path) -> None:
    (root / ".dockerenv").touch()
    assert find_own(root) == Own(in_container=False)


@pytest.mark.parametrize("folder", ["/var/lib/docker/containers", "/docker/containers", "/data/my docker/containers"])
def test_in_docker_the_mounted_files_name_the_container(root: Path, folder: str) -> None:
    """The cgroup is "/" inside, where the engine gives containers cgroup namespaces of their own."""
    in_container(root, mounts=docker_mounts(ID, folder=folder.replace(" ", r"\040")))
    assert find_own(root) == Own(in_container=True, container_id=ID)


def test_in_podman_the_mounted_files_name_the_container(root: Path) -> None:
    in_container(root, mounts=podman_mounts(ID))
    assert find_own(root) == Own(in_container=True, container_id=ID)


@pytest.mark.parametrize(
    "cgroup",
    [
        f"12:pids:/docker/{ID}\n11:cpu,cpuacct:/docker/{ID}\n0::/system.slice/containerd.service\n",
        f"0::/system.slice/docker-{ID}.scope\n",
        f"0::/machine.slice/libpod-{ID}.scope\n",
        f"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope\n",
        f"0::/my-parent/{ID}\n",
        f"0::/docker/{OTHER}/docker/{ID}\n",
    ],
)
def test_a_visible_cgroup_names_the_innermost_container(root: Path, cgroup: str) -> None:
    in_container(root, cgroup=cgroup)
    assert find_own(root) == Own(in_container=True, container_id=ID)


def test_with_the_hosts_pid_namespace_it_is_a_container_all_the_same(root: Path) -> None:
    (root / "proc/self/mountinfo").write_text(docker_mounts(ID))
    assert find_own(root) == Own(in_container=True, container_id=ID)


def test_in_another_containers_network_the_cgroup_is_right_and_the_mounted_files_are_that_ones(root: Path) -> None:
    in_container(root, mounts=docker_mounts(OTHER), cgroup=f"0::/system.slice/docker-{ID}.scope\n")
    assert find_own(root) == Own(in_container=True, container_id=ID)


def test_a_pid_namespace_of_its_own_is_a_container_that_it_cannot_name(root: Path) -> None:
    in_container(root)
    assert find_own(root) == Own(in_container=True, container_id=None)


@pytest.mark.parametrize("marker", [".dockerenv", "run/.containerenv"])
def test_a_marker_on_an_overlay_is_a_container_that_it_cannot_name(root: Path, marker: str) -> None:
    (root / "proc/self/mountinfo").write_text(OVERLAY_ROOT)
    (root / marker).parent.mkdir(exist_ok=True)
    (root / marker).touch()
    assert find_own(root) == Own(in_container=True, container_id=None)


def test_where_nothing_can_be_read_it_may_be_in_one(tmp_path: Path) -> None:
    assert find_own(tmp_path) == Own(in_container=True, container_id=None)


def test_a_short_or_long_number_is_no_containers_id(root: Path) -> None:
    (root / "proc/self/cgroup").write_text(f"0::/job/{ID[:32]}\n1:cpu:/job/{ID}ff\n")
    assert find_own(root) == Own(in_container=False)
