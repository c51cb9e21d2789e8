"""`python -m tests.bench.walking`: what walking the engine's data takes, for `watchd df --deep`, beside `du`."""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FILES = 1_000_000
FOLDERS = 40_000
LAYERS = 200

# Each runs in a process of its own, so that its memory is its own.
_WALK = """\
import sys
from pathlib import Path
from watchd.engine.deep.kinds import data_root
from watchd.engine.deep.walk import Usage, Walk, idle_io
walk, usage = Walk(()), Usage()
with idle_io():
    tree = walk.tree(Path(sys.argv[1]), data_root("overlay2"))
    usage.add(tree.folders)
    for part in tree.parts:
        usage.add(walk.part(tree, part))
print(usage.size)
"""


def make(root: Path, files: int = FILES) -> None:
    """Make a data root with as many files in folders of layers; one in ten is linked to twice."""
    per_layer, per_folder = FOLDERS // LAYERS, files // FOLDERS
    for layer in range(LAYERS):
        diff = root / "overlay2" / f"{layer:064x}" / "diff"
        diff.mkdir(parents=True)
        for folder in range(per_layer):
            (diff / str(folder)).mkdir()
            inside = os.open(diff / str(folder), os.O_RDONLY | os.O_DIRECTORY)
            for file in range(per_folder):
                if file % 10 == 9:
                    os.link(str(file - 1), str(file), src_dir_fd=inside, dst_dir_fd=inside)
                else:
                    os.close(os.open(str(file), os.O_WRONLY | os.O_CREAT, dir_fd=inside))
            os.close(inside)


def measured(*command: str | Path) -> tuple[int, float, int]:
    """Run a command. Return the bytes that it prints, the seconds that it took, and its memory in bytes."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or not (found := re.match(r"\d+", printed)):
        raise SystemExit(f"{command[0]} failed: this measures nothing")
    return int(found[0]), time.monotonic() - began, usage.ru_maxrss * 1024


def forget() -> bool:
    """Have the kernel forget files and folders that it has read. Return whether it did."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("2")
    except OSError:
        return False
    return True


def main() -> None:
    """Print both."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="watchd-") as name:
        root = Path(name)
        make(root)
        ways: dict[str, tuple[str | Path, ...]] = {
            "watchd": (sys.executable, "-c", _WALK, root),
            "du": ("du", "-sx", "--block-size=1", root),
        }
        print(f"walking {FILES} files in {FOLDERS} folders, one in ten a hard link:")
        for state in ("not cached", "cached"):
            for program, command in ways.items():
                if state == "not cached" and not forget():
                    continue
                size, seconds, memory = measured(*command)
                print(
                    f"  {program}, {state}: {seconds:.1f} s, {FILES / seconds / 1000:.0f} thousand files a second,"
                    f" {memory / 2**20:.0f} MiB, {size} bytes"
                )


if __name__ == "__main__":
    main()
