"""A small file system in memory, for what happens on a full disk."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def small_disk(at: Path, size: int | str) -> Iterator[Path]:
    """Mount a file system of this size (bytes, or as `mount -o size=` takes it) on a directory that exists."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "watchd-test", at], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", at], check=True)


def fill_up(disk: Path) -> None:
    """Write a file `filler` until the file system is full."""
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 4096)
