"""Networks, volumes and the build cache: what goes, what stays and what it rests on."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.cleanup.builders import (
    DAY,
    EXITED,
    HOUR,
    NOW,
    UNUSED_CACHE,
    UNUSED_NETWORKS,
    UNUSED_VOLUMES,
    anonymous,
    cleanup,
    container,
    decisions,
    image,
    item_of,
    network,
    plan,
    policy,
    record,
    running,
    seen_long_ago,
    steps,
    view,
    volume,
    why,
)
from watchd.cleanup.plan.explain import explain, find
from watchd.cleanup.report.verdict import what_next
from watchd.model import EngineInfo, Observation, Service, SwarmRole, Volume

ALL = (EXITED, UNUSED_NETWORKS, UNUSED_VOLUMES, UNUSED_CACHE)
NAMED = policy("named", "volume", when={"unused_for": "0s"}, select={"named": True, "name": ["cache-*"]})


def in_swarm(role: SwarmRole) -> EngineInfo:
    return replace(view().engine, swarm=role)


class TestVolumes:
    def test_anonymous_ones_go_and_named_ones_stay_unless_a_policy_names_them_and_says_so(self) -> None:
        cast_off, data, cache = anonymous("a"), volume("data"), volume("cache-pip")
        look = view(cast_off, data, cache)
        assert [why(plan(look, cleanup(UNUSED_VOLUMES)), each) for each in (cast_off, data, cache)] == [
            "remove unused_too_long",
            "keep named_volume",
            "keep named_volume",
        ]
        assert steps(plan(look, cleanup(NAMED))) == ["remove volume cache-pip"]
        by_name_alone = policy("names", "volume", when={"unused_for": "0s"}, select={"name": ["cache-*"]})
        assert why(plan(look, cleanup(by_name_alone)), cache) == "keep named_volume"

    def test_before_docker_23_an_anonymous_one_has_no_label(self) -> None:
        old = anonymous("old", labels={})
        assert why(plan(view(old), cleanup(UNUSED_VOLUMES)), old) == "remove unused_too_long"
        labelled = anonymous("mine", labels={"team": "core"})
        assert why(plan(view(labelled), cleanup(UNUSED_VOLUMES)), labelled) == "keep named_volume"

    @pytest.mark.parametrize(
        ("odd", "facts"),
        [
            (anonymous("nfs", driver="nfs"), {"driver": "nfs"}),
            (anonymous("bind", options={"type": "none", "device": "/srv"}), {"options": ["device", "type"]}),
        ],
    )
    def test_only_what_the_local_driver_keeps_itself_is_removed(self, odd: Volume, facts: dict[str, Any]) -> None:
        item = item_of(plan(view(odd), cleanup(UNUSED_VOLUMES)), odd)
        assert (item.action, item.reason) == ("keep", "protected")
        assert facts.items() <= item.facts.items()

    @pytest.mark.parametrize(
        ("mounted", "select", "reason"),
        [
            (False, {"name": ["n*"], "driver": "local"}, "remove unused_too_long"),
            (False, {"name": ["n*"], "driver": "local", "named": True}, "remove unused_too_long"),
            (True, {"name": ["n*"], "driver": "local"}, "keep protected"),
            (None, {"name": ["n*"], "driver": "local"}, "keep protected"),
            (False, {"name": ["n*"], "named": True}, "keep protected"),
            (False, {"name": ["x*"], "driver": "local"}, "keep protected"),
        ],
    )
    def test_one_with_options_goes_if_named_with_its_driver_and_nothing_is_mounted(
        self, *, mounted: bool | None, select: dict[str, Any], reason: str
    ) -> None:
        nfs = volume("nfs", options={"type": "nfs", "device": ":/srv"}, mounted=mounted)
        made = plan(view(nfs), cleanup({**UNUSED_VOLUMES, "select": select}))
        assert why(made, nfs) == reason

    @pytest.mark.parametrize(
        ("changes", "protect", "reason"),
        [
            ({"driver": "rclone"}, {}, "protected"),
            ({"labels": {"watchd.keep": "true"}}, {}, "protected"),
            ({}, {"volumes": ["nf*"]}, "protected"),
            ({"options": {"size": "1G"}}, {}, "named_volume"),
        ],
    )
    def test_naming_its_driver_overrides_no_other_protection(
        self, changes: dict[str, Any], protect: dict[str, Any], reason: str
    ) -> None:
        """The data of a volume with a quota alone is at its own path."""
        odd = volume("nfs", **{"options": {"device": ":/srv"}, "mounted": False, **changes})
        settings = cleanup({**UNUSED_VOLUMES, "select": {"name": ["nfs"], "driver": "local"}}, protect=protect)
        assert why(plan(view(odd), settings), odd) == f"keep {reason}"
        user = container("job", volumes=("nfs",))
        assert why(plan(view(odd, user), settings), odd).startswith("keep")

    def test_driver_selects_plain_volumes_as_well(self) -> None:
        plain, plugin = volume("plain"), volume("plugin", driver="rclone")
        settings = cleanup({**UNUSED_VOLUMES, "select": {"name": ["p*"], "driver": "local", "named": True}})
        made = plan(view(plain, plugin), settings)
        assert (why(made, plain), why(made, plugin)) == ("remove unused_too_long", "keep protected")

    def test_a_container_in_any_state_keeps_its_volumes_until_it_goes_itself(self) -> None:
        cast_off = anonymous("a")
        job = container("job", volumes=(cast_off.name,))
        look = view(job, cast_off)
        kept = item_of(plan(look, cleanup(UNUSED_VOLUMES)), cast_off)
        assert (kept.reason, kept.facts["containers"]) == ("in_use", ["job (exited)"])
        made = plan(look, cleanup(EXITED, UNUSED_VOLUMES))
        assert steps(made) == ["remove container job", f"remove volume {cast_off.name}"]
        assert item_of(made, cast_off).needs == {job.key}

    def test_one_made_again_under_its_name_is_another_one(self) -> None:
        before, now = volume("cache-x"), volume("cache-x", created="2027-01-15T07:59:00Z")
        known = seen_long_ago(view(before))
        settings = cleanup(NAMED, grace="1h")
        assert why(plan(view(before), settings, known=known), before) == "remove unused_too_long"
        assert why(plan(view(now), settings, known=known), now) == "keep grace"

    def test_the_clock_is_that_of_the_last_container_that_ran_with_it(self) -> None:
        cast_off = anonymous("a")
        settings = cleanup(policy("old", "volume", when={"unused_for": "2h"}))
        seen = {("volume", cast_off.identity): Observation(NOW - DAY, NOW - DAY, last_used=NOW - 2 * HOUR + 1)}
        assert why(plan(view(cast_off), settings, known=seen), cast_off) == "keep condition_not_met"  # type: ignore[arg-type]
        assert why(plan(view(cast_off), settings, known=seen, now=NOW + 1), cast_off) == "remove unused_too_long"  # type: ignore[arg-type]

    @pytest.mark.parametrize("protect", [{"volumes": ["*"]}, {"labels": ["com.docker.volume.anonymous"]}])
    def test_protected_ones_stay(self, protect: dict[str, Any]) -> None:
        cast_off = anonymous("a")
        assert why(plan(view(cast_off), cleanup(UNUSED_VOLUMES, protect=protect)), cast_off) == "keep protected"

    def test_an_anonymous_volume_goes_along_with_its_container_only_where_a_policy_says_so(self) -> None:
        cast_off, data = anonymous("a"), volume("data")
        job = container("job", volumes=(cast_off.name, "data"))
        look = view(job, cast_off, data)
        assert steps(plan(look, cleanup(EXITED))) == ["remove container job"]
        made = plan(look, cleanup({**EXITED, "anonymous_volumes": True}))
        assert steps(made) == ["remove container job", f"remove volume {cast_off.name}"]
        item = item_of(made, cast_off)
        assert (item.policy, item.reason) == ("exited", "exited_too_long")
        assert why(made, data) == "keep named_volume"

    def test_one_that_was_seen_later_than_its_container_goes_along_when_the_container_does(self) -> None:
        cast_off = anonymous("a")
        job = container("job", volumes=(cast_off.name,))
        known = seen_long_ago(view(job)) | {("volume", cast_off.identity): Observation(NOW - 1, NOW)}
        along = {**EXITED, "anonymous_volumes": True}
        made = plan(view(job, cast_off), cleanup(along, grace="1h"), known=known)
        assert steps(made) == ["remove container job", f"remove volume {cast_off.name}"]
        made = plan(view(job, cast_off), cleanup(EXITED, UNUSED_VOLUMES, grace="1h"), known=known)
        assert steps(made) == ["remove container job"]
        assert why(made, cast_off) == "keep grace", "a policy for volumes waits for the volume's own"

    def test_one_that_another_container_has_too_does_not_go_along(self) -> None:
        shared = anonymous("a")
        look = view(
            container("job", volumes=(shared.name,)),
            running("web", volumes=(shared.name,), restart_policy="no"),
            shared,
        )
        assert steps(plan(look, cleanup({**EXITED, "anonymous_volumes": True}))) == ["remove container job"]

    def test_one_goes_along_whatever_a_policy_in_report_mode_would_do_with_it(self) -> None:
        cast_off = anonymous("a")
        look = view(container("job", volumes=(cast_off.name,)), cast_off)
        made = plan(look, cleanup({**EXITED, "anonymous_volumes": True}, {**UNUSED_VOLUMES, "mode": "report"}))
        assert steps(made) == ["remove container job", f"remove volume {cast_off.name}"]
        assert item_of(made, cast_off).policy == "exited"


class TestNetworks:
    def test_unused_ones_go_and_the_engines_own_stay(self) -> None:
        look = view(network("bridge"), network("host"), network("none"), network("ci_default"))
        made = plan(look, cleanup(UNUSED_NETWORKS))
        assert steps(made) == ["remove network ci_default"]
        assert decisions(made)["bridge"] == "keep protected"

    @pytest.mark.parametrize("by", ["name", "id"])
    def test_a_container_in_any_state_keeps_its_networks(self, by: str) -> None:
        """The engine itself would remove the network of a stopped container, which then cannot start again."""
        net = network("app_default")
        job = container("job", networks=(getattr(net, by),))
        assert why(plan(view(net, job), cleanup(UNUSED_NETWORKS)), net) == "keep in_use"
        assert steps(plan(view(net, job), cleanup(EXITED, UNUSED_NETWORKS))) == [
            "remove container job",
            "remove network app_default",
        ]

    def test_two_of_one_name_are_both_in_use_by_name(self) -> None:
        one, other = network("twin", id="a" * 64), network("twin", id="b" * 64)
        look = view(one, other, running("web", networks=("twin",)))
        assert {why(plan(look, cleanup(UNUSED_NETWORKS)), each) for each in (one, other)} == {"keep in_use"}

    def test_those_of_a_swarm_and_those_that_only_hold_a_configuration_stay(self) -> None:
        overlay, config = network("overlay", scope="swarm"), network("config", is_configuration=True)
        made = plan(view(overlay, config), cleanup(UNUSED_NETWORKS))
        assert (why(made, overlay), why(made, config)) == ("keep swarm", "keep protected")

    def test_they_are_selected_by_name_label_and_compose_project(self) -> None:
        labels = {"com.docker.compose.project": "ci-7"}
        mine, other = network("ci-7_default", labels=labels), network("other")
        select = {"name": ["*_default"], "compose_project": ["ci-*"], "labels": {"any": ["com.docker.*"]}}
        made = plan(view(mine, other), cleanup({**UNUSED_NETWORKS, "select": select}))
        assert (why(made, mine), why(made, other)) == ("remove unused_too_long", "keep not_selected")


class TestBuildCache:
    def test_the_least_recently_used_go_first_as_far_as_children_go_before_their_parents(self) -> None:
        records = (
            record("old-base", last_used_at=NOW - 4 * DAY),
            record("new-leaf", of=["old-base"], last_used_at=NOW - 2 * DAY),
            record("a-later-leaf", last_used_at=NOW - DAY),
            record("z-leaf", of=["z-base"], last_used_at=NOW - 3 * DAY),
            record("z-base", last_used_at=NOW - 3 * DAY),
            record("never", last_used_at=None),
        )
        order = ("never", "z-leaf", "z-base", "new-leaf", "old-base", "a-later-leaf")
        assert steps(plan(view(*records), cleanup(UNUSED_CACHE))) == [f"remove build_cache {name}" for name in order]

    def test_a_record_goes_before_the_ones_that_it_was_made_from(self) -> None:
        look = view(record("base"), record("mid", of=["base"]), record("top", of=["mid", "base"]))
        assert steps(plan(look, cleanup(UNUSED_CACHE))) == [
            f"remove build_cache {name}" for name in ("top", "mid", "base")
        ]

    def test_one_that_another_one_was_made_from_stays_with_it(self) -> None:
        base, top = record("base"), record("top", of=["base"], last_used_at=NOW)
        made = plan(view(base, top), cleanup(policy("old", "build_cache", when={"unused_for": "1h"})))
        assert (why(made, base), why(made, top)) == ("keep has_children", "keep condition_not_met")

    def test_one_in_use_stays(self) -> None:
        used = record("step", in_use=True)
        assert why(plan(view(used), cleanup(UNUSED_CACHE)), used) == "keep in_use"

    def test_the_clock_is_buildkits_own_and_one_never_used_counts_from_its_creation(self) -> None:
        never = record("never", last_used_at=None, created_at=NOW - HOUR)
        unknown = record("unknown", last_used_at=None, created_at=None)
        made = plan(view(never, unknown), cleanup(policy("old", "build_cache", when={"unused_for": "1h"})))
        assert (why(made, never), why(made, unknown)) == ("remove unused_too_long", "keep unknown_clock")

    def test_what_an_image_has_too_frees_nothing(self) -> None:
        shared = record("layer", shared=True, size=500)
        assert item_of(plan(view(shared), cleanup(UNUSED_CACHE)), shared).bytes == 0

    def test_it_is_selected_by_type(self) -> None:
        mount, source = record("pip", type="exec.cachemount"), record("src", type="source.local")
        made = plan(view(mount, source), cleanup({**UNUSED_CACHE, "select": {"type": ["source.*"]}}))
        assert steps(made) == ["remove build_cache src"]


class TestSwarm:
    def test_images_of_a_service_and_of_its_previous_spec_stay_on_a_manager(self) -> None:
        """Moby #31254, #38733: an update that was rolled back needs the image that was in use before."""
        now, before, other = image("web", tags=("web:2",)), image("old", tags=("web:1",)), image("other")
        services = (Service("s1", "web", ("web:2@sha256:" + "d" * 64, "web:1")),)
        look = view(now, before, other, engine=in_swarm("manager"), services=services)
        made = plan(look, cleanup(policy("unused", "image", when={"unused_for": "0s"})))
        assert [why(made, each) for each in (now, before, other)] == [
            "keep swarm",
            "keep swarm",
            "remove unused_too_long",
        ]

    def test_a_list_of_services_that_failed_keeps_all_images(self) -> None:
        app = image("app")
        look = view(app, engine=in_swarm("manager"), failures={"service": "500"})
        made = plan(look, cleanup(policy("unused", "image", when={"unused_for": "0s"})))
        assert why(made, app) == "keep incomplete_view"
        assert made.incomplete == {"service": "500"}

    @pytest.mark.parametrize(("role", "reason"), [("worker", "keep swarm"), ("none", "remove exited_too_long")])
    def test_task_containers_belong_to_the_orchestrator_where_swarm_is_active(
        self, role: SwarmRole, reason: str
    ) -> None:
        task = container("web.1.x", labels={"com.docker.swarm.task.id": "x"})
        assert why(plan(view(task, engine=in_swarm(role)), cleanup(EXITED)), task) == reason


