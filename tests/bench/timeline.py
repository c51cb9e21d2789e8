"""`python -m tests.bench.timeline`: what the timeline takes, for 5,000 short containers a day. It needs no engine."""

import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from tests.unit.cleanup.builders import NOW, cleanup, image, network, running, view
from tests.unit.engine.fake_engine import event
from watchd.cleanup.evidence.evidence import Evidence
from watchd.cleanup.observe.follower import Change
from watchd.model import EngineView
from watchd.store import Store

RUNS = 5000
OTHERS = 300  # containers that run all the time
IMAGES = 2000
BATCH = 10  # containers whose events are written together


def changes(look: EngineView, first: int) -> list[Change]:
    """Return a batch: containers that come, run and go."""
    found = []
    for number in range(first, first + BATCH):
        made = running(f"busy_name_{number}", labels={"com.docker.compose.project": "ci"}, networks=("net",))
        at = NOW + number * 86400 / RUNS
        there = replace(look, containers=(*look.containers, made), version=look.version + 1)
        began = [event("container", action, made.id, at) for action in ("create", "start")]
        found.append(Change(began, look, there, listed=False, now=at))
        ended = [event("container", action, made.id, at + 9) for action in ("die", "destroy")]
        found.append(Change(ended, there, look, listed=False, now=at + 9))
    return found


def main() -> None:
    """Measure and print."""
    look = view(
        *(running(f"service-{number}") for number in range(OTHERS)),
        *(image(f"image-{number}", layers=("base", str(number))) for number in range(IMAGES)),
        network("net"),
    )
    with tempfile.TemporaryDirectory() as directory, closing(Store.open(Path(directory))) as store:
        evidence = Evidence(store, cleanup(), lambda _: None, lambda: look)
        began = time.process_time()
        evidence._take_in([Change((), look, look, listed=True, now=NOW)])
        print(f"first list of {OTHERS} containers and {IMAGES} images: {time.process_time() - began:.2f} s of CPU")
        before, began = store.timeline_size(), time.process_time()
        for first in range(0, RUNS, BATCH):
            evidence._take_in(changes(look, first))
        used = time.process_time() - began
        print(f"{RUNS} runs: {used / RUNS / 4 * 1e6:.0f} µs of CPU an event, in batches of {BATCH * 4}")
        each = (store.timeline_size() - before) / RUNS
        print(f"{RUNS} runs: {each:.0f} bytes each, {each * RUNS / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
