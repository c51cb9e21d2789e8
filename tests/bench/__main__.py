"""`python -m tests.bench [--containers 10,100,300]`: compare exporters on an engine of its own, with N containers.

They sleep; then on as many that work a little all the time (`--busy 100`).
"""

import argparse
import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import docker

from tests.bench import floor, table
from tests.bench.exporters import WATCHD_ALL, WATCHD_BASIC, Exporter, ExporterError, exporters
from tests.bench.measure import CYCLE, LONGEST, SLOW, Idle, Result, TooSlowError, idle_shares, measure
from tests.harness import images, install
from tests.harness.engine import Engine, EngineError, new_directory
from tests.harness.ports import free_port
from tests.harness.watchd_process import compile_files

CREATING_THREADS = 4
CHURN = 0.1  # of the containers are removed, and as many created, for the scrape that is shown apart
CHURN_AT_LEAST = 2

BUSY = """\
ip=$(hostname -i)
ping -q "${ip%.*}.$((${ip##*.} - 1))" > /dev/null &
while sleep 1; do
    head -c 10000 /dev/zero >> /dev/shm/growth
    dd if=/dev/zero of=/written bs=4k count=1 conv=fsync 2> /dev/null
done
"""
"""Work of a busy container: CPU, memory that grows, packets to a neighbour, writes to the disk."""
BUSY_INTERVAL = 2.0  # seconds between scrapes: by then it has worked again, as between those of a Prometheus
BUSY_ROUNDS = 40  # of the floor

NOTES = f"""\
CPU of a scrape   less what is used over the same time without scrapes; "engine": dockerd, containerd and its shims.
latency           CPU time and latency are medians; p99 of fewer than 100 scrapes is the slowest one.
idle CPU in 1 s   while nobody scrapes: the exporter's, and what dockerd takes more than without it (below 0: noise).
after churn       the first scrape after a tenth of the containers, but two at least, were replaced by new ones.
floor             a C program that reads the very files that watchd reads, and does nothing else.
and idle          in the ratios: CPU of exporter and engine in {table.INTERVAL:.0f} s with one scrape in them.

An exporter that takes over {SLOW:.0f} s for its first scrape is scraped only that once, and left out where a scrape
would take over {LONGEST:.0f} s. Machines that others use too make all times noisy: compare the lines of one run.
"""


