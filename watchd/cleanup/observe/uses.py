"""Counts of the uses of images, by the timeline: runs of containers, arrivals, and builds on them. Pure."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from watchd.cleanup.observe.lineage import Lineage
from watchd.model import Key, Observation, Observations, Uses
from watchd.model.history.timeline import Life, Span

PAUSE = 600.0  # seconds: uses with no longer pauses count as one


def with_uses(
    observations: Observations, runs: Mapping[Key, Sequence[Span]], lives: Iterable[Life]
) -> dict[Key, Observation]:
    """Return observations with the uses of images, those of their earlier lives included."""
    used = image_uses(runs, lives)
    return {key: replace(seen, uses=used.get(key)) for key, seen in observations.items()}


def image_uses(runs: Mapping[Key, Sequence[Span]], lives: Iterable[Life]) -> dict[Key, Uses]:
    """Return the uses of images, by the runs of their containers and their own lives."""
    spans: defaultdict[Key, list[Span]] = defaultdict(list)
    for key, of_image in runs.items():
        spans[key] += of_image
    lineage = Lineage()
    arrivals: list[tuple[float, Key]] = []
    for life in lives:
        arrivals += ((at, life.key) for at in (life.arrived, *(each.since for each in life.appearances if each.how)))
        lineage.add(life.key, tuple(json.loads(life.appearances[-1].text).get("layers", ())))
    arrivals.sort()
    for at, key in arrivals:
        spans[key].append((at, at))
    first = {key: min(of_image)[0] for key, of_image in spans.items()}
    for at, key in arrivals:
        for base in lineage.bases(key):
            if at > first[base]:
                spans[base].append((at, at))
    return {key: _together(sorted(of_image)) for key, of_image in spans.items()}


def _together(spans: Sequence[Span]) -> Uses:
    count, until = 1, spans[0][1]
    for begin, end in spans:
        count += begin - until > PAUSE
        until = max(until, end)
    return Uses(count, spans[0][0])
