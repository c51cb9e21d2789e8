"""`python -m tests.bench.backtest`: what a replay of the past takes. It needs no engine."""

import resource
import time

from tests.bench.past_host import past_of
from tests.unit.cleanup.builders import cleanup, policy
from watchd.cleanup.past.replay import replay
from watchd.runtime.gc import gc_paused

DAYS, IMAGES, RUNS = 90, 2_000, 20_000
SETTINGS = cleanup(
    policy("exited", "container", when={"finished_for": "1d"}, select={"status": ["exited"]}),
    policy("unused", "image", when={"unused_for": "7d"}, keep={"last": 3, "per": "repository"}),
    policy("dangling", "image", when={"dangling_for": "1d"}, select={"class": ["dangling"]}),
    schedule="1h",
    grace="1h",
)


def main() -> None:
    """Measure and print."""
    record = past_of(DAYS, IMAGES, RUNS)
    made = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    with gc_paused():
        outcome = replay(record, SETTINGS, since=0.0, until=record.watched[-1][1])
    used = time.process_time() - began
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{DAYS} days, {IMAGES} images, {RUNS} runs of containers, hourly runs of 3 policies:")
    print(f"  {used:.1f} s of CPU, {most // 1024} MiB ({made // 1024} MiB of it with the timeline alone)")
    for judged in outcome.policies:
        print(f"  {judged.name}: {len(judged.removed)} removed, {len(judged.regrets)} regrets")


if __name__ == "__main__":
    main()
