"""Of what is stacked, the lowest counts: a byte that crosses a bond, its VLAN and a bridge is one byte."""

from pathlib import Path

from watchd.kernel.stacked_interfaces import StackedInterfaces


def _interfaces(directory: Path, **lower: str) -> None:
    """Make `/sys/class/net` with these interfaces and the ones below each; those of hardware begin with "eth"."""
    for name, below in lower.items():
        (directory / name).mkdir(parents=True)
        for each in below.split():
            (directory / name / f"lower_{each}").symlink_to(f"../{each}")
        if name.startswith("eth"):
            (directory / name / "device").mkdir()


def _counted(stacked: StackedInterfaces, *names: str) -> set[str]:
    return {name for name in names if name not in stacked}


def test_hardware_counts_and_nothing_on_it(tmp_path: Path) -> None:
    below = {"bond0": "eth0 eth1", "vlan5": "bond0", "br0": "vlan5 vnet0", "macvlan0": "eth2", "wg0": "", "vnet0": ""}
    _interfaces(tmp_path / "class/net", eth0="", eth1="", eth2="", **below)
    stacked = StackedInterfaces(tmp_path, tmp_path)

    assert _counted(stacked, "eth0", "eth1", "eth2", "unknown", *below) == {"eth0", "eth1", "eth2", "unknown"}


def test_without_hardware_what_has_nothing_below_counts(tmp_path: Path) -> None:
    """As in a system container, whose interface is one end of a pair."""
    _interfaces(tmp_path / "class/net", uplink="", br0="uplink")

    assert _counted(StackedInterfaces(tmp_path, tmp_path), "uplink", "br0") == {"uplink"}


def test_the_hosts_are_those_of_its_first_process(tmp_path: Path) -> None:
    _interfaces(tmp_path / "1/root/sys/class/net", eth0="", br0="eth0")
    _interfaces(tmp_path / "sys/class/net", br0="")

    assert _counted(StackedInterfaces(tmp_path, tmp_path / "sys"), "eth0", "br0") == {"eth0"}


def test_without_sys_all_count(tmp_path: Path) -> None:
    assert _counted(StackedInterfaces(tmp_path, tmp_path), "eth0", "br0") == {"eth0", "br0"}
