"""`python -m tests.bench [--containers 10,50]`: compare exporters on a private engine, with that many containers."""

import argparse
import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import docker

from tests.bench import table
from tests.bench.exporters import ExporterError, exporters, free_port
from tests.bench.measure import engine_pids, measure
from tests.harness import images, install
from tests.harness.engine import Engine, EngineError, new_directory

CREATING_THREADS = 4

NOTES = """\
CPU time is for one scrape, less what is used over the same time without scrapes; "engine" is dockerd, containerd and
its shims; "idle" is the exporter's own CPU time while nobody scrapes it, and "and idle" what all of that comes to with
one scrape every 15 s. CPU time and latency are medians, p99 of fewer than 100 scrapes is the slowest; "first" is the
first scrape, which no median has. Machines that others use too make all times noisy: compare the lines of one run.
"""


def bench(sizes: list[int]) -> None:
    """Print the costs and the ratios for each number of containers."""
    install.ensure_engine()
    with (
        Engine.start(new_directory()) as engine,
        closing(engine.client()) as client,
        tempfile.TemporaryDirectory() as directory,
    ):
        images.load_base(client)
        print(f"Docker {client.version()['Version']}\n\n{NOTES}", flush=True)
        for size in sizes:
            _create_containers(client, size)
            results = []
            for exporter in exporters(engine, Path(directory)):
                print(f"{size} containers: {exporter.name} ...", file=sys.stderr)
                pids = engine_pids(engine)
                port = free_port()
                with exporter.running(port, Path(directory, "log")) as process:
                    results.append(measure(exporter, pids, process, port))
            print(f"{size} containers\n\n{table.costs(results)}\nTimes as much as the first:\n")
            print(table.ratios(results), flush=True)


def _create_containers(client: docker.DockerClient, size: int) -> None:
    """Have `size` containers that sleep."""
    missing = size - len(client.containers.list(sparse=True))
    print(f"{size} containers: creating {missing} ...", file=sys.stderr)

    def create(_: int) -> None:
        client.containers.run(images.BASE, ["sleep", "1000000"], detach=True)

    with ThreadPoolExecutor(CREATING_THREADS) as pool:
        list(pool.map(create, range(missing)))


def _sizes(text: str) -> list[int]:
    return sorted({int(size) for size in text.split(",")})


def main() -> int:
    """Return the exit code: 2 when this machine cannot run an engine, 130 when it was interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Compare what scrapes cost.")
    parser.add_argument("--containers", type=_sizes, default=[10, 50], metavar="N,...", help="default: 10,50")
    sizes = parser.parse_args().containers
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # all is stopped then as on ctrl-C
    try:
        bench(sizes)
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
