"""The paths of a container's cgroups, from the kernel's mounts and processes."""

from pathlib import Path

import pytest

from watchd.kernel.cgroup_paths import Hierarchy, NoCgroups, Unresolved, cgroup_mounts, proc_cgroup
from watchd.kernel.parse.mountinfo import mountinfo

ID = "a" * 64
OTHER = "b" * 64

SEPARATE = """\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
33 31 0:30 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw shared:4 master:2 - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
"""
COMBINED = """\
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/mem\\040ory rw - cgroup cgroup rw,memory
"""
PURE_V2 = "25 23 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup rw,nsdelegate\n"


def hierarchy(mounts: str, cgroupfs: str | None = None) -> Hierarchy:
    return Hierarchy(cgroup_mounts(mountinfo(mounts.encode())), None if cgroupfs is None else Path(cgroupfs))


def v1_paths(path: str, v2_path: str) -> dict[str, str]:
    return proc_cgroup(
        f"4:memory:{path}\n2:cpuacct:{path}\n1:cpu:{path}\n9:name=systemd:{path}\n0::{v2_path}\n".encode()
    )


def v2_paths(path: str) -> dict[str, str]:
    return proc_cgroup(f"0::{path}\n".encode())


def test_each_controller_has_its_own_directory_and_the_v2_tree_stands_beside_them() -> None:
    found = hierarchy(SEPARATE).container(ID, v1_paths(f"/docker/{ID}", f"/docker/{ID}"))

    assert found.path == f"/docker/{ID}"
    assert found.controllers == {
        "memory": Path(f"/sys/fs/cgroup/memory/docker/{ID}"),
        "cpu": Path(f"/sys/fs/cgroup/cpu/docker/{ID}"),
        "cpuacct": Path(f"/sys/fs/cgroup/cpuacct/docker/{ID}"),
    }
    assert found.unified == Path(f"/sys/fs/cgroup/unified/docker/{ID}")
    assert hierarchy(SEPARATE).version == 1


def test_containers_in_one_cgroup_share_the_text_of_what_is_around_them() -> None:
    """It is kept for each of them."""
    host = hierarchy(SEPARATE)
    paths = (v1_paths(f"/batch/docker/{id_}", "/") for id_ in (ID, OTHER))
    one, other = (host.ancestors(host.container(id_, of)) for id_, of in zip((ID, OTHER), paths, strict=True))
    assert [each["memory"] for each in one] == ["/sys/fs/cgroup/memory/batch/docker", "/sys/fs/cgroup/memory/batch"]
    for ours, others in zip(one, other, strict=True):
        assert ours.keys() == {"memory", "cpu", "cpuacct"}
        assert all(directory is others[controller] for controller, directory in ours.items())


def test_controllers_that_the_kernel_was_started_without(tmp_path: Path) -> None:
    """As with cgroup_disable=memory: v1 mounts no hierarchy for it, v2 does not list it."""
    assert hierarchy(SEPARATE).missing_controllers == ("blkio", "pids")
    v2 = hierarchy(PURE_V2.replace("/sys/fs/cgroup", str(tmp_path)))
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io pids\n")
    assert v2.missing_controllers == ("memory",)
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids misc\n")
    assert not v2.missing_controllers


@pytest.mark.parametrize("of", ["docker-{}.scope", "libpod-{}.scope", "libpod-{}.scope/container"])
def test_those_of_an_ordinary_users_engine_are_below_that_users_systemd(of: str) -> None:
    path = f"/user.slice/user-1000.slice/user@1000.service/user.slice/{of.format(ID)}"
    found = hierarchy(PURE_V2).container(ID, v2_paths(path))
    assert found.path == path.removesuffix("/container")
    assert found.unified == Path(f"/sys/fs/cgroup{found.path}")


def test_controllers_mounted_together_and_names_with_spaces() -> None:
    paths = proc_cgroup(f"4:memory:/docker/{ID}\n2:cpu,cpuacct:/docker/{ID}\n".encode())

    found = hierarchy(COMBINED).container(ID, paths)

    together = Path(f"/sys/fs/cgroup/cpu,cpuacct/docker/{ID}")
    memory = Path(f"/sys/fs/cgroup/mem ory/docker/{ID}")
    assert found.controllers == {"memory": memory, "cpu": together, "cpuacct": together}
    assert found.unified is None


@pytest.mark.parametrize(
    "path",
    [
        f"/docker/{ID}",
        f"/system.slice/docker-{ID}.scope",
        f"/my.slice/my-batch.slice/docker-{ID}.scope",
        f"/batch/{ID}",
    ],
)
def test_a_pure_v2_host_with_either_driver(path: str) -> None:
    found = hierarchy(PURE_V2).container(ID, v2_paths(path))

    assert (found.path, found.controllers) == (path, {})
    assert found.unified == Path(f"/sys/fs/cgroup{path}")
    assert hierarchy(PURE_V2).version == 2


