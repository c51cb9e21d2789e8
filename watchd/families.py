"""Shorthands for metric families of prometheus_client."""

from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily


def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    """A gauge of one series."""
    return GaugeMetricFamily(name, text, float(value))


def gauges(
    name: str, text: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], float]]
) -> GaugeMetricFamily:
    """A gauge with one series for each set of label values, sorted by them."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for label_values, value in sorted(values):
        family.add_metric(label_values, value)
    return family


def counters(
    name: str, text: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], float]]
) -> CounterMetricFamily:
    """A counter with one series for each set of label values, sorted by them; `name` without _total."""
    family = CounterMetricFamily(name, text, labels=labels)
    for label_values, value in sorted(values):
        family.add_metric(label_values, value)
    return family
