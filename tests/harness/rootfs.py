"""Root file systems for images, made from this machine's busybox and CPython. Nothing is downloaded.

Each is kept as a tarball in the project's ignored cache folder, for as long as this module and the interpreter stay the
same.
"""

import hashlib
import importlib.util
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from tests import ROOT

CACHE = ROOT / ".cache" / "rootfs"

PYTHON_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

# Parts of the standard library that no program here needs.
LEFT_OUT = ("__pycache__", "*-packages", "test", "idlelib", "tkinter", "turtledemo", "*.a", "EXTERNALLY-MANAGED")


def busybox() -> Path:
    """Return a tarball of busybox under all its names, with users `root` and `nobody`: 2 MB."""
    return _tarball("busybox", _make_busybox)


def python() -> Path:
    """Return a tarball of busybox and of the CPython that runs this, with its standard library and pip: 80 MB."""
    return _tarball(f"python-{platform.python_version()}", _make_python)


def _tarball(name: str, make: Callable[[Path], None]) -> Path:
    version = hashlib.sha256(Path(__file__).read_bytes() + sys.base_prefix.encode()).hexdigest()[:8]
    tarball = CACHE / f"{name}-{version}.tar"
    if tarball.exists():
        return tarball
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as directory:
        root = Path(directory) / "root"
        root.mkdir()
        make(root)
        unfinished = Path(directory) / "tar"
        with tarfile.open(unfinished, "w") as tar:
            tar.add(root, arcname=".", filter=_owned_by_root)
        unfinished.replace(tarball)  # in one step, for another harness may be doing the same
    return tarball


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def _make_busybox(root: Path) -> None:
    for directory in ("bin", "etc", "root", "tmp"):
        (root / directory).mkdir()
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    program = Path(shutil.which("busybox") or "/bin/busybox")
    shutil.copy(program, root / "bin/busybox")
    copy_libraries([program], root)  # of Debian's busybox-static: none
    # Not links made from its list of names: "busybox" is one of them, and would become a link to itself.
    subprocess.run(["chroot", root, "/bin/busybox", "--install", "-s", "/bin"], check=True)


def _make_python(root: Path) -> None:
    _make_busybox(root)
    # Debian's CPython looks for its library in Debian's directory. Any other finds it beside the program, and goes to
    # the path of the official image.
    prefix = root / ("usr" if sys.base_prefix == "/usr" else "usr/local")
    program = Path(sys.base_prefix, "bin", f"python{PYTHON_VERSION}")
    library = Path(sys.base_prefix, "lib", f"python{PYTHON_VERSION}")
    for directory in (prefix / "bin", root / "usr/local/bin"):
        directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(program, prefix / "bin")
    shutil.copytree(
        library, prefix / "lib" / library.name, ignore=shutil.ignore_patterns(*LEFT_OUT), ignore_dangling_symlinks=True
    )
    # Wheels with native code count on libraries that the official image has: those that ours here are linked with.
    wheels = Path(sysconfig.get_path("platlib")).rglob("*.so")
    copy_libraries([program, *library.glob("lib-dynload/*.so"), *wheels], root)
    for name in ("python3", "python"):
        (root / "usr/local/bin" / name).symlink_to(f"/{(prefix / 'bin' / program.name).relative_to(root)}")
    _copy_pip(root, "dist-packages" if sys.base_prefix == "/usr" else "site-packages")


def _copy_pip(root: Path, packages: str) -> None:
    """Copy the pip of this interpreter, if it has one. The official image has pip too, and Dockerfiles use it."""
    pip = importlib.util.find_spec("pip")
    if pip is None or pip.origin is None:
        return
    target = root / f"usr/local/lib/python{PYTHON_VERSION}" / packages / "pip"
    shutil.copytree(Path(pip.origin).parent, target, ignore=shutil.ignore_patterns("__pycache__"))
    script = root / "usr/local/bin/pip"
    script.write_text('#!/bin/sh\nexec /usr/local/bin/python3 -m pip "$@"\n')
    script.chmod(0o755)


def copy_libraries(files: Iterable[Path], root: Path) -> None:
    """Copy the shared libraries that `files` are linked with to /lib, where the loader looks in the end."""
    ldd = subprocess.run(["ldd", *files], check=False, capture_output=True, text=True)  # 1: one of them has none
    for line in sorted({line.rpartition(" (")[0].strip() for line in ldd.stdout.splitlines()}):
        name, arrow, path = line.partition(" => ")
        if arrow:
            target = root / "lib" / name
            source = Path(path)
        elif line.startswith("/"):  # the loader itself: programs name its path
            source = Path(line)
            target = root / line.lstrip("/")
        else:  # linux-vdso.so.1 is the kernel's
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
