"""Prometheus' text format 0.0.4, with the label text of containers rendered once.

prometheus_client takes many times as long for the same text; the tests compare both.
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
from watchd.metrics.containers.labels import render
from watchd.metrics.groups import METRICS
from watchd.metrics.groups.group import Metric
from watchd.model.usage import Sample

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SHOWN_AS = {
    "counter": ("counter", "_total"),
    "gauge": ("gauge", ""),
    "info": ("gauge", "_info"),
    "summary": ("summary", ""),
}  # by the type of prometheus_client's family: type and suffix of this format
_OF_A_SAMPLE = frozenset(("lifecycle", "state", "health", "filesystem"))  # all other records are of its usage


@dataclass(frozen=True, slots=True)
class Page:
    """Rendered samples: text, number of series, and number of samples that are left out."""

    text: Gzipped
    series: int
    left_out: int = 0


def page(samples: Sequence[Sample], most: int | None = None) -> Page:
    """Render as many of the first samples as give no more than `most` series.

    Families without series are left out. Each is compressed when it is made: all of them together take more memory than
    everything else that is kept of the containers.
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
    """Render counters, gauges, infos and summaries of prometheus_client as its `generate_latest` does."""
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
    """Render the lines of one metric. Text that all have is made once."""

    def __init__(self, metric: Metric) -> None:
        fixed = f"{render(dict(metric.fixed))}," if metric.fixed else ""
        self._start = f"{metric.name}{{{fixed}"
        self._between = f"\n{self._start}"
        self._value = attrgetter(metric.field)
        self.rows = metric.record, metric.labels

    def of(self, texts: list[str], records: list[Any]) -> tuple[str, int]:
        """Render a line for each value but None, and count them; integers are exact and floats round-trip."""
        values = list(map(self._value, records))
        if None in values:
            texts = [text for text, value in zip(texts, values, strict=True) if value is not None]
            values = [value for value in values if value is not None]
        if not values:
            return "", 0
        first = values[0]
        if values.count(first) == len(values) and len(set(map(type, values))) == 1:  # as limits, or what never happens
            return f"{self._start}{f'{first}{self._between}'.join(texts)}{first}\n", len(values)
        pieces = [self._between] * (3 * len(values))  # one list: a string for each line would be copied once more
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
    """Yield the text and the number of series of each family that has any."""
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
    """Rows of each kind of record: one for each container, or for each container and interface or device.

    A row is the end of a line before its value, and the record that has the value; they are two lists.
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples
        self._texts = [f"{sample.labels}}} " for sample in samples]
        self._rows: dict[tuple[str, tuple[str, ...]], tuple[list[str], list[Any]]] = {}

    def of(self, record: str, names: tuple[str, ...]) -> tuple[list[str], list[Any]]:
        """Return the rows of a record with these labels; made once for all metrics that have them."""
        key = record, names
        if key not in self._rows:
            self._rows[key] = self._made(record, names)
        return self._rows[key]

    def _made(self, name: str, names: tuple[str, ...]) -> tuple[list[str], list[Any]]:
        found = list(map(attrgetter(name if name in _OF_A_SAMPLE else f"usage.{name}"), self._samples))
        if not names:
            if all(found):  # every record is true
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
    """Render the labels of an interface, a device or a state, of which a host has a few. One value is no tuple."""
    return render(dict(zip(names, (values,) if isinstance(values, str) else values, strict=True)))


@lru_cache(maxsize=8192)  # more than there are: a few for each of at most 500 images and services
def _sorted(labels: tuple[tuple[str, str], ...]) -> str:
    """Render labels as prometheus_client does: sorted. They are the same at every scrape."""
    return render(dict(sorted(labels)))