def test_a_list_that_failed_keeps_its_kind_and_what_rests_on_it_and_nothing_else() -> None:
    cast_off, net, step = anonymous("a"), network("net"), record("step")
    for failed, kept in (
        ("container", {"network", "volume"}),
        ("network", {"network"}),
        ("volume", {"volume"}),
        ("build_cache", {"build_cache"}),
        ("image", set()),
    ):
        made = plan(view(cast_off, net, step, failures={failed: "500"}), cleanup(*ALL))
        assert {item.kind for item in made.items if item.reason == "incomplete_view"} == kept, failed


def test_what_failed_is_only_told_where_a_policy_that_is_due_rests_on_it() -> None:
    look = view(failures={"network": "403", "volume": "403"})
    assert plan(look, cleanup(EXITED)).incomplete == {}
    assert plan(look, cleanup(*ALL)).incomplete == {"network": "403", "volume": "403"}
    assert plan(look, cleanup(*ALL), due={"networks"}).incomplete == {"network": "403"}


def test_the_last_few_used_are_kept_of_every_kind() -> None:
    records = [
        record(name, last_used_at=NOW - hours * HOUR) for hours, name in enumerate(["new", "mid", "old"], start=1)
    ]
    made = plan(view(*records), cleanup({**UNUSED_CACHE, "keep": {"last": 2}}))
    assert steps(made) == ["remove build_cache old"]
    assert item_of(made, records[1]).facts["counter"] == "2 of 2"


def test_a_network_and_a_volume_can_be_explained_by_name() -> None:
    net, vol = network("data"), volume("data")
    look = view(net, vol)
    assert find(look, "data") == [net, vol]
    settings = cleanup(*ALL, NAMED)
    told = explain(vol, plan(look, settings), look, settings, seen_long_ago(look))
    assert what_next(told) == "it stays as long as no policy selects it by its name"
    cache = volume("cache-pip")
    look = view(cache)
    later = cleanup({**NAMED, "when": {"unused_for": "31d"}})
    told = explain(cache, plan(look, later), look, later, seen_long_ago(look))
    assert what_next(told) == "it goes in 1d, when unused_for reaches 31d"
