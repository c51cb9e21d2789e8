"""The text is what prometheus_client would have written, and what dashboards expect to find in it."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from tests.unit.conftest import V1, Host
from watchd.gzipped import decompressed
from watchd.metrics import exposition
from watchd.metrics.containers.labels import ContainerLabels, render
from watchd.metrics.groups import METRICS
from watchd.model import Container
from watchd.model.usage import Cpu, Interface, Lifecycle, Memory, Sample, Usage

Parsed = dict[str, tuple[str, str, dict[tuple[tuple[str, str], ...], float]]]


def parse(text: str) -> Parsed:
    """Type, help and values by label set of each family; a family or a series that comes twice is an error."""
    families: Parsed = {}
    for family in text_string_to_metric_families(text):
        series = {}
        for sample in family.samples:
            key = tuple(sorted(sample.labels.items()))
            assert key not in series, f"{sample.name} twice with {key}"
            series[key] = float(sample.value)
        name = family.samples[0].name
        assert name not in families, f"{name} is not contiguous"
        families[name] = (family.type, family.documentation, series)
    return families


class _WithPrometheusClient(Collector):
    """Builds the families from the same samples with prometheus_client's own classes."""

    def __init__(self, samples: Iterable[tuple[Mapping[str, str], Sample]]) -> None:
        self._samples = list(samples)

    def collect(self) -> Iterable[Family]:
        families: dict[str, Family] = {}
        for metric in METRICS:
            # Its classes, and its parser too, give every counter this suffix; one of cAdvisor's has none.
            name = metric.name.removesuffix("_total") if metric.type == "counter" else metric.name
            sample_name = f"{name}_total" if metric.type == "counter" else name
            for labels, sample in self._samples:
                of_the_sample = metric.record in ("lifecycle", "state", "health", "filesystem")
                record: Any = getattr(sample if of_the_sample else sample.usage, metric.record)
                for item in record if isinstance(record, tuple) else () if record is None else (record,):
                    value = getattr(item, metric.field)
                    if value is None:
                        continue
                    family = families.setdefault(name, Family(name, metric.help, metric.type))
                    own = {label: getattr(item, label) for label in metric.labels}
                    family.add_sample(sample_name, {**labels, **own, **dict(metric.fixed)}, value)
        return families.values()


def with_prometheus_client(samples: Iterable[tuple[Mapping[str, str], Sample]]) -> str:
    registry = CollectorRegistry()
    registry.register(_WithPrometheusClient(samples))
    return generate_latest(registry).decode()


def text_of(samples: Iterable[Sample]) -> str:
    return decompressed(exposition.page(list(samples)).text.finished()).decode()


class _Of(Collector):
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


NAMES = st.from_regex("[a-z_]{1,9}", fullmatch=True)
LABELS = st.dictionaries(NAMES, st.text(st.characters(exclude_categories=["Cs"])), max_size=3)
VALUES = st.floats() | st.integers(-(2**63), 2**63)
TEXTS = st.from_regex("[A-Za-z /(),.]{1,30}", fullmatch=True)


@st.composite
def families(draw: st.DrawFn) -> Family:
    """A family of any of the types that watchd's own have."""
    name, text = f"watchd_{draw(NAMES)}", draw(TEXTS)
    type_ = draw(st.sampled_from(["counter", "gauge", "info", "summary"]))
    suffixes = {"counter": ["_total"], "gauge": [""], "info": ["_info"], "summary": ["_count", "_sum"]}[type_]
    family = Family(name, text, type_)
    for labels in draw(st.lists(LABELS, max_size=3)):
        for suffix in suffixes:
            family.add_sample(name + suffix, labels, draw(VALUES))
    return family


@given(st.lists(families(), max_size=4))
def test_families_of_prometheus_client_are_rendered_as_it_does(made: list[Family]) -> None:
    registry = CollectorRegistry()
    registry.register(_Of(made))
    assert exposition.text_of(made) == generate_latest(registry).decode()


def _labels_of(sample: Sample) -> dict[str, str]:
    (family,) = text_string_to_metric_families(f"a{{{sample.labels}}} 1\n")
    return dict(family.samples[0].labels)


