"""The errors that watchd shows to people: a sentence each, saying what is wrong and what to do.

Whatever else escapes is a defect, and is shown as one (with its traceback).
"""

from pathlib import Path


class WatchdError(Exception):
    """An error to be printed as it is. `exit_code` is what the command ends with."""

    exit_code = 1


class ConfigError(WatchdError):
    """The configuration cannot be used. `problems` are complete lines, one for each thing that is wrong."""

    exit_code = 2

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class UsageError(WatchdError):
    """The command was called in a way that cannot be carried out."""

    exit_code = 2


class StateError(WatchdError):
    """The state directory or its database cannot be used."""


class DamagedState(StateError):
    """The file at `path` is no database, or is a damaged one."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} is damaged ({reason}): restore it, or move it away, and watchd begins anew:"
            " what is there then counts as having just arrived"
        )
        self.path = path


class EngineError(WatchdError):
    """The engine did not do what it was asked."""


class EngineUnreachable(EngineError):
    """Nothing answers at the engine's address, or not in time."""


class EngineRefused(EngineError):
    """The engine answered with an error status.

    `status` is the HTTP status code: decisions rest on it and never on the message, which differs between engines.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class WriteForbidden(EngineError):
    """A connection that may only read was asked to write: nothing was sent."""
