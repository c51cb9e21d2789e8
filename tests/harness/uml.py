"""A kernel that has cgroup v2 and nothing else, for the tests: User Mode Linux, which is an ordinary program.

    finished = uml.run([sys.executable, "-m", "pytest", "tests/engine/metrics/test_truth.py"], seconds=300)

Its / is this machine's, which it can only read: the checkout and its virtual environment are there. /run is its own. A
disk there, which goes with the kernel, has an engine (`ENGINE`) and the temporary files. The kernel has one CPU and no
packet filter, pressure stall information, cpuset controller or swap accounting.

It is Debian's, from sid: before 6.16 it had no seccomp mode, without which everything takes five times as long. It is
linked with sid's libc6, which is kept beside it.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests import ROOT
from tests.harness import debian, install
from tests.harness.engine import Engine
from tests.harness.install import UnavailableError
from tests.harness.process import Process

CHECKOUT = ROOT

# Cached from the packages: linux, its loader and libc, and modules/, whose names sort in the order of loading.
KERNEL = debian.CACHE / "uml"

PACKAGES = ("user-mode-linux", "libc6")
LIBRARIES = ("ld-linux-x86-64.so.2", "libc.so.6")
MODULES = ("overlay", "bridge", "veth")  # what dockerd needs and the kernel does not have built in

# The directory of the engine inside, for `Engine.attach`, and the variable that passes it to the tests.
ENGINE = Path("/run/disk/engine")
ENGINE_VARIABLE = "TEST_ENGINE"

# Of the memory and of the disk only what is used is taken from the machine.
MEMORY = 1024 * 1024 * 1024
DISK = 4 * 1024 * 1024 * 1024

# The first program of the kernel. Whatever it does not mount, / included, is this machine's. The controllers are
# enabled below the root cgroup, which alone may have processes beside child cgroups.
INIT = """\
#!/bin/sh
export PATH={path} HOME=/root LANG=C.UTF-8 TMPDIR=/run/disk/tmp PYTHONDONTWRITEBYTECODE=1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run
mkdir /run/disk /run/outside
mount -t ext4 /dev/ubda /run/disk
mount -t hostfs -o {directory} none /run/outside
mkdir /run/disk/tmp
for module in {kernel}/modules/*; do busybox insmod "$module"; done
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
    echo "+$controller" > /sys/fs/cgroup/cgroup.subtree_control
done
ip link set lo up
cd {checkout}
{python} -m tests.harness.uml {command}
echo $? > /run/outside/exit-code
echo o > /proc/sysrq-trigger
sleep 60  # the kernel panics when its first process ends, and it takes a moment to power off
"""


@dataclass(frozen=True, slots=True)
class Finished:
    """Result of a command.

    `exit_code` is None where the kernel ended, or was ended, before the command did. `output` is all that was printed,
    by the kernel too.
    """

    exit_code: int | None
    output: str


def run(command: Sequence[str], *, seconds: float) -> Finished:
    """Start the kernel and an engine, run `command` in the checkout there, and end the kernel, after `seconds` at last.

    Raise UnavailableError where this machine cannot do it.
    """
    ensure()
    with tempfile.TemporaryDirectory(prefix="watchd-uml-", dir="/var/tmp") as name:
        directory = Path(name)
        _write_init(directory, command)
        _make_disk(directory / "disk")
        console = directory / "console"
        kernel = Process.spawn(_kernel_command(directory), log=console, environment={"PATH": install.PATH})
        try:
            kernel.wait(seconds)
        finally:
            kernel.end(5)
        exit_code = directory / "exit-code"
        return Finished(
            exit_code=int(exit_code.read_text()) if exit_code.exists() else None,
            output=console.read_text(errors="replace"),
        )


def ensure() -> None:
    """Make sure that the kernel can run here, downloading it once. Raise UnavailableError where it cannot."""
    if ENGINE_VARIABLE in os.environ:
        raise UnavailableError("this is User Mode Linux already, which is not started in itself")
    if platform.machine() != "x86_64":
        raise UnavailableError(f"User Mode Linux is made for x86-64 machines, and this one is {platform.machine()}")
    install.ensure_engine()
    if shutil.which("mkfs.ext4", path=install.PATH) is None:
        install.apt_install(["e2fsprogs"])
    # The kernel's memory is a file there, and one that does not fit kills it without a word.
    shm = Path("/dev/shm")
    if shm.is_mount() and shutil.disk_usage(shm).free < MEMORY:
        raise UnavailableError(f"{shm} has too little room for the memory of User Mode Linux: {MEMORY >> 20} MB")
    with debian.one_at_a_time(KERNEL):
        if not KERNEL.exists():
            _fetch()


def _fetch() -> None:
    with tempfile.TemporaryDirectory(prefix="uml-", dir=KERNEL.parent) as name:
        directory = Path(name)
        debian.unpack(PACKAGES, "sid", directory / "root")
        kernel = directory / "kernel"
        kernel.mkdir()
        _copy_linux(directory / "root", kernel)
        _copy_modules(directory / "root", kernel)
        kernel.rename(KERNEL)  # in one step, so that what is there is whole


def _copy_linux(root: Path, kernel: Path) -> None:
    """Copy the kernel and its libraries, and have it use the loader in its working directory.

    The loader cannot be run with the kernel as its argument: the kernel would take its memory for its own, and starts
    itself anew.
    """
    program = (root / "usr/bin/linux.uml").read_bytes()
    loader = f"/lib64/{LIBRARIES[0]}\0".encode()
    if program.count(loader) != 1:
        raise UnavailableError("Debian's User Mode Linux is not linked as expected: tests/harness/uml.py must follow")
    linux = kernel / "linux"
    linux.write_bytes(program.replace(loader, LIBRARIES[0].encode().ljust(len(loader), b"\0")))
    linux.chmod(0o755)
    for library in LIBRARIES:
        shutil.copy(root / "usr/lib/x86_64-linux-gnu" / library, kernel)


def _copy_modules(root: Path, kernel: Path) -> None:
    """Copy the modules and what they need, named such that they sort in the order in which they can be loaded."""
    [dependencies] = (root / "usr/lib/uml/modules").glob("*/modules.dep")
    needs = {}
    for line in dependencies.read_text().splitlines():
        module, _, needed = line.partition(":")
        # modules.dep(5) has what must be loaded first last.
        needs[Path(module).stem] = [*reversed(needed.split()), module]
    (kernel / "modules").mkdir()
    for number, module in enumerate(dict.fromkeys(path for name in MODULES for path in needs[name])):
        shutil.copy(dependencies.parent / module, kernel / "modules" / f"{number:02}-{Path(module).name}")


