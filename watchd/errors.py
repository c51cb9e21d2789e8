"""Errors for users: a sentence that says what is wrong and what to do. Any other exception is a bug."""

from pathlib import Path


class WatchdError(Exception):
    """Error whose text is printed as it is. `exit_code` is that of the command."""

    exit_code = 1


class ConfigError(WatchdError):
    """The configuration is invalid. `problems` has a line for each problem."""

    exit_code = 2

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class UsageError(WatchdError):
    """The arguments of the command are invalid."""

    exit_code = 2


class StateError(WatchdError):
    """The state directory or its database cannot be used."""


class DamagedState(StateError):
    """The file at `path` is damaged or not a database."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} is damaged ({reason}): restore it, or move it away to start with an empty one:"
            " all objects then count as new"
        )
        self.path = path


class EngineError(WatchdError):
    """A request to the engine failed."""


class EngineUnreachable(EngineError):
    """No answer from the engine's address, or not in time."""


class EngineRefused(EngineError):
    """The engine answered with an error.

    Decisions use the HTTP `status` only, since messages differ between engines.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class WriteForbidden(EngineError):
    """A read-only connection was asked to write. Nothing was sent."""
