"""Renders metrics in Prometheus' text format 0.0.4: those of containers by joining label text that was rendered once.

prometheus_client takes many times as long for the same text, which the tests compare with its own.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any

from prometheus_client import Metric as Family
from prometheus_client.utils import floatToGoString

from watchd.gzipped import Gzipped
from watchd.metrics.catalog import METRICS, Metric
from watchd.metrics.labels import render
from watchd.metrics.usage import Sample

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SHOWN_AS = {
    "counter": ("counter", "_total"),
    "gauge": ("gauge", ""),
    "info": ("gauge", "_info"),
    "summary": ("summary", ""),
}  # types of prometheus_client's families, and what this format has for them
_OF_A_SAMPLE = frozenset(("lifecycle", "state", "health"))  # the other groups' records are its usage's


@dataclass(frozen=True, slots=True)
class Page:
    """Rendered samples: their text, how many series there are, and how many samples are left out."""

    text: Gzipped
    series: int
    left_out: int = 0


def page(samples: Sequence[Sample], most: int | None = None) -> Page:
    """Render as many of the first samples as give no more than `most` series.

    Families come in the catalog's order, those without series left out. Each is compressed when it is made: all of them
    together take more memory than everything else that is kept of the containers.
    """
    rendered = len(samples)
    while True:
        text, series = Gzipped(), 0
        for family, count in _families(samples[:rendered]):
            text.add(family)
            series += count
        if most is None or series <= most or not rendered:
            return Page(text, series, len(samples) - rendered)
        rendered = min(rendered - 1, rendered * most // series)  # samples have about as many series each


def text_of(families: Iterable[Family]) -> str:
    """Render counters, gauges, infos and summaries of prometheus_client's, as its `generate_latest` does."""
    pieces: list[str] = []
    for family in families:
        type_, suffix = _SHOWN_AS[family.type]
        pieces.append(_head(f"{family.name}{suffix}", family.documentation, type_))
        for sample in family.samples:
            labels = f"{{{_sorted(tuple(sample.labels.items()))}}}" if sample.labels else ""
            pieces.append(f"{sample.name}{labels} {floatToGoString(sample.value)}\n")  # type: ignore[no-untyped-call] # it is
    return "".join(pieces)


def _head(name: str, documentation: str, type_: str) -> str:
    return f"# HELP {name} {documentation}\n# TYPE {name} {type_}\n"


class _Lines:
    """The lines of one metric. What is the same in all of them is put together once."""

    def __init__(self, metric: Metric) -> None:
        fixed = f"{render(dict(metric.fixed))}," if metric.fixed else ""
        self._start = f"{metric.name}{{{fixed}"
        self._between = f"\n{self._start}"
        self._value = attrgetter(metric.field)
        self.rows = metric.group, metric.labels

    def of(self, texts: list[str], records: list[Any]) -> tuple[str, int]:
        """Render a line for each value there is, and count them; integers are exact and floats round-trip."""
        values = list(map(self._value, records))
        if None in values:
            texts = [text for text, value in zip(texts, values, strict=True) if value is not None]
            values = [value for value in values if value is not None]
        if not values:
            return "", 0
        pieces = [self._between] * (3 * len(values))  # not one for each line: all would be copied once more
        pieces[0] = self._start
        pieces[1::3] = texts
        pieces[2::3] = map(str, values)
        pieces.append("\n")
        return "".join(pieces), len(values)


_FAMILIES = tuple(
    (_head(first.name, first.help, first.type), tuple(_Lines(metric) for metric in (first, *further)))
    for first, *further in (tuple(metrics) for _, metrics in groupby(METRICS, key=attrgetter("name")))
)


def _families(samples: Sequence[Sample]) -> Iterator[tuple[bytes, int]]:
    """Yield the text of each family that has series, and how many."""
    rows = _Rows(samples)
    for head, metrics in _FAMILIES:
        pieces, series = [head], 0
        for metric in metrics:
            text, count = metric.of(*rows.of(*metric.rows))
            pieces.append(text)
            series += count
        if series:
            yield "".join(pieces).encode(), series


class _Rows:
    """The rows of each group of metrics: one a container, or one a container and interface or device.

    A row is the end of a line up to its value, and the record that the value is a field of; they come as two lists.
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples
        self._texts = [f"{sample.labels}}} " for sample in samples]
        self._rows: dict[tuple[str, tuple[str, ...]], tuple[list[str], list[Any]]] = {}

    def of(self, group: str, names: tuple[str, ...]) -> tuple[list[str], list[Any]]:
        """The rows of a group with these labels; made once for all metrics that have them."""
        key = group, names
        if key not in self._rows:
            self._rows[key] = self._made(group, names)
        return self._rows[key]

    def _made(self, group: str, names: tuple[str, ...]) -> tuple[list[str], list[Any]]:
        found = list(map(attrgetter(group if group in _OF_A_SAMPLE else f"usage.{group}"), self._samples))
        if not names:
            if all(found):  # records are true, whatever they say
                return self._texts, found
            texts = [text for text, record in zip(self._texts, found, strict=True) if record is not None]
            return texts, [record for record in found if record is not None]
        own = attrgetter(*names)
        texts, records = [], []
        for text, record in zip(self._texts, found, strict=True):
            for item in record if isinstance(record, tuple) else () if record is None else (record,):
                texts.append(f"{_rendered(names, own(item))},{text}")
                records.append(item)
        return texts, records


@lru_cache(maxsize=1024)
def _rendered(names: tuple[str, ...], values: str | tuple[str, ...]) -> str:
    """Label text of an interface, a device or a state, of which a host has a few. A single value comes as it is."""
    return render(dict(zip(names, (values,) if isinstance(values, str) else values, strict=True)))


@lru_cache(maxsize=8192)  # more than there are: some for each image and Compose service, of 500 at the most
def _sorted(labels: tuple[tuple[str, str], ...]) -> str:
    """Label text as prometheus_client has it, of what comes again at every scrape."""
    return render(dict(sorted(labels)))
