"""A directory that is bound elsewhere, as a mount that was left behind."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def bound(source: Path, point: str) -> Iterator[None]:
    """Bind a directory in a mount namespace of its own.

    In this one, each namespace that another test makes meanwhile would keep the mount.
    """
    script = 'mount --bind "$0" "$1" && echo mounted && exec sleep 600'
    command = ["unshare", "--mount", "sh", "-c", script, str(source), point]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline(), "nothing was mounted"
            yield
        finally:
            process.kill()
