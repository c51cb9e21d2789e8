"""Load the configuration in a process of its own, which ends: pydantic would keep 11 MiB of the daemon's memory.

The process is a new Python, no fork of this one with its threads and locks. It gets the file's name as its argument and
the environment as it is, and hands over the settings as JSON through a pipe.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from watchd import __version__
from watchd.config.handover import build
from watchd.config.schema import Config
from watchd.errors import ConfigError, WatchdError

TIMEOUT = 30.0  # seconds


class Check:
    """The check of a configuration, from now on; `result` waits for it."""

    def __init__(self, file: Path | None) -> None:
        # -P: no module of the current directory. A session of its own: a ^C at the terminal is for this process.
        command = [sys.executable, "-P", "-m", "watchd.config", *([str(file)] if file else [])]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise WatchdError(f"the configuration is not checked: no process can be started: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    def result(self) -> Config:
        """Return the settings. Raise `ConfigError` if they are not valid, `WatchdError` if that cannot be told."""
        try:
            output, errors = self._process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            raise WatchdError(f"the configuration is not checked: that took longer than {TIMEOUT:.0f} s") from None
        try:
            answer = json.loads(output)
            version, problems = answer["version"], answer.get("problems")
        except (ValueError, TypeError, KeyError):
            reason = (errors.decode(errors="replace").splitlines() or [f"exit code {self._process.returncode}"])[-1]
            raise WatchdError(f"the configuration is not checked: its process failed: {reason}") from None
        if version != __version__:
            raise WatchdError(f"watchd {version} is installed, and this is {__version__}: start it again")
        if problems is not None:
            raise ConfigError(problems)
        try:
            return build(Config, answer["settings"])
        except (KeyError, TypeError):  # other code of the same version
            raise WatchdError("another watchd is installed than this: start it again") from None


def load(file: Path | None) -> Config:
    """Load the configuration as `watchd.config.load` does. Raise `ConfigError` or `WatchdError`."""
    with Check(file) as check:
        return check.result()
