"""A real Prometheus that scrapes one target every second, to see what dashboards and alerts see.

    with scraping("127.0.0.1:10210", directory) as prometheus:
        prometheus.query("up")

`running` takes any configuration, also in another network namespace. It is Debian's, listens on a free loopback
port, and keeps everything in the directory that it is given.
"""

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.install import PATH, UnavailableError, apt_install
from tests.harness.ports import free_port
from tests.harness.process import Process
from tests.harness.waiting import slowdown, wait_until

PACKAGE = "prometheus"  # has promtool too
PROGRAMS = ("prometheus", "promtool")

# Dashboards name it: `job="cadvisor"`.
JOB = "cadvisor"

# Seconds. Starting takes less than one; to end, it first writes what it holds in memory.
START_TIMEOUT = 30.0
STOP_TIMEOUT = 10.0


class PrometheusError(Exception):
    """Prometheus did not start, or refused a query. The message has what it said."""


def ensure_prometheus() -> None:
    """Make sure that Prometheus and promtool are there, installing them where that is possible.

    Raise UnavailableError where it is not.
    """
    if _missing_programs():
        apt_install([PACKAGE])
    if missing := _missing_programs():
        raise UnavailableError(f"{PACKAGE} left this machine without: {', '.join(missing)}")


def promtool() -> Path:
    """Return the path of promtool. Raise UnavailableError where it is not there."""
    program = shutil.which("promtool", path=PATH)
    if program is None:
        raise UnavailableError(f"promtool must be installed first: Debian has it in {PACKAGE}")
    return Path(program)


def _missing_programs() -> list[str]:
    return [program for program in PROGRAMS if shutil.which(program, path=PATH) is None]


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of the answer to an instant query."""

    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus. Make it with `scraping` or `running`."""

    url: str
    process: Process
    log_file: Path
    through: Sequence[str] = ()

    @property
    def log(self) -> str:
        """Its log so far, in logfmt."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def ready(self) -> bool:
        """Return whether it serves queries. Raise PrometheusError when it has ended."""
        if not self.process.is_alive():
            raise PrometheusError(f"Prometheus ended instead of starting:\n{self.log}")
        with suppress(OSError):
            return bool(self._get("/-/ready"))
        return False

    def query(self, expression: str) -> list[Sample]:
        """Return the answer to an instant query, as of now. Raise PrometheusError when it cannot be evaluated."""
        answer = self._api("query", query=expression)
        if answer["resultType"] == "scalar":
            return [Sample({}, float(answer["result"][1]))]
        return [Sample(series["metric"], float(series["value"][1])) for series in answer["result"]]

    def series(self, selector: str) -> list[dict[str, str]]:
        """Return the labels of the series that a selector matches, those of the last hour that are gone included."""
        return list(self._api("series", **{"match[]": selector}))

    def dropped_samples(self) -> dict[str, float]:
        """Return how many scraped samples it refused to store, by its own counter of each reason."""
        lines = (line.split() for line in self._get("/metrics").decode().splitlines())
        reasons = ("duplicate_timestamp", "out_of_order", "out_of_bounds")
        counters = [f"prometheus_target_scrapes_sample_{reason}_total" for reason in reasons]
        return {fields[0]: float(fields[1]) for fields in lines if fields[0] in counters}

    def _api(self, endpoint: str, **parameters: str) -> Any:
        try:
            body = self._get(f"/api/v1/{endpoint}?{urllib.parse.urlencode(parameters)}")
        except urllib.error.HTTPError as error:
            with error:
                raise PrometheusError(error.read().decode(errors="replace")) from error
        return json.loads(body)["data"]

    def _get(self, path: str) -> bytes:
        if self.through:
            command = [*self.through, "busybox", "wget", "-q", "-O", "-", self.url + path]
            asked = subprocess.run(command, check=False, capture_output=True, timeout=10 * slowdown())
            if asked.returncode != 0:
                raise ConnectionError(asked.stderr.decode(errors="replace"))
            return asked.stdout
        with urllib.request.urlopen(self.url + path, timeout=10 * slowdown()) as response:
            return bytes(response.read())


@contextmanager
def scraping(target: str, directory: Path, *, rules: Sequence[Path] = ()) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes `target` (host:port) every second, with its files in `directory` and some `rules`.

    Raise PrometheusError when it does not start.
    """
    config = directory / "prometheus.json"  # JSON is YAML
    jobs = [{"job_name": JOB, "static_configs": [{"targets": [target]}]}]
    every_second = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    files = [str(file) for file in rules]
    config.write_text(json.dumps({"global": every_second, "scrape_configs": jobs, "rule_files": files}))
    with running(config, directory) as prometheus:
        yield prometheus


@contextmanager
def running(config: Path, directory: Path, *, through: Sequence[str] = ()) -> Iterator[Prometheus]:
    """Run a Prometheus by a configuration. `through`: a command that runs the one that follows, where it is reached.

    Raise PrometheusError when it does not start.
    """
    listen = f"127.0.0.1:{free_port()}"
    log = directory / "prometheus.log"
    command = [
        *through,
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'prometheus'}",
        f"--web.listen-address={listen}",
    ]
    process = Process.spawn(command, log=log, environment={**os.environ, "PATH": PATH})
    try:
        prometheus = Prometheus(f"http://{listen}", process, log, through)
        wait_until(prometheus.ready, seconds=START_TIMEOUT, what=f"Prometheus, whose log is {log}")
        yield prometheus
    finally:
        process.end(STOP_TIMEOUT)