def test_a_stray_v1_mount_does_not_make_a_v2_host_a_v1_host() -> None:
    mounts = hierarchy(PURE_V2 + "50 1 0:50 / /opt/net_cls rw - cgroup net_cls rw,net_cls\n")

    assert mounts.version == 2


@pytest.mark.parametrize("own", [f"/docker/{ID}", f"/machine.slice/libpod-{ID}.scope", f"/docker/{OTHER}/docker/{ID}"])
def test_cgroups_that_a_container_made_itself_are_cut_off(own: str) -> None:
    found = hierarchy(PURE_V2).container(ID, v2_paths(f"{own}/init.scope"))

    assert found.path == own


@pytest.mark.parametrize("path", ["/", "/system.slice/docker.service", f"/docker/{OTHER}"])
def test_a_process_in_a_cgroup_of_another_name_is_not_the_containers(path: str) -> None:
    with pytest.raises(Unresolved, match="not the container's own"):
        hierarchy(PURE_V2).container(ID, v2_paths(path))


def test_a_runtime_that_does_not_use_the_v2_tree_of_a_hybrid_host() -> None:
    found = hierarchy(SEPARATE).container(ID, v1_paths(f"/docker/{ID}", "/system.slice/docker.service"))

    assert found.unified is None
    assert found.controllers


def test_v1_controllers_cannot_be_replaced_by_the_v2_tree_of_a_hybrid_host() -> None:
    with pytest.raises(Unresolved):
        hierarchy(SEPARATE).container(ID, v1_paths("/", f"/docker/{ID}"))


def test_what_is_mounted_may_be_a_part_of_the_hierarchy() -> None:
    mounted = hierarchy(f"25 23 0:22 /docker/{OTHER} /sys/fs/cgroup rw - cgroup2 cgroup rw\n")

    found = mounted.container(ID, v2_paths(f"/docker/{OTHER}/docker/{ID}"))

    assert found.unified == Path(f"/sys/fs/cgroup/docker/{ID}")
    with pytest.raises(Unresolved, match="--cgroupns=host"):
        mounted.container(ID, v2_paths(f"/docker/{ID}"))


def test_the_hosts_hierarchies_elsewhere() -> None:
    moved = hierarchy(SEPARATE, "/host/sys/fs/cgroup").container(ID, v1_paths(f"/docker/{ID}", f"/docker/{ID}"))
    mounted = hierarchy(
        "25 23 0:22 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
        "26 23 0:22 /../.. /host/sys/fs/cgroup ro - cgroup2 cgroup rw\n",
        "/host/sys/fs/cgroup",
    ).container(ID, v2_paths(f"/../../docker/{ID}"))

    assert moved.controllers["memory"] == Path(f"/host/sys/fs/cgroup/memory/docker/{ID}")
    assert moved.unified == Path(f"/host/sys/fs/cgroup/unified/docker/{ID}")
    assert mounted.unified == Path(f"/host/sys/fs/cgroup/docker/{ID}")
    assert mounted.path == f"/docker/{ID}"


def test_a_sibling_in_a_cgroup_namespace_is_found_by_its_whole_name(tmp_path: Path) -> None:
    """In a namespace of /docker/<own id>, a sibling is /../<id>: the name "docker" is not told."""
    (tmp_path / f"docker/{ID}").mkdir(parents=True)
    (tmp_path / "system.slice/ssh.service").mkdir(parents=True)
    mounted = hierarchy(f"26 23 0:22 /../.. {tmp_path} ro - cgroup2 cgroup rw\n")

    found = mounted.container(ID, v2_paths(f"/../{ID}"))

    assert (found.path, found.unified) == (f"/docker/{ID}", tmp_path / f"docker/{ID}")
    with pytest.raises(Unresolved, match="--cgroupns=host"):
        mounted.container(OTHER, v2_paths(f"/../{OTHER}"))
    with pytest.raises(Unresolved, match="--cgroupns=host"):
        hierarchy(PURE_V2).container(ID, v2_paths(f"/../{ID}"))


def test_its_own_container_is_found_though_it_is_the_root_of_its_cgroup_namespace(tmp_path: Path) -> None:
    (tmp_path / f"system.slice/docker-{ID}.scope").mkdir(parents=True)
    mounted = hierarchy(f"26 23 0:22 /../.. {tmp_path} ro - cgroup2 cgroup rw\n")

    found = mounted.container(ID, v2_paths("/"))

    assert found.path == f"/system.slice/docker-{ID}.scope"
    assert found.unified == tmp_path / f"system.slice/docker-{ID}.scope"
    with pytest.raises(Unresolved, match="--cgroupns=host"):
        mounted.container(OTHER, v2_paths("/"))


def test_nothing_mounted_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoCgroups, match="/host/sys/fs/cgroup"):
        hierarchy("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n")
    with pytest.raises(NoCgroups, match="mountinfo"):
        Hierarchy.read(tmp_path)