class Bench:
    """One run on one engine."""

    def __init__(self, engine: Engine, client: docker.DockerClient, directory: Path) -> None:
        self._engine = engine
        self._client = client
        self._directory = directory
        self._exporters = exporters(engine, directory)
        self._floor = self._compiled()
        self._results: dict[int, list[Result]] = {}
        self._command = ["sleep", "1000000"]
        self._interval = 0.0  # seconds between scrapes

    def run(self, sizes: list[int], busy: list[int]) -> None:
        """Print the costs and the ratios for each number of containers, then all side by side; then of busy ones."""
        for size in sizes:
            self._create_containers(size)
            print(f"{size} containers: no exporter ...", file=sys.stderr)
            without = idle_shares(self._engine, times=CYCLE)
            results = self._results[size] = []
            left_out = []
            for exporter in self._exporters:
                print(f"{size} containers: {exporter.name} ...", file=sys.stderr)
                try:
                    results.append(self._measured(exporter, size, without))
                except (ExporterError, TooSlowError, OSError) as error:
                    if exporter.name == WATCHD_BASIC:  # the others are compared with it
                        raise ExporterError(f"{exporter.name}: {error}") from error
                    left_out.append(f"left out: {exporter.name}: {error}\n")
            print(
                f"{size} containers; dockerd takes {without.dockerd_mean * 1000:.2f} ms in 1 s without any exporter\n"
            )
            print(f"{table.costs(results)}{''.join(left_out)}\nTimes as much as the first:\n")
            print(table.ratios(results), flush=True)
        if len(sizes) > 1:
            print(f"Side by side\n\n{table.side_by_side(self._results)}")
        of_busy = {size: self._run_busy(size) for size in busy}
        print(f"What is aimed at\n\n{table.aims(self._results, of_busy)}", flush=True)

    def _run_busy(self, size: int) -> list[Result]:
        """Print the costs for containers that work."""
        self._interval = BUSY_INTERVAL
        for container in self._client.containers.list(sparse=True):
            container.remove(force=True)
        self._command = ["sh", "-c", BUSY]
        self._create_containers(size)
        without = idle_shares(self._engine, times=CYCLE)
        own = [exporter for exporter in self._exporters if exporter.name in (WATCHD_BASIC, WATCHD_ALL)]
        results = [self._measured(exporter, size, without) for exporter in own]
        print(f"{size} containers that work a little all the time\n\n{table.costs(results)}")
        print(f"Times as much as the first:\n\n{table.ratios(results)}", flush=True)
        return results

    def _measured(self, exporter: Exporter, size: int, without: Idle) -> Result:
        self._check_not_too_slow(exporter, size)
        port = free_port()
        log = self._directory / "log"
        log.unlink(missing_ok=True)
        with exporter.running(port, log) as process:
            return measure(
                exporter,
                self._engine,
                process,
                port,
                without=without,
                floor=self._floor_below,
                churn=lambda: self._churn(max(CHURN_AT_LEAST, round(size * CHURN))),
                interval=self._interval,
            )

    def _check_not_too_slow(self, exporter: Exporter, size: int) -> None:
        """Raise TooSlowError when the time with fewer containers, in proportion, says so."""
        for smaller, results in reversed(self._results.items()):
            for result in results:
                if result.name == exporter.name and (expected := result.latency * size / smaller) > LONGEST:
                    raise TooSlowError(
                        f"not measured, a scrape would take about {expected / 60:.0f} minutes: "
                        f"{result.latency:.0f} s with {smaller} containers"
                    )

    def _compiled(self) -> Path | None:
        try:
            return floor.compiled(self._directory)
        except floor.FloorError as error:
            print(f"left out: the floor: {error}", flush=True)
            return None

    def _floor_below(self, pid: int) -> floor.Floor | None:
        if self._floor is None:
            return None
        try:
            files = floor.read_by(pid, self._engine.cgroup_parent)
            if self._interval:
                return floor.measure(self._floor, files, rounds=BUSY_ROUNDS, pause_ms=round(self._interval * 1000))
            return floor.measure(self._floor, files)
        except floor.FloorError as error:
            print(f"left out: the floor: {error}", flush=True)
            return None

    def _create_containers(self, size: int) -> None:
        """Start containers until there are `size`."""
        missing = size - len(self._client.containers.list(sparse=True))
        print(f"{size} containers: creating {missing} ...", file=sys.stderr)
        with ThreadPoolExecutor(CREATING_THREADS) as pool:
            list(pool.map(lambda _: self._create(), range(missing)))

    def _churn(self, count: int) -> None:
        """Remove so many containers, and create as many."""
        old = self._client.containers.list(sparse=True, limit=count)
        with ThreadPoolExecutor(CREATING_THREADS) as pool:
            list(pool.map(lambda container: container.remove(force=True), old))
            list(pool.map(lambda _: self._create(), range(count)))

    def _create(self) -> None:
        self._client.containers.run(images.BASE, self._command, detach=True)


def bench(sizes: list[int], busy: list[int]) -> None:
    """Start an engine and run on it."""
    install.ensure_engine()
    compile_files()
    with (
        Engine.start(new_directory()) as engine,
        closing(engine.client()) as client,
        tempfile.TemporaryDirectory() as directory,
    ):
        images.load_base(client)
        print(f"Docker {client.version()['Version']}\n\n{NOTES}", flush=True)
        Bench(engine, client, Path(directory)).run(sizes, busy)


def _sizes(text: str) -> list[int]:
    return sorted({int(size) for size in text.split(",")})


def main() -> int:
    """Return the exit code: 2 when this machine cannot run an engine, 130 when it was interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Compare what scrapes cost.")
    default = [10, 100, 300]
    parser.add_argument("--containers", type=_sizes, default=default, metavar="N,...", help="default: 10,100,300")
    parser.add_argument("--busy", type=_sizes, default=[100], metavar="N,...", help="that work; default: 100")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # all is stopped then as on ctrl-C
    try:
        bench(options.containers, options.busy)
    except install.UnavailableError as error:
        print(error, file=sys.stderr)
        return 2
    except (EngineError, ExporterError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
