"""`python -m tests.bench.starting`: how large the image is, and how soon watchd is ready, in it and without."""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import docker
import psutil

from tests.harness import images, install, watchd_image
from tests.harness.engine import Engine, new_directory
from tests.harness.ports import free_port
from tests.harness.watchd_process import WATCHD, compile_files, write_config

CONTAINERS = 10
ROUNDS = 5
READY_WITHIN = 60  # seconds

# Run beside what is started, since ports in the engine's network namespace are not this one's. It prints when the
# answer came, by a clock that all processes have in common.
_WHEN_READY = """\
import sys, time, urllib.request
end = time.monotonic() + float(sys.argv[2])
print("waiting", flush=True)
while time.monotonic() < end:
    try:
        with urllib.request.urlopen(sys.argv[1], timeout=1):
            print(time.monotonic())
            break
    except OSError:
        time.sleep(0.005)
"""


def image_size(engine: Engine, client: docker.DockerClient) -> None:
    """Print the bytes of the image, and what of it comes on top of its base."""
    watchd_image.build(engine, client)
    size, base = (client.images.get(tag).attrs["Size"] for tag in (watchd_image.TAG, images.PYTHON))
    print(f"the image: {size / 1e6:.0f} MB, of which {(size - base) / 1e6:.0f} MB are not its base's")


def process(engine: Engine, directory: Path) -> None:
    """Print how long a process takes from its start to its being ready."""
    config = write_config(directory, engine.host)
    taken, cpu = [], []
    for _ in range(ROUNDS):
        listen = f"127.0.0.1:{free_port()}"
        environment = {"PATH": os.environ["PATH"], "WATCHD_HTTP__LISTEN": listen}
        with _clock(f"http://{listen}/readyz") as ready:
            began = time.monotonic()
            started = subprocess.Popen(
                [WATCHD, "run", "-c", config], env=environment, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
            )
            try:
                taken.append(_seconds(ready) - began)
                times = psutil.Process(started.pid).cpu_times()
                cpu.append(times.user + times.system)
            finally:
                started.terminate()
                started.wait(10)
    print(
        f"a process, from its start to /readyz: {statistics.median(taken):.2f} s"
        f" ({min(taken):.2f} to {max(taken):.2f}), {statistics.median(cpu):.2f} s of CPU"
    )


def container(engine: Engine, client: docker.DockerClient) -> None:
    """Print how long a container takes from the request to start it to its being ready."""
    taken = []
    for _ in range(ROUNDS):
        made = client.containers.create(
            watchd_image.TAG,
            read_only=True,
            group_add=[str(engine.socket.stat().st_gid)],
            network_mode="host",  # the engine's, which has no other programs
            volumes={str(engine.socket): {"bind": "/var/run/docker.sock"}},
            environment={"WATCHD_HTTP__LISTEN": "127.0.0.1:10210"},
        )
        with _clock("http://127.0.0.1:10210/readyz", *engine.inside()) as ready:
            began = time.monotonic()
            made.start()
            taken.append(_seconds(ready) - began)
        made.remove(force=True, v=True)
    print(
        f"a container, from docker start to /readyz: {statistics.median(taken):.2f} s"
        f" ({min(taken):.2f} to {max(taken):.2f})"
    )


@contextmanager
def _clock(url: str, *through: str) -> Iterator[subprocess.Popen[str]]:
    """Run what prints when a URL answers, and wait until that has begun to ask."""
    command = [*through, sys.executable, "-c", _WHEN_READY, url, str(READY_WITHIN)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as clock:
        assert clock.stdout is not None
        clock.stdout.readline()
        try:
            yield clock
        finally:
            clock.terminate()


def _seconds(clock: subprocess.Popen[str]) -> float:
    """Return when the URL answered, in time.monotonic()."""
    assert clock.stdout is not None
    line = clock.stdout.readline()
    if not line:
        raise SystemExit(f"watchd was not ready within {READY_WITHIN} s: this measures nothing")
    return float(line)


def main() -> None:
    """Print all of it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the engine is stopped
    install.ensure_engine()
    compile_files()
    with (
        Engine.start(new_directory()) as engine,
        closing(engine.client(timeout=300)) as client,
        tempfile.TemporaryDirectory() as directory,
    ):
        images.load_base(client)
        image_size(engine, client)
        for _ in range(CONTAINERS):
            client.containers.run(images.BASE, ["sleep", "1000000"], detach=True, network_mode="none")
        print(f"starting, with {CONTAINERS} containers; medians of {ROUNDS}, the fastest and the slowest:")
        process(engine, Path(directory))
        container(engine, client)


if __name__ == "__main__":
    main()
