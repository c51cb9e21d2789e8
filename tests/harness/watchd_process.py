"""watchd as its users run it: the installed command, in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.harness.ports import free_port
from tests.harness.waiting import wait_until

WATCHD = Path(sys.executable).with_name("watchd")

END_TIMEOUT = 60.0  # seconds

Labels = frozenset[tuple[str, str]]


def watchd(
    *arguments: str | Path, stdin: str = "", through: Sequence[str] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end. `through`: a command that runs the one that follows."""
    return subprocess.run(
        [*through, WATCHD, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def compile_files() -> None:
    """Compile what watchd imports, as installing it does: otherwise the first start that is measured does so.

    It would be slow, and keep the 4 MiB that compiling took.
    """
    code = "import watchd.cli, watchd.daemon, watchd.config.load"
    subprocess.run([sys.executable, "-c", code], env={"PATH": os.environ["PATH"]}, check=True)


def plan_of(result: subprocess.CompletedProcess[str]) -> Any:
    """Return the plan that `prune --json` printed."""
    return json.loads(result.stdout)


def decisions(plan: Any, *actions: str) -> set[tuple[str, str, str, str]]:
    """Return kind, name, action and reason of the items of a plan with one of these actions (default: all)."""
    return {
        (item["kind"], item["name"], item["action"], item["reason"])
        for item in plan["items"]
        if not actions or item["action"] in actions
    }


def write_config(directory: Path, host: str, cleanup: str = "", **http: str) -> Path:
    """Write a configuration for one engine, with its state in `directory`. Return the file."""
    listen = http.get("listen", "127.0.0.1:10210")
    file = directory / "watchd.toml"
    file.write_text(
        f'[engine]\nhost = "{host}"\n[state]\ndirectory = "{directory / "state"}"\n'
        f'[http]\nlisten = "{listen}"\n[cleanup]\n{cleanup}\n'
    )
    return file


def series_of(page: str) -> dict[str, dict[Labels, float]]:
    """Return the series of a page of metrics: by name, then by labels."""
    series: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            series.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return series


class Daemon:
    """A running `watchd run`."""

    def __init__(self, process: subprocess.Popen[bytes], listen: str, log: Path) -> None:
        self.process = process
        self.listen = listen
        self._log = log

    @property
    def log(self) -> str:
        """Its log so far."""
        return self._log.read_text()

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        """Return status and body of a request."""
        request = urllib.request.Request(f"http://{self.listen}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def ask(self, path: str) -> Any:
        """Return the JSON at a path."""
        status, body = self.get(path)
        assert status == 200, body
        return json.loads(body)

    def scrape(self) -> dict[str, dict[Labels, float]]:
        """Return the series of `/metrics`: by name, then by labels."""
        status, body = self.get("/metrics")
        assert status == 200
        return series_of(body.decode())

    def names(self, metric: str = "container_start_time_seconds") -> set[str]:
        """Return the container names that a metric has series of: by default one that only running containers have."""
        return {dict(labels)["name"] for labels in self.scrape().get(metric, {}) if "name" in dict(labels)}

    def value(self, metric: str, **labels: str) -> float | None:
        """Return the sum of the series of a metric that have these labels, None where there are none."""
        wanted = labels.items()
        values = [value for have, value in self.scrape().get(metric, {}).items() if wanted <= have]
        return sum(values) if values else None

    def ready(self) -> bool:
        """Return whether it says that it is ready."""
        with suppress(OSError):
            return self.get("/readyz")[0] == 200
        return False

    def stop(self, number: signal.Signals = signal.SIGTERM, *, seconds: float = 20.0) -> int:
        """End it by a signal, and return its exit code. By default it may not wait for a request's time-out, 30 s."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


@contextmanager
def running(
    config: Path, *, through: Sequence[str] = (), command: Sequence[str | Path] = (WATCHD,), **environment: str
) -> Iterator[Daemon]:
    """Run the daemon on a free port and wait until it is ready. `through`: a command that runs the one that follows."""
    with starting(config, through=through, command=command, **environment) as daemon:
        wait_until(
            lambda: daemon.ready() or daemon.process.poll() is not None,
            seconds=60,
            what=f"watchd to be ready; it said: {daemon.log}",
        )
        assert daemon.process.poll() is None, "watchd ended instead of starting"
        yield daemon


@contextmanager
def starting(
    config: Path, *, through: Sequence[str] = (), command: Sequence[str | Path] = (WATCHD,), **environment: str
) -> Iterator[Daemon]:
    """Run the daemon on a free port, ready or not. It is stopped in the end, and its log is shown if a test fails."""
    listen = f"127.0.0.1:{free_port()}"
    log = config.with_suffix(".log")
    environment = {**os.environ, "WATCHD_HTTP__LISTEN": listen, **environment}
    with log.open("ab") as stderr:
        process = subprocess.Popen([*through, *command, "run", "-c", config], stderr=stderr, env=environment)
    daemon = Daemon(process, listen, log)
    try:
        yield daemon
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(END_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        print(daemon.log)
