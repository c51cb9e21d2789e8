"""The programs that an engine needs: found, or installed from Debian or Ubuntu.

`python3 -m tests.harness.install PACKAGE...` installs what the Makefile needs before there is a virtual environment, so
this module has the standard library alone.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

# Where programs are looked for. Debian's `su` and cron leave the sbin directories out, and runc and iptables are there.
PATH = f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/local/sbin:/usr/sbin:/sbin"

# The programs of engines and images, and their Debian packages.
PROGRAMS = {
    "dockerd": "docker.io",
    "containerd": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "busybox": "busybox-static",
}

POLICY = Path("/usr/sbin/policy-rc.d")


class UnavailableError(Exception):
    """This machine cannot do what is asked: one sentence that says why and what to do about it."""


def ensure_engine() -> None:
    """Make sure that this machine can run an engine, installing what is missing where that is possible.

    Raise UnavailableError where it cannot.
    """
    if sys.platform != "linux":
        raise UnavailableError("an engine of its own needs Linux: run this on a Linux machine")
    if os.geteuid() != 0:
        raise UnavailableError("an engine of its own needs root: run this as root")
    if missing_packages():
        apt_install(missing_packages())
    if missing := missing_packages():
        raise UnavailableError(f"{', '.join(missing)} left this machine without: {', '.join(_missing_programs())}")
    if subprocess.run(["unshare", "--net", "true"], check=False, capture_output=True).returncode != 0:
        raise UnavailableError("root may not make network namespaces here: in a container, run it with --privileged")


def missing_packages() -> list[str]:
    """Return the Debian packages of the programs that are not there."""
    return sorted({PROGRAMS[program] for program in _missing_programs()})


def _missing_programs() -> list[str]:
    return [program for program in PROGRAMS if shutil.which(program, path=PATH) is None]


def apt_install(packages: Sequence[str]) -> None:
    """Install Debian packages without starting any service and without removing any package.

    Raise UnavailableError where this cannot be done: no root, another distribution, or apt failed.
    """
    wanted = " ".join(packages)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        names = f"{wanted} (as Debian calls it)" if shutil.which("apt-get") is None else wanted
        raise UnavailableError(f"{names} must be installed first: as root on Debian or Ubuntu this is done by itself")
    print(f"installing {wanted} with apt-get", file=sys.stderr, flush=True)
    with _one_at_a_time(), no_service_starts():
        # The lists of a new machine are empty, and old ones name versions that the mirror no longer has.
        _apt_get("update")
        _apt_get("install", "--yes", "--no-install-recommends", "--no-remove", *packages)


def _apt_get(*arguments: str) -> None:
    command = ["apt-get", "--quiet=2", "-o", "DPkg::Lock::Timeout=300", *arguments]
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": PATH}
    apt = subprocess.run(command, check=False, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if apt.returncode != 0:
        raise UnavailableError(f"apt-get {arguments[0]} failed: {' '.join(apt.stderr.split())}")


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Hold the lock that keeps two harnesses from setting policy-rc.d aside at once."""
    directory = os.open(POLICY.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


@contextmanager
def no_service_starts(policy: Path = POLICY) -> Iterator[None]:
    """Forbid packages to start their services meanwhile, and put `policy` back exactly as it was.

    Debian's packages ask the program policy-rc.d before they start a service; 101 is its "forbidden".
    """
    aside = policy.with_name(f"{policy.name}.{os.getpid()}")
    was_there = os.path.lexists(policy)
    if was_there:
        policy.rename(aside)
    try:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        yield
    finally:
        if was_there:
            aside.replace(policy)
        else:
            policy.unlink(missing_ok=True)


if __name__ == "__main__":
    try:
        apt_install(sys.argv[1:])
    except UnavailableError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
