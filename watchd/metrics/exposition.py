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

_FAMILIES = tuple(tuple(metrics) for _, metrics in groupby(METRICS, key=attrgetter("name")))
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
        for family, count in _families(_Rows(samples[:rendered])):
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


def _families(rows: "_Rows") -> Iterator[tuple[bytes, int]]:
    """Yield the text of each family that has series, and how many."""
    for family in _FAMILIES:
        series: list[str] = []
        for metric in family:
            series += _series(metric, *rows.of(metric))
        if series:
            first = family[0]
            yield (_head(first.name, first.help, first.type) + "".join(series)).encode(), len(series)


def _series(metric: Metric, texts: list[str], records: list[Any]) -> list[str]:
    """Render one line for each value there is; integers come out exact and floats as they round-trip."""
    values = map(attrgetter(metric.field), records)
    start = f"{metric.name}{{"
    end = f",{render(dict(metric.fixed))}}} " if metric.fixed else "} "
    return [f"{start}{text}{end}{value}\n" for text, value in zip(texts, values, strict=True) if value is not None]


class _Rows:
    """The rows of each group of metrics: one a container, or one a container and interface or device.

    A row is the label text of a series and the record that its value is a field of; they come as two lists.
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples
        self._rows: dict[tuple[str, tuple[str, ...]], tuple[list[str], list[Any]]] = {}

    def of(self, metric: Metric) -> tuple[list[str], list[Any]]:
        """The rows for a metric; made once for all metrics of a group that have the same labels."""
        key = metric.group, metric.labels
        if key not in self._rows:
            self._rows[key] = self._made(*key)
        return self._rows[key]

    def _made(self, group: str, names: tuple[str, ...]) -> tuple[list[str], list[Any]]:
        texts, records = [], []
        found = map(attrgetter(group if group in _OF_A_SAMPLE else f"usage.{group}"), self._samples)
        for sample, record in zip(self._samples, found, strict=True):
            if record is None:
                continue
            if not names:
                texts.append(sample.labels)
                records.append(record)
                continue
            for item in record if isinstance(record, tuple) else (record,):
                texts.append(f"{sample.labels},{_rendered(names, tuple([getattr(item, name) for name in names]))}")
                records.append(item)
        return texts, records


@lru_cache(maxsize=1024)
def _rendered(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    """Label text of an interface, a device or a state, of which a host has a few."""
    return render(dict(zip(names, values, strict=True)))


@lru_cache(maxsize=8192)  # more than there are: some for each image and Compose service, of 500 at the most
def _sorted(labels: tuple[tuple[str, str], ...]) -> str:
    """Label text as prometheus_client has it, of what comes again at every scrape."""
    return render(dict(sorted(labels)))
