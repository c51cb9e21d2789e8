"""The advice of `watchd advise` for the page, from a process of its own: it takes a minute of CPU and 100 MiB."""

import json
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Literal

from watchd.errors import WatchdError
from watchd.http.answers import as_json
from watchd.http.application import Response, Routes
from watchd.runtime import child
from watchd.runtime.watchdog import Pool

TIMEOUT = 600.0  # seconds
KEPT_FOR = 3600.0  # seconds
FAILURE_KEPT_FOR = 60.0  # seconds until it is tried again
_MORE = "`watchd advise` on the host tells more"


class Advising:
    """Work out advice when it is asked for, one at a time, and keep it until it is old or the configuration changes.

    `state` is the daemon's directory, `file` the configuration as named on its command line.
    """

    def __init__(self, state: Path, file: Path | None) -> None:
        self._arguments = ("advise", "--json", *(["-c", str(file)] if file else []))
        self._environment = {"WATCHD_STATE__DIRECTORY": str(state)}  # the file may name another by now
        self._lock = threading.Lock()
        self._latest: _Attempt | None = None
        self._pool = Pool(1, "watchd-advice", "working out advice")
        self.routes: Routes = {"/api/v1/advice": lambda _: self.answer()}

    def answer(self) -> Response:
        """Return the latest advice, or how far it is. Start working it out if there is none, or it is old."""
        with self._lock:
            latest = self._latest
            if latest is None or latest.is_old:
                latest = self._latest = _Attempt()
                self._pool.submit(latest.run, self._arguments, self._environment)
        return as_json(latest.as_json())

    def forget(self) -> None:
        """Drop the last advice, and the one being worked out."""
        with self._lock:
            latest, self._latest = self._latest, None
        if latest is not None:
            latest.cancel()

    def stop(self) -> None:
        """Stop working out advice. No further calls may follow."""
        self.forget()
        self._pool.shutdown(wait=False)


class _Attempt:
    """One run of the command: under way, or its result."""

    def __init__(self) -> None:
        self._started_at = time.time()
        self._ended = 0.0  # monotonic
        self._computed_at: float | None = None
        self._state: Literal["computing", "ready", "failed"] = "computing"
        self._advice: Any = None
        self._error: str | None = None
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_cancelled = False

    @property
    def is_old(self) -> bool:
        """Return whether to try anew."""
        kept_for = KEPT_FOR if self._state == "ready" else FAILURE_KEPT_FOR
        return self._state != "computing" and time.monotonic() - self._ended > kept_for

    def as_json(self) -> dict[str, Any]:
        """Return the published form."""
        with self._lock:
            return {
                "state": self._state,
                "started_at": self._started_at,
                "computed_at": self._computed_at,
                "advice": self._advice,
                "error": self._error,
            }

    def cancel(self) -> None:
        """End the process, or do not start it."""
        with self._lock:
            self._is_cancelled = True
            if self._process is not None:
                child.kill(self._process)

    def run(self, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        """Run the command to its end."""
        with self._lock:
            if self._is_cancelled:
                return
            try:
                self._process = process = child.start("watchd.cli.background", *arguments, environment=environment)
            except OSError as error:
                self._end(error=f"no process can be started: {error}")
                return
        advice, failure = None, None
        try:
            with process:
                advice = _result(process)
        except WatchdError as error:
            failure = str(error)
        with self._lock:
            self._end(advice=advice, error=failure)

    def _end(self, *, advice: Any = None, error: str | None = None) -> None:
        self._ended, self._computed_at = time.monotonic(), time.time()
        self._state = "ready" if error is None else "failed"
        self._advice, self._error = advice, error


def _result(process: subprocess.Popen[bytes]) -> Any:
    """Return the output of the command. Raise `WatchdError` with its error message and a hint."""
    try:
        output, errors = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        child.kill(process)
        raise WatchdError(f"it took longer than {TIMEOUT / 60:.0f} minutes: {_MORE}") from None
    try:
        return json.loads(output)
    except ValueError:
        pass
    _, is_told, told = f"\n{errors.decode(errors='replace')}".rpartition("\nwatchd: ")
    if is_told:
        raise WatchdError(" ".join(told.split()))
    if process.returncode == -signal.SIGKILL:
        raise WatchdError(f"its process was killed, perhaps since memory ran out: {_MORE}")
    raise WatchdError(f"its process failed ({child.last_words(process, errors)}): {_MORE}")
