"""Processes of watchd's own code: a new Python each, no fork of this one with its threads and locks."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress


def start(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Run a module, with pipes for its output and `environment` beside this process's own. Raise OSError."""
    # -P: no module of the current directory. A session of its own: a ^C at the terminal is for this process.
    return subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, **(environment or {})},
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill it with what it started, if it still runs."""
    if process.poll() is None:
        with suppress(ProcessLookupError):  # reaped by another thread at this moment
            os.killpg(process.pid, signal.SIGKILL)


def last_words(process: subprocess.Popen[bytes], errors: bytes) -> str:
    """Return the last line that it wrote to stderr, or its exit code."""
    return (errors.decode(errors="replace").splitlines() or [f"exit code {process.returncode}"])[-1]
