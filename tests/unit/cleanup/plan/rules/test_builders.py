"""Builders of `docker buildx`: their containers and caches stay, unless a policy names them."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.unit.cleanup.builders import (
    EXITED,
    UNUSED_VOLUMES,
    cleanup,
    container,
    disk,
    disks,
    item_of,
    plan,
    policy,
    running,
    steps,
    view,
    volume,
    why,
)
from watchd.cleanup import report
from watchd.cleanup.report.disk.usage import Claim, usage_report
from watchd.model import Amount, Container, Volume

NAME = "buildx_buildkit_shop0"
ORPHANS: dict[str, Any] = policy("orphans", "volume", when={"unused_for": "0s"}, select={"class": ["builder_state"]})
IGNORING = {**EXITED, "select": {"name": ["buildx_buildkit_*"]}, "builders": "ignore"}
NAMED = {**UNUSED_VOLUMES, "select": {"name": ["*"], "named": True}}


def state(of: str = NAME, **changes: Any) -> Volume:
    return volume(f"{of}_state", **{"size": 700, **changes})


def builder(name: str = NAME, **changes: Any) -> Container:
    return container(name, **{"volumes": (f"{name}_state",), "size_rw": 1, **changes})


@pytest.mark.parametrize("status", ["exited", "created", "dead"])
def test_a_builder_that_does_not_run_stays_with_its_cache(status: str) -> None:
    stopped = builder(status=status)
    made = plan(view(stopped, state()), cleanup(EXITED, ORPHANS, NAMED))
    assert why(made, stopped) == "keep in_use"
    assert item_of(made, stopped).facts["builder"] == NAME
    assert why(made, state()) == "keep in_use"


def test_a_cache_stays_for_the_builders_name_even_if_its_container_does_not_have_it() -> None:
    stopped = builder(volumes=())
    assert why(plan(view(stopped, state()), cleanup(ORPHANS)), state()) == "keep in_use"


def test_a_policy_that_names_a_builder_and_says_so_removes_it() -> None:
    stopped, other = (
        builder(restart_policy="unless-stopped"),
        builder("buildx_buildkit_other0", status="running", pid=1),
    )
    made = plan(view(stopped, other, state(), state(other.name)), cleanup(IGNORING))
    assert steps(made) == [f"remove container {NAME}"]
    assert why(made, state()) == "keep named_volume"


def test_the_cache_goes_with_its_builder_where_policies_say_both() -> None:
    made = plan(view(builder(), state()), cleanup(IGNORING, ORPHANS))
    assert steps(made) == [f"remove container {NAME}", f"remove volume {NAME}_state"]


def test_caches_without_a_builder_are_a_class_and_other_volumes_are_not() -> None:
    orphan, data = state("buildx_buildkit_gone0"), volume("data")
    made = plan(view(builder(), state(), orphan, data), cleanup(ORPHANS))
    assert steps(made) == [f"remove volume {orphan.name}"]
    assert item_of(made, orphan).facts["builder"] == "buildx_buildkit_gone0"
    assert why(made, data) == "keep named_volume"
    without = plan(view(orphan), cleanup(UNUSED_VOLUMES))
    assert why(without, orphan) == "keep named_volume"


@pytest.mark.parametrize("name", ["buildx_buildkit_shop0", "x_buildx_buildkit_shop0_state", "buildkit_state"])
def test_volumes_that_are_called_otherwise_are_no_caches(name: str) -> None:
    assert steps(plan(view(volume(name)), cleanup(ORPHANS))) == []


def test_to_ignore_builders_a_policy_has_to_name_them() -> None:
    with pytest.raises(ValidationError, match=r"needs select\.name"):
        cleanup({**EXITED, "builders": "ignore"})
    with pytest.raises(ValidationError, match="builder_state"):
        cleanup({**ORPHANS, "select": {"class": ["builder"]}})


def test_df_has_a_row_for_their_caches() -> None:
    orphan, data = state("buildx_buildkit_gone0", size=40), volume("data", size=3)
    look = view(running(NAME, volumes=(f"{NAME}_state",), size_rw=1), state(), orphan, data, disks=disks(disk(5000)))
    usage = usage_report(look, None, plan(look, cleanup(ORPHANS)))
    builders, volumes = usage.kinds["builder"], usage.kinds["volume"]
    assert (builders.count, builders.total, builders.enforced) == (2, Amount(740), {"orphans": Claim(1, Amount(40))})
    assert (volumes.count, volumes.total, volumes.enforced) == (1, Amount(3), {})
    lines = list(report.usage_table(usage))
    assert any(line.startswith("builder caches") and "740B" in line for line in lines)
