"""`python -m tests.bench.backtest`: what one replay takes, and those of all thresholds. It needs no engine."""

import os
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from tests.bench.past_host import past_of
from tests.unit.cleanup.builders import cleanup, policy
from watchd.cleanup.past.advice import advise
from watchd.cleanup.past.replay import replay
from watchd.cli.parallel import each
from watchd.runtime.gc import gc_paused

DAYS, IMAGES, RUNS = 90, 2_000, 20_000
SETTINGS = cleanup(
    policy("exited", "container", when={"finished_for": "1d"}, select={"status": ["exited"]}),
    policy("unused", "image", when={"unused_for": "7d"}, keep={"last": 3, "per": "repository"}),
    policy("dangling", "image", when={"dangling_for": "1d"}, select={"class": ["dangling"]}),
    schedule="1h",
    grace="1h",
)

Result = TypeVar("Result")


def main() -> None:
    """Measure and print."""
    record = past_of(DAYS, IMAGES, RUNS)
    until = record.watched[-1][1]
    print(f"{DAYS} days, {IMAGES} images, {RUNS} runs of containers; {_most_mib()} MiB with the timeline alone")
    outcome = _measured("backtest, hourly runs of 3 policies", lambda: replay(record, SETTINGS, since=0.0, until=until))
    for judged in outcome.policies:
        print(f"  {judged.name}: {len(judged.removed)} removed, {len(judged.regrets)} regrets")
    daily = replace(SETTINGS, schedule="24h")
    advice = _measured("advise, daily runs", lambda: advise(record, daily, since=0.0, until=until, each=each))
    for of_kind in advice.kinds:
        print(f"  {of_kind.kind}: {sum(found is not None for found in of_kind.thresholds.values())} thresholds")


def _measured(what: str, do: Callable[[], Result]) -> Result:
    """Call a function, and print what it takes."""
    began, cpu = time.perf_counter(), _cpu_seconds()
    with gc_paused():
        result = do()
    took, used = time.perf_counter() - began, _cpu_seconds() - cpu
    processors = len(os.sched_getaffinity(0))
    print(f"{what}: {took:.1f} s on {processors} processors, {used:.1f} s of CPU, {_most_mib()} MiB in one process")
    return result


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _most_mib() -> int:
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return int(max(resource.getrusage(process).ru_maxrss for process in whose)) // 1024


if __name__ == "__main__":
    main()
