"""Protections, and the reason shown where several apply."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.cleanup.builders import (
    CREATED,
    DANGLING,
    DAY,
    EXITED,
    HOUR,
    NOW,
    UNUSED,
    UNUSED_NETWORKS,
    cleanup,
    container,
    hex_id,
    image,
    image_id,
    item_of,
    network,
    plan,
    running,
    seen_long_ago,
    steps,
    untagged,
    view,
    why,
)
from watchd.cleanup.plan.planner import plan as plan_of
from watchd.model import Container, Observation, Observations, Own

ALL = (EXITED, CREATED, UNUSED, DANGLING)
SHOP = {"com.docker.compose.project": "shop"}
OTHER = {"com.docker.compose.project": "other"}


def in_state(status: str, **changes: Any) -> Container:
    """Return a container that does not run."""
    return container("job", status=status, **({"finished_at": None} if status == "created" else {}), **changes)


class TestOrder:
    def test_of_several_protections_of_an_image_the_published_first_one_is_told(self) -> None:
        """Each protection is taken away in turn, and the next one shows."""
        app = image("app", labels={"watchd.keep": "true"})
        child = image("child", parent="app")
        watchd = container("watchd", restart_policy="always")
        own = Own(in_container=True, container_id=watchd.id)
        young: Observations = {("image", app.id): Observation(NOW - 1, NOW - 1)}
        strict = cleanup(*ALL, grace="1h", protect={"images": ["child"]})
        bare = image("app")

        def reason(look: Any) -> str:
            known = {**seen_long_ago(look), **young}
            return why(plan_of(look, strict, known, NOW), app)

        assert [
            reason(view(app, child, watchd, own=own, failures={"container": "500"})),
            reason(view(app, child, watchd, own=own)),
            reason(view(app, child, watchd)),
            reason(view(bare, child, watchd)),
            reason(view(bare, child)),
            reason(view(bare)),
            why(plan(view(bare), strict), bare),
        ] == [
            "keep incomplete_view",
            "keep self",
            "keep protected",
            "keep in_use",
            "keep has_children",
            "keep grace",
            "remove unused_too_long",
        ]

    def test_protections_are_told_also_where_no_policy_selects(self) -> None:
        job, app = container("job", labels={"watchd.keep": "true"}), image("app")
        made = plan(view(job, app), cleanup())
        assert (why(made, job), why(made, app)) == ("keep protected", "keep protected")


class TestIncompleteView:
    @pytest.mark.parametrize(
        ("failed", "job", "app"),
        [
            ("container", "keep incomplete_view", "keep incomplete_view"),
            ("image", "remove exited_too_long", "keep incomplete_view"),
        ],
    )
    def test_a_kind_is_skipped_when_its_list_or_one_it_rests_on_was_partial(
        self, failed: Any, job: str, app: str
    ) -> None:
        one, other = container("job", of="another"), image("app")
        made = plan(view(one, other, failures={failed: "500: busy"}), cleanup(*ALL))
        assert (why(made, one), why(made, other)) == (job, app)
        assert item_of(made, other).facts["error"] == "500: busy"
        assert made.incomplete == {failed: "500: busy"}


class TestSelf:
    def test_watchds_image_stays_while_another_container_of_it_may_go(self) -> None:
        watchd, old = running("watchd", of="watchd"), container("old", of="watchd")
        own = Own(in_container=True, container_id=watchd.id)
        look = view(watchd, old, image("watchd"), own=own)
        made = plan(look, cleanup(*ALL))
        assert why(made, watchd) == why(made, look.images[0]) == "keep self"
        assert why(made, old) == "remove exited_too_long"

    def test_where_it_cannot_tell_which_container_it_is_nothing_is_removed_at_all(self) -> None:
        made = plan(view(container("job"), image("app"), untagged("b"), own=Own(in_container=True)), cleanup(*ALL))
        assert {item.reason for item in made.items} == {"self"}
        assert not made.in_force

    def test_in_a_container_of_another_engine_it_cleans_this_one(self) -> None:
        job, app = container("job"), image("app")
        own = Own(in_container=True, container_id=hex_id("elsewhere"))
        made = plan(view(job, app, own=own), cleanup(*ALL))
        assert (why(made, job), why(made, app)) == ("remove exited_too_long", "remove unused_too_long")


class TestRestartPolicy:
    @pytest.mark.parametrize("status", ["exited", "dead", "created"])
    @pytest.mark.parametrize(
        ("restart", "reason"),
        [
            ("always", "keep restart_policy"),
            ("unless-stopped", "keep restart_policy"),
            ("on-failure", "remove"),
            ("no", "remove"),
        ],
    )
    def test_what_is_to_be_started_again_stays(self, status: str, restart: str, reason: str) -> None:
        job = in_state(status, restart_policy=restart)
        assert why(plan(view(job), cleanup(EXITED, CREATED)), job).startswith(reason)

    def test_a_policy_may_ignore_it_for_containers_that_never_ran(self) -> None:
        job = in_state("created", restart_policy="always")
        assert why(plan(view(job), cleanup({**CREATED, "restart_policy": "ignore"})), job) == "remove never_started"


class TestComposeActive:
    """Project "shop" has a running container; "other" has none."""

    WEB = running("web", of="web", labels=SHOP)

    @pytest.mark.parametrize("status", ["exited", "dead", "created"])
    def test_a_container_that_does_not_run_stays_with_its_image_while_another_one_runs(self, status: str) -> None:
        job, app = in_state(status, labels=SHOP), image("app")
        settings = cleanup(EXITED, CREATED, UNUSED)
        made = plan(view(self.WEB, job, app), settings)
        assert why(made, job) == "keep compose_active"
        assert why(made, app) == "keep in_use"
        assert why(plan(view(job, app), settings), job).startswith("remove")

    @pytest.mark.parametrize("status", ["paused", "restarting"])
    def test_a_paused_or_restarting_container_runs(self, status: str) -> None:
        built = image("built", labels=SHOP)
        assert why(plan(view(replace(self.WEB, status=status), built), cleanup(UNUSED)), built) == "keep compose_active"

    def test_what_it_built_stays_though_no_container_of_the_service_is_there(self) -> None:
        built, foreign, base = image("built", labels=SHOP), image("foreign", labels=OTHER), image("base")
        made = plan(view(self.WEB, built, foreign, base), cleanup(UNUSED))
        assert why(made, built) == "keep compose_active"
        assert item_of(made, built).facts["project"] == "shop"
        assert why(made, foreign) == why(made, base) == "remove unused_too_long"

    def test_what_it_built_and_lost_its_tag_is_left_to_the_policies(self) -> None:
        former = untagged("former", labels=SHOP)
        assert why(plan(view(self.WEB, former), cleanup(DANGLING)), former) == "remove dangling_too_long"
        only_digest = untagged("digest", labels=SHOP, digests=("r/x@sha256:d",))
        assert why(plan(view(self.WEB, only_digest), cleanup(UNUSED)), only_digest) == "remove unused_too_long"

    def test_its_networks_stay(self) -> None:
        mine, other = network("shop_back", labels=SHOP), network("other_default", labels=OTHER)
        made = plan(view(self.WEB, mine, other), cleanup(UNUSED_NETWORKS))
        assert (why(made, mine), why(made, other)) == ("keep compose_active", "remove unused_too_long")

    def test_nothing_stays_when_none_of_its_containers_run(self) -> None:
        look = view(container("web", of="web", labels=SHOP), image("built", labels=SHOP), network("n", labels=SHOP))
        made = plan(look, cleanup(EXITED, UNUSED, UNUSED_NETWORKS))
        assert {why(made, each).split()[0] for each in look.subjects()} == {"remove"}

    def test_a_policy_may_ignore_it_for_each_kind(self) -> None:
        look = view(self.WEB, in_state("created", labels=SHOP), image("b", labels=SHOP), network("n", labels=SHOP))
        ignoring = [{**each, "compose_active": "ignore"} for each in (CREATED, UNUSED, UNUSED_NETWORKS)]
        assert steps(plan(look, cleanup(*ignoring))) == ["remove container job", "remove image b:1", "remove network n"]


class TestProtected:
    @pytest.mark.parametrize(
        "pattern",
        ["redis", "redis:7", "redis:*", "docker.io/library/redis:7", "docker.io/library/redis", "docker.io/*"],
    )
    @pytest.mark.parametrize("listed", ["redis:7", "docker.io/library/redis:7"])
    def test_short_and_full_forms_protect_alike_whichever_the_engine_lists(self, pattern: str, listed: str) -> None:
        """Docker lists the short form, Podman the full one."""
        redis = image("redis", tags=(listed,))
        assert why(plan(view(redis), cleanup(UNUSED, protect={"images": [pattern]})), redis) == "keep protected"

    @pytest.mark.parametrize(
        "pattern",
        [image_id("app"), hex_id("app"), hex_id("app")[:12], f"{hex_id('app')[:6]}*", "app@sha256:*", "r:5/*"],
    )
    def test_an_image_is_protected_by_its_id_and_by_each_of_its_references(self, pattern: str) -> None:
        app = image("app", tags=("x:1", "r:5/y:2"), digests=("app@sha256:abc",))
        assert why(plan(view(app), cleanup(UNUSED, protect={"images": [pattern]})), app) == "keep protected"

    @pytest.mark.parametrize("pattern", ["redi", "redis:8", "library/redis:6", "REDIS"])
    def test_another_name_does_not_protect(self, pattern: str) -> None:
        redis = image("redis", tags=("redis:7",))
        assert why(plan(view(redis), cleanup(UNUSED, protect={"images": [pattern]})), redis).startswith("remove")

    @pytest.mark.parametrize("pattern", ["job", "j*", hex_id("job"), hex_id("job")[:12]])
    def test_a_container_is_protected_by_name_and_id(self, pattern: str) -> None:
        job = container("job")
        assert why(plan(view(job), cleanup(EXITED, protect={"containers": [pattern]})), job) == "keep protected"

    def test_the_pattern_or_label_that_protects_is_told(self) -> None:
        app, job = image("app"), container("job", labels={"tier": "db"})
        protect = {"images": ["*", "!other:*", "ap*"], "labels": ["tier=*"]}
        items = plan(view(app, job), cleanup(protect=protect)).items
        told = {item.kind: {**item.facts} for item in items}
        assert told["container"].items() >= {"protect": "labels", "label": "tier=db"}.items()
        assert told["image"].items() >= {"protect": "images", "pattern": "ap*"}.items()

    def test_a_label_on_a_container_protects_its_image_and_says_so(self) -> None:
        job, app = container("job", labels={"watchd.keep": "true"}), image("app")
        made = plan(view(job, app), cleanup(*ALL))
        assert item_of(made, app).facts["container"] == "job"

    def test_a_protected_label_outranks_the_opt_out_of_keeping(self) -> None:
        job = container("job", labels={"watchd.keep": "false", "tier": "db"})
        assert why(plan(view(job), cleanup(EXITED, protect={"labels": ["tier=db"]})), job) == "keep protected"

    @pytest.mark.parametrize(
        ("value", "now", "kept"),
        [
            ("2027-01-15T08:00:00Z", NOW - 1, True),
            ("2027-01-15T08:00:00Z", NOW, False),
            ("2027-01-15T10:00:00+02:00", NOW - 1, True),
            ("2027-01-15T10:00:00+02:00", NOW, False),
            ("2027-01-15", NOW + 57599, True),  # a date keeps until its end, in UTC
            ("2027-01-15", NOW + 57600, False),
            ("2027-01-14", NOW, False),
            (" true ", NOW, True),
            ("False", NOW, False),
        ],
    )
    def test_a_time_keeps_until_then(self, value: str, now: float, *, kept: bool) -> None:
        job = container("job", labels={"watchd.keep": value})
        assert why(plan(view(job), cleanup(EXITED), now=now), job).startswith("keep") is kept

    def test_the_label_means_nothing_where_it_is_not_honored(self) -> None:
        job = container("job", labels={"watchd.keep": "true"})
        assert why(plan(view(job), cleanup(EXITED, honor_labels=False)), job) == "remove exited_too_long"

    @pytest.mark.parametrize("value", ["2027-02-30", "2027-01-15T08:00:00", "no", "1", "99999-01-01", "0"])
    def test_a_date_that_is_none_keeps_and_warns(self, value: str) -> None:
        job = container("job", labels={"watchd.keep": value})
        item = item_of(plan(view(job), cleanup(EXITED)), job)
        assert item.reason == "protected"
        assert item.facts["warning"]


class TestInUse:
    @pytest.mark.parametrize(
        "reference",
        [
            "app:1",
            "docker.io/library/app:1",
            "app@sha256:abc",
            "app:9@sha256:abc",
            image_id("app"),
            hex_id("app"),
            hex_id("app")[:12],
            f"sha256:{hex_id('app')[:12]}",
        ],
    )
    @pytest.mark.parametrize("way", ["image", "image_mounts"])
    def test_every_way_to_name_an_image_is_use(self, reference: str, way: str) -> None:
        """By reference too: the tag may have moved since the container was made, and is what it is made from again."""
        named = (reference,) if way == "image_mounts" else reference
        user = running("user", of="another", **{way: named})
        app = image("app", digests=("app@sha256:abc",))
        assert why(plan(view(user, app), cleanup(UNUSED)), app) == "keep in_use"

    def test_the_image_a_container_was_made_from_is_in_use_also_when_its_tag_has_moved_on(self) -> None:
        user, old, new = running("user", of="app"), untagged("app"), image("new", tags=("app:1",))
        made = plan(view(user, old, new), cleanup(UNUSED, DANGLING))
        assert (why(made, old), why(made, new)) == ("keep in_use", "keep in_use")

    @pytest.mark.parametrize("reference", ["", "app:2", "app", "r:5/app:1", hex_id("app")[:3], "sha256:"])
    def test_what_names_another_image_or_none_is_no_use(self, reference: str) -> None:
        user, app = running("user", of="another", image=reference), image("app")
        assert why(plan(view(user, app), cleanup(UNUSED)), app) == "remove unused_too_long"

    @pytest.mark.parametrize(
        "user",
        [
            running("user"),
            running("user", status="paused"),
            container("user", status="restarting"),
            container("user", status="removing"),
            container("user", status="created", finished_at=None),
            container("user", restart_policy="always"),
            container("user", inspected=False),
        ],
    )
    def test_a_container_that_stays_keeps_its_image_in_any_state(self, user: Container) -> None:
        app = image("app")
        made = plan(view(user, app), cleanup(EXITED, UNUSED))
        assert why(made, app) == "keep in_use"
        assert item_of(made, app).facts["containers"] == [f"user ({user.status})"]

    def test_of_many_containers_only_some_are_named_and_all_are_counted(self) -> None:
        app = image("app")
        look = view(app, *(running(f"c{number:02}") for number in range(25)))
        facts = item_of(plan(look, cleanup()), app).facts
        assert (len(facts["containers"]), facts["container_count"]) == (10, 25)


class TestGrace:
    @pytest.mark.parametrize(("age", "reason"), [(HOUR, "remove unused_too_long"), (HOUR - 0.001, "keep grace")])
    def test_it_ends_exactly_after_its_duration(self, age: float, reason: str) -> None:
        app = image("app")
        known = seen_long_ago(view(app), NOW - age)
        assert why(plan(view(app), cleanup(UNUSED, grace="1h"), known=known), app) == reason

    def test_an_image_that_was_pulled_again_has_only_just_come(self) -> None:
        app = image("app")
        known: Observations = {("image", app.id): Observation(NOW - 30 * DAY, NOW - HOUR + 1)}
        assert why(plan(view(app), cleanup(UNUSED, grace="1h"), known=known), app) == "keep grace"

    def test_a_clock_set_back_does_not_end_it(self) -> None:
        app = image("app")
        known = seen_long_ago(view(app), NOW + HOUR)
        assert why(plan(view(app), cleanup(UNUSED, grace="1s"), known=known), app) == "keep grace"

    def test_an_exited_container_that_watchd_first_sees_now_stays_for_the_grace_period(self) -> None:
        job = container("job")
        assert why(plan(view(job), cleanup(EXITED, grace="1h"), known={}), job) == "keep grace"
