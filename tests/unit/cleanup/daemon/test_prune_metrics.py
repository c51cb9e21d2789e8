"""The metrics of plans and runs."""

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry

from tests.unit.cleanup.builders import DANGLING, EXITED, UNUSED, cleanup, container, image, plan, running, view
from watchd.cleanup.daemon.prune_metrics import PruneMetrics
from watchd.cleanup.plan.plan import Outcome
from watchd.store import LastRun

REPORTED = {**EXITED, "mode": "report"}


def shown(metrics: PruneMetrics) -> Mapping[str, Mapping[tuple[str, ...], float]]:
    """Return the values of the series by name and label values."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in metrics.collect():
        for sample in family.samples:
            found.setdefault(sample.name.removeprefix("watchd_prune_"), {})[tuple(sample.labels.values())] = (
                sample.value
            )
    return found


def planned(metrics: PruneMetrics, *policies: Any, due: set[str]) -> None:
    look = view(container("job", size_rw=7), container("other", size_rw=5), running("web"), image("app"), image("x"))
    metrics.on_plan(plan(look, cleanup(*policies), due=due), due)


def test_what_is_planned_is_told_by_policy_in_either_mode_and_what_stays_by_reason() -> None:
    metrics = PruneMetrics({})
    planned(metrics, REPORTED, UNUSED, due={"exited", "unused"})
    values = shown(metrics)
    assert values["planned"] == {("container", "exited"): 2, ("image", "unused"): 1}
    assert values["planned_bytes"] == {("container", "exited"): 12, ("image", "unused"): 1000}
    assert values["kept"] == {("container", "condition_not_met"): 1, ("image", "in_use"): 1}
    assert values["kept_bytes"][("image", "in_use")] == 1000


def test_a_plan_of_some_policies_leaves_what_is_known_of_the_others() -> None:
    metrics = PruneMetrics({})
    planned(metrics, REPORTED, UNUSED, DANGLING, due={"exited", "unused", "dangling"})
    planned(metrics, UNUSED, due={"unused"})
    assert shown(metrics)["planned"] == {("container", "exited"): 2, ("image", "unused"): 1}
    planned(metrics, DANGLING, due={"exited"})
    assert shown(metrics)["planned"] == {("image", "unused"): 1}


def test_outcomes_removals_and_bytes_are_counted() -> None:
    metrics = PruneMetrics({})
    made = plan(view(container("a", size_rw=7), container("b", size_rw=5)), cleanup(EXITED))
    for item, outcome in zip(made.in_force, (Outcome.REMOVED, Outcome.REFUSED), strict=True):
        metrics.on_outcome(item, outcome)
    metrics.on_freed("/var/lib/docker", 100)
    metrics.on_freed("/var/lib/docker", -50)  # others wrote more than it freed: a counter never falls
    values = shown(metrics)
    assert values["removed_total"] == {("container", "exited", "exited_too_long"): 1}
    assert values["reclaimed_bytes_total"][("container",)] in (5, 7)
    assert values["outcomes_total"] == {("container", "removed"): 1, ("container", "refused"): 1}
    assert values["freed_bytes_total"] == {("/var/lib/docker",): 100}


def test_a_removal_of_unknown_size_is_counted_as_such() -> None:
    metrics = PruneMetrics({})
    made = plan(view(container("a", size_rw=7), container("b", size_rw=None)), cleanup(EXITED))
    for item in made.in_force:
        metrics.on_outcome(item, Outcome.REMOVED)
    values = shown(metrics)
    assert values["reclaimed_bytes_total"] == {("container",): 7}
    assert values["unsized_total"] == {("container",): 1}


def test_when_policies_ran_is_kept_and_a_failure_forgets_no_success() -> None:
    metrics = PruneMetrics({"old": LastRun(50.0, 40.0)})
    metrics.on_run({"new"}, LastRun(100.0, 100.0), 2.5)
    metrics.on_run({"new"}, LastRun(200.0, None), 1.5)
    values = shown(metrics)
    assert values["last_run_timestamp_seconds"] == {("new",): 200, ("old",): 50}
    assert values["last_success_timestamp_seconds"] == {("new",): 100, ("old",): 40}
    assert values["duration_seconds"] == {("new",): 1.5}


def test_a_policy_that_is_configured_no_longer_is_not_told_of() -> None:
    metrics = PruneMetrics({"old": LastRun(50.0, 40.0), "exited": LastRun(60.0, 60.0)})
    metrics.set_policies(cleanup(EXITED, UNUSED))
    planned(metrics, REPORTED, UNUSED, DANGLING, due={"exited", "unused", "dangling"})
    metrics.on_run({"old", "exited"}, LastRun(100.0, 100.0), 2.5)
    values = shown(metrics)
    assert values["last_run_timestamp_seconds"] == {("exited",): 100}
    assert values["duration_seconds"] == {("exited",): 2.5}
    assert values["planned"].keys() == {("container", "exited"), ("image", "unused")}
    metrics.set_policies(cleanup({**EXITED, "name": "old"}))
    assert shown(metrics)["last_run_timestamp_seconds"] == {("old",): 100}


def test_counters_of_configured_policies_begin_at_zero_so_that_their_first_rise_is_seen() -> None:
    metrics = PruneMetrics({})
    full = {"name": "full", "kind": "image", "when": {"unused_for": "1d"}, "pressure": {"high": "90%", "low": "80%"}}
    last = {"name": "last", "kind": "image", "keep": {"last": 2, "per": "host"}}
    along = {**EXITED, "name": "along", "anonymous_volumes": True}
    metrics.set_policies(cleanup(EXITED, full, last, along))
    values = shown(metrics)
    assert values["removed_total"] == {
        ("container", "exited", "exited_too_long"): 0,
        ("image", "full", "pressure"): 0,
        ("image", "last", "over_keep_last"): 0,
        ("container", "along", "exited_too_long"): 0,
        ("volume", "along", "exited_too_long"): 0,
    }
    kinds = ("container", "image", "volume")
    assert values["reclaimed_bytes_total"] == {(kind,): 0 for kind in kinds}
    assert values["outcomes_total"] == {(kind, outcome): 0 for kind in kinds for outcome in Outcome}


def test_pressure_is_told_while_it_lasts() -> None:
    metrics = PruneMetrics({})
    metrics.on_pressure({"lru": True, "cache": False})
    values = shown(metrics)
    assert values["under_pressure"] == {("cache",): 1, ("lru",): 1}
    assert values["exhausted"] == {("cache",): 0, ("lru",): 1}
    metrics.on_pressure({})
    assert "exhausted" not in shown(metrics)


def test_a_registry_takes_it() -> None:
    CollectorRegistry().register(PruneMetrics({}))
