"""Every metric of cAdvisor 0.60 is served, or docs/metrics.md says why not."""

import re

from tests import ROOT
from watchd.metrics.groups import METRICS

NAMES = (ROOT / "tests/fixtures/cadvisor-metrics.txt").read_text().split()


def test_no_metric_of_cadvisor_is_absent_without_a_reason() -> None:
    modules = "".join(path.read_text() for path in (ROOT / "watchd/metrics").rglob("*.py"))
    served = {metric.name for metric in METRICS} | set(re.findall(r'"(\w+)"', modules))
    reasons = (ROOT / "docs/metrics.md").read_text().partition("## What stays empty")[2]
    assert set(NAMES) - served <= set(re.findall(r"`(\w+)`", reasons))


def test_what_is_said_not_to_be_there_is_not() -> None:
    rows = (ROOT / "docs/metrics.md").read_text().partition("not there at all:")[2].splitlines()
    absent = {name for row in rows if row.startswith("|") for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert "container_referenced_bytes" in absent
    assert absent <= set(NAMES)
    assert absent.isdisjoint(metric.name for metric in METRICS)