def test_the_text_is_prometheus_clients(host: Host) -> None:
    samples = list(host.samples().values())

    text = text_of(samples)

    assert parse(text) == parse(with_prometheus_client((_labels_of(sample), sample) for sample in samples))


_INTEGERS = st.integers(min_value=0, max_value=2**64 - 1)
_FLOATS = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    name=_TEXT,
    interfaces=st.lists(_TEXT.filter(bool), unique=True, max_size=3),
    numbers=st.lists(_INTEGERS, min_size=8, max_size=8),
    seconds=_FLOATS,
)
def test_any_sample_comes_out_as_prometheus_client_has_it(
    name: str, interfaces: list[str], numbers: list[int], seconds: float
) -> None:
    labels = {"id": "/docker/x", "name": name}
    network = tuple(Interface(interface, *numbers) for interface in interfaces)
    usage = Usage(cpu=Cpu(usage=seconds), memory=Memory(usage=numbers[0]), network=network)
    sample = Sample("x", render(labels), Lifecycle(seen=seconds), usage)

    text = text_of([sample])

    assert parse(text) == parse(with_prometheus_client([(labels, sample)]))


def test_numbers_are_exact() -> None:
    usage = Usage(cpu=Cpu(usage=0.1 + 0.2), memory=Memory(usage=2**64 - 1))

    text = text_of([Sample("x", 'id="/x"', Lifecycle(seen=1_800_000_000.123), usage)])

    assert 'container_memory_usage_bytes{id="/x"} 18446744073709551615\n' in text
    assert 'container_cpu_usage_seconds_total{cpu="total",id="/x"} 0.30000000000000004\n' in text
    assert 'container_last_seen{id="/x"} 1800000000.123\n' in text


def test_families_without_series_are_left_out() -> None:
    assert text_of([]) == ""
    gone = text_of([Sample("x", 'id="/x"', Lifecycle(seen=1.5))])
    assert [line for line in gone.splitlines() if not line.startswith("#")] == ['container_last_seen{id="/x"} 1.5']


def test_every_family_has_its_help_and_type_once(host: Host) -> None:
    lines = text_of(host.samples().values()).splitlines()

    headings = Counter(line.split()[2] for line in lines if line.startswith("# TYPE"))
    assert set(headings.values()) == {1}
    assert headings == Counter(line.split()[2] for line in lines if line.startswith("# HELP"))
    assert headings.keys() == {line.partition("{")[0] for line in lines if not line.startswith("#")}


def test_what_dashboards_divide_by_each_other_has_the_same_label_sets(host: Host) -> None:
    families = parse(text_of(host.samples().values()))

    for dividend, divisor in [
        ("container_memory_usage_bytes", "container_spec_memory_limit_bytes"),
        ("container_memory_working_set_bytes", "container_spec_memory_limit_bytes"),
        ("container_memory_rss", "container_memory_usage_bytes"),
        ("container_cpu_cfs_throttled_periods_total", "container_cpu_cfs_periods_total"),
        ("container_cpu_cfs_periods_total", "container_spec_cpu_quota"),
        ("container_cpu_user_seconds_total", "container_cpu_system_seconds_total"),
        ("container_network_receive_bytes_total", "container_network_transmit_bytes_total"),
        ("container_fs_reads_bytes_total", "container_fs_writes_bytes_total"),
        ("container_last_seen", "container_start_time_seconds"),
        ("container_threads", "container_threads_max"),
    ]:
        assert families[dividend][2].keys() == families[divisor][2].keys(), (dividend, divisor)


def test_labels_as_cadvisor_has_them(v1_host: Host) -> None:
    families = parse(text_of(v1_host.samples().values()))

    def labels_of(name: str) -> set[tuple[str, ...]]:
        return {tuple(key for key, _ in labels) for labels in families[name][2]}

    assert labels_of("container_memory_rss") == {("id", "image", "name")}
    assert labels_of("container_cpu_usage_seconds_total") == {("cpu", "id", "image", "name")}
    assert labels_of("container_network_receive_bytes_total") == {("id", "image", "interface", "name")}
    assert labels_of("container_fs_reads_bytes_total") == {("device", "id", "image", "name")}
    blkio = families["container_blkio_device_usage_total"][2]
    assert labels_of("container_blkio_device_usage_total") == {
        ("device", "id", "image", "major", "minor", "name", "operation")
    }
    assert {dict(labels)["operation"] for labels in blkio} == {"Read", "Write"}
    assert {dict(labels)["device"] for labels in blkio} == {"/dev/vda"}
    for bytes_, sectors in (("reads_bytes", "sector_reads"), ("writes_bytes", "sector_writes")):
        counted = families[f"container_fs_{sectors}_total"][2]
        assert {key: 512 * value for key, value in counted.items()} == families[f"container_fs_{bytes_}_total"][2]
    failures = families["container_memory_failures_total"][2]
    assert {(dict(labels)["failure_type"], dict(labels)["scope"]) for labels in failures} == {
        (failure, scope) for failure in ("pgfault", "pgmajfault") for scope in ("container", "hierarchy")
    }


