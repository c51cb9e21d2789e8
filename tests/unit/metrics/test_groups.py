"""The registry of groups of metrics: each is in the configuration, in the usage of a container, and in its sources."""

from dataclasses import fields
from typing import get_args

import pytest

from watchd.config.schema.config import MetricGroup, Metrics
from watchd.metrics.groups import GROUPS, METRICS
from watchd.metrics.groups.group import Group
from watchd.model.usage import Sample, Usage

RECORDS = {field.name for kind in (Sample, Usage) for field in fields(kind)}


def test_the_configuration_has_each_group_and_its_default() -> None:
    assert [group.name for group in GROUPS] == list(get_args(MetricGroup))
    assert [group.name for group in GROUPS if group.on] == list(Metrics().groups)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_a_group_is_read_by_some_source_and_has_its_record_in_the_usage(group: Group) -> None:
    assert group.name in {field.name for field in fields(Usage)}
    of_container = (group.process, group.live, group.unified, group.v1)
    assert sum(parse is not None for parse in of_container) == 1, "one way to read it from the kernel"
    assert (group.v1 is None) == (group.v2 is None)
    assert any(metric.record == group.name for metric in group.metrics)


def test_each_metric_is_of_a_record() -> None:
    assert {metric.record for metric in METRICS} <= RECORDS


# Gauges that end in _total, and counters that do not: names of cAdvisor's.
ODD_NAMES = {
    "container_fs_inodes_total": "gauge",
    "container_memory_failcnt": "counter",
    "container_network_advance_tcp_stats_total": "gauge",
    **{f"container_network_{family}_usage_total": "gauge" for family in ("tcp", "tcp6", "udp", "udp6")},
}


def test_the_type_of_each_metric_is_as_its_name_says_but_for_some_of_cadvisors() -> None:
    expected = {
        metric.name: ODD_NAMES.get(metric.name, "counter" if metric.name.endswith("_total") else "gauge")
        for metric in METRICS
    }
    assert {metric.name: metric.type for metric in METRICS} == expected
