"""Load the configuration in a process of its own, which ends: pydantic would keep 11 MiB of the daemon's memory.

The process gets the file's name as its argument and the environment as it is, and hands over the settings as JSON
through a pipe.
"""

import json
import subprocess
from pathlib import Path
from typing import Self

from watchd import __version__
from watchd.config.handover import build
from watchd.config.schema.config import Config
from watchd.errors import ConfigError, WatchdError
from watchd.runtime import child

TIMEOUT = 30.0  # seconds


class Check:
    """The check of a configuration, from now on; `result` waits for it."""

    def __init__(self, file: Path | None) -> None:
        try:
            self._process = child.start("watchd.config", *([str(file)] if file else []))
        except OSError as error:
            raise WatchdError(f"the configuration is not checked: no process can be started: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            child.kill(self._process)

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
            reason = child.last_words(self._process, errors)
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