def test_every_metric_of_the_catalogue_can_be_told(captured: Any, host: Host) -> None:
    """Metrics that no captured kernel has are listed here, and no other is missing."""
    lines = text_of(host.samples().values()).splitlines()
    told = {line.partition("{")[0] for line in lines}

    never = {
        metric.name
        for metric in METRICS
        if metric.field.startswith(
            ("merged_", "cost_", "read_time", "write_time", "io_time", "weighted_time", "queued")
        )
        or metric.record in ("filesystem", "health", "around", "tcp", "files", "tasks")
        or metric.field in ("exit_code", "writable_layer", "root_fs", "log", "log_limit", "swap_limit")
    }
    only_v2 = {f"container_memory_{name}_total" for name in ("events_high", "events_max", "pgscan", "pgsteal")}
    pressure = {metric.name for metric in METRICS if metric.record == "pressure"}
    since_5_19 = {"container_memory_max_usage_bytes"}
    missing = {metric.name for metric in METRICS} - told - never
    if host.root == captured / V1:
        assert missing == only_v2
    else:
        assert missing <= pressure | since_5_19


def test_the_catalogue_is_well_formed() -> None:
    families: dict[str, Any] = {}
    for metric in METRICS:
        first = families.setdefault(metric.name, metric)
        assert (first.help, first.record, first.labels) == (metric.help, metric.record, metric.labels)
        assert "\n" not in metric.help
        assert "\\" not in metric.help
    keys = [(metric.name, metric.fixed) for metric in METRICS]
    assert len(keys) == len(set(keys))
    fields = Counter((metric.record, metric.field) for metric in METRICS)
    shown_twice = {("memory", "events_max"), ("memory", "failures"), ("disk", "read_bytes"), ("disk", "written_bytes")}
    assert {key for key, count in fields.items() if count > 1} <= shown_twice


def test_a_root_cgroup_can_be_shown_beside_containers() -> None:
    """A sample needs no container: the root's has neither name nor image."""
    text = text_of([Sample("/", render({"id": "/"}), Lifecycle(seen=1.0))])

    assert 'container_last_seen{id="/"} 1.0\n' in text


@pytest.mark.parametrize("value", ["a\\b", 'a"b', "a\nb", "ä", "\ud800"])
def test_odd_names_stay_one_line_and_utf_8(value: str) -> None:
    labels = ContainerLabels("cgroup", ["*"]).of(
        Container("a", value, "image", "sha256:1", "running", 1.0, labels={"l": value}), "/docker/a"
    )

    text = text_of([Sample("a", render(labels), Lifecycle(seen=math.pi))])

    assert len(text.splitlines()) == 3
    assert len(parse(text)) == 1


def test_no_more_series_than_allowed_are_rendered() -> None:
    samples = [Sample(f"{n}", f'id="/{n}"', Lifecycle(seen=1.0, started=2.0, oom_events=0)) for n in range(100)]

    page = exposition.page(samples, 60)
    body = decompressed(page.text.finished())

    assert page.series <= 60
    assert page.series == sum(not line.startswith(b"#") for line in body.splitlines())
    assert page.left_out == 80
    assert b'"/19"' in body, "the first ones have all of their series"
    assert b'"/20"' not in body
    assert (exposition.page(samples, 300).series, exposition.page(samples, 300).left_out) == (300, 0)
    assert (exposition.page([], 60).series, exposition.page([], 60).left_out) == (0, 0)
    assert exposition.page(samples, 2).left_out == 100
