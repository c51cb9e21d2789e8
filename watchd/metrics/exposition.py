"""Renders samples in Prometheus' text format 0.0.4, by joining label text that was rendered once per container.

prometheus_client takes many times as long for the same text, which the tests compare with its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from watchd.metrics.catalog import METRICS, Metric
from watchd.metrics.labels import render
from watchd.metrics.usage import Sample

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_FAMILIES = tuple(tuple(metrics) for _, metrics in groupby(METRICS, key=attrgetter("name")))
_OF_A_SAMPLE = frozenset(("lifecycle", "state", "health"))  # the other groups' records are its usage's

_Row = tuple[str, Any]  # the label text of a series, and the record that its value is a field of


@dataclass(frozen=True, slots=True)
class Page:
    """Rendered samples: the text of each family, how many series there are, and how many samples are left out."""

    families: tuple[bytes, ...]
    series: int
    left_out: int = 0


def page(samples: Sequence[Sample], most: int | None = None) -> Page:
    """Render as many of the first samples as give no more than `most` series.

    Families come in the catalog's order, those without series left out. They are not joined: the kernel would have to
    make large new pieces of memory for each scrape, which costs more than anything else about it.
    """
    rendered = len(samples)
    while True:
        families, series = _render(_Rows(samples[:rendered]))
        if most is None or series <= most or not rendered:
            return Page(families, series, len(samples) - rendered)
        rendered = min(rendered - 1, rendered * most // series)  # samples have about as many series each


def _render(rows: "_Rows") -> tuple[tuple[bytes, ...], int]:
    families = []
    count = 0
    for family in _FAMILIES:
        series = [line for metric in family for line in _series(metric, rows.of(metric))]
        if series:
            first = family[0]
            head = f"# HELP {first.name} {first.help}\n# TYPE {first.name} {first.type}\n"
            families.append((head + "".join(series)).encode())
            count += len(series)
    return tuple(families), count


def _series(metric: Metric, rows: Iterable[_Row]) -> list[str]:
    """Render one line for each value there is; integers come out exact and floats as they round-trip."""
    value_of = attrgetter(metric.field)
    start = f"{metric.name}{{"
    end = f",{render(dict(metric.fixed))}}} " if metric.fixed else "} "
    return [f"{start}{labels}{end}{value}\n" for labels, record in rows if (value := value_of(record)) is not None]


class _Rows:
    """The rows of each group of metrics: one a container, or one a container and interface or device."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples
        self._rows: dict[tuple[str, tuple[str, ...]], list[_Row]] = {}

    def of(self, metric: Metric) -> list[_Row]:
        """The rows for a metric; made once for all metrics of a group that have the same labels."""
        key = metric.group, metric.labels
        if key not in self._rows:
            self._rows[key] = [row for sample in self._samples for row in self._of_sample(sample, metric)]
        return self._rows[key]

    @staticmethod
    def _of_sample(sample: Sample, metric: Metric) -> list[_Row]:
        record: Any = getattr(sample if metric.group in _OF_A_SAMPLE else sample.usage, metric.group)
        if record is None:
            return []
        if not metric.labels:
            return [(sample.labels, record)]
        return [
            (f"{sample.labels},{render({name: getattr(item, name) for name in metric.labels})}", item)
            for item in (record if isinstance(record, tuple) else (record,))
        ]