def _make_disk(image: Path) -> None:
    with image.open("wb") as file:
        file.truncate(DISK)
    env = {"PATH": install.PATH}
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True, env=env, stdin=subprocess.DEVNULL)


def _write_init(directory: Path, command: Sequence[str]) -> None:
    values = {
        "path": install.PATH,
        "directory": str(directory),
        "kernel": str(KERNEL),
        "checkout": str(CHECKOUT),
        "python": sys.executable,
    }
    init = directory / "init"
    init.write_text(
        INIT.format(command=shlex.join(command), **{name: shlex.quote(value) for name, value in values.items()})
    )
    init.chmod(0o755)


def _kernel_command(directory: Path) -> list[str]:
    """Return what starts the kernel. Should this process be killed, so is the kernel."""
    return [
        *("setpriv", "--pdeathsig=KILL"),
        # Only now, for the programs before are this machine's and want its own libc.
        *("env", f"--chdir={KERNEL}", f"LD_LIBRARY_PATH={KERNEL}"),
        "./linux",
        f"mem={MEMORY}",
        "seccomp=on",
        *("root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"),
        f"init={directory / 'init'}",
        f"ubd0={directory / 'disk'}",
        *("con=null", "con0=null,fd:1", "quiet"),
        *("umid=uml", f"uml_dir={directory}/"),
    ]


def _run_beside_an_engine(command: Sequence[str]) -> int:
    """Inside: start the engine and run `command`. The engine is not stopped, for it goes with the kernel."""
    # runc, for an exec, writes a file below TMPDIR.
    temporary = {"TMPDIR": os.environ["TMPDIR"]}
    Engine.start(ENGINE, config={"iptables": False, "ip-masq": False}, environment=temporary)
    environment: Mapping[str, str] = {**os.environ, ENGINE_VARIABLE: str(ENGINE)}
    return subprocess.run(command, check=False, env=environment).returncode


if __name__ == "__main__":
    sys.exit(_run_beside_an_engine(sys.argv[1:]))
