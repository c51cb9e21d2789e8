"""Decoding of captured replies, and of generated ones."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.engine import replies
from tests.unit.engine.replies import ID, IMAGE_ID
from watchd.engine.decode import images, system
from watchd.engine.decode.containers import container_from_inspect, container_from_list, container_size
from watchd.engine.decode.details import details_from_inspect
from watchd.engine.decode.fields import MalformedReply
from watchd.engine.decode.images import deleted_image, image_from_inspect
from watchd.engine.decode.parts import image_parts
from watchd.engine.decode.system import engine_info
from watchd.model import Container, EngineInfo, Event, Image

FIXTURES = Path(__file__).with_name("fixtures")


def fixture(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text())


def inspected(*, state: dict[str, Any] | None = None, **changes: Any) -> Container:
    """Return the container of a real inspect with some of it changed."""
    raw = fixture("inspect-26.1-oomkilled")
    for key, value in {**changes, "State": state or {}}.items():
        raw[key] = {**raw[key], **value} if isinstance(value, dict) else value
    return container_from_inspect(raw)


class TestInspectedContainer:
    def test_a_paused_container_of_docker_20_10(self) -> None:
        assert container_from_inspect(fixture("inspect-20.10-paused")) == Container(
            id="0365e8fc489f3fb3676992260cbb1430ef1a2c40e4230823db820fac28dbc3ac",
            name="paused",
            image="base:1",
            image_id="sha256:0290455353be8665d2b9cb37fdd33abead5160407576acc285362aeeee3187b4",
            status="paused",
            created_at=1795459442.589556,
            started_at=1795459442.938757,
            pid=3273,
            restart_policy="no",  # which this engine writes as ""
        )

    def test_a_container_in_the_hosts_network(self) -> None:
        assert container_from_inspect(fixture("inspect-20.10-hostnet")).network_mode == "host"

    def test_a_running_container_that_lost_a_process_to_the_oom_killer(self) -> None:
        container = container_from_inspect(fixture("inspect-26.1-oomkilled"))
        assert container.oom_killed
        assert container.is_running
        assert container.exit_code is None

    def test_an_exited_container_has_an_exit_code_and_an_end(self) -> None:
        container = inspected(
            state={"Status": "exited", "Pid": 0, "ExitCode": 137, "FinishedAt": "2026-11-23T18:40:00.5+01:00"}
        )
        assert (container.status, container.exit_code, container.is_running) == ("exited", 137, False)
        assert container.finished_at == 1795455600.5

    def test_the_year_1_means_that_it_has_not_happened(self) -> None:
        never = "0001-01-01T00:00:00Z"
        container = inspected(state={"Status": "created", "Pid": 0, "StartedAt": never, "FinishedAt": never})
        assert (container.started_at, container.finished_at, container.exit_code) == (None, None, None)

    def test_a_container_that_restarts_has_the_exit_code_of_its_last_run(self) -> None:
        assert inspected(state={"Status": "restarting", "Restarting": True, "ExitCode": 3, "Pid": 0}).exit_code == 3

    @pytest.mark.parametrize(
        ("health", "expected"),
        [
            (None, None),
            ({"Status": ""}, None),
            ({"Status": "none"}, None),
            ({"Status": "starting", "FailingStreak": 0, "Log": None}, "starting"),
            ({"Status": "unhealthy"}, "unhealthy"),
        ],
    )
    def test_health_is_there_only_where_a_check_is(self, health: Any, expected: str | None) -> None:
        assert inspected(state={"Health": health}).health == expected

    def test_labels_may_be_null(self) -> None:
        assert inspected(Config={"Image": "base:1", "Labels": None}).labels == {}

    def test_images_mounted_into_it_are_named(self) -> None:
        mounts = [
            {"Type": "image", "Source": "tools:3", "Target": "/tools"},
            {"Type": "volume", "Source": "data", "Target": "/data"},
        ]
        assert inspected(HostConfig={"Mounts": mounts}).image_mounts == ("tools:3",)

    @pytest.mark.parametrize("policy", ["always", "unless-stopped", "on-failure", "no"])
    def test_its_restart_policy(self, policy: str) -> None:
        assert inspected(HostConfig={"RestartPolicy": {"Name": policy}}).restart_policy == policy

    def test_one_without_an_id_is_malformed(self) -> None:
        with pytest.raises(MalformedReply, match="Id is missing"):
            inspected(Id="")

    @pytest.mark.parametrize("value", [True, "3", 2**64, 1.5])
    def test_one_with_a_number_that_is_none_is_malformed_and_says_where(self, value: Any) -> None:
        with pytest.raises(MalformedReply, match="RestartCount"):
            inspected(RestartCount=value)

    @pytest.mark.parametrize("value", [7, [], "yesterday", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00"])
    def test_one_with_a_time_that_is_none_is_malformed_and_says_where(self, value: Any) -> None:
        with pytest.raises(MalformedReply, match="Created"):
            inspected(Created=value)


def test_of_a_listed_container_its_image_is_known_and_its_times_are_not() -> None:
    assert container_from_list(replies.LISTED_CONTAINER) == Container(
        id=ID,
        name="web",
        image="nginx:1",
        image_id=IMAGE_ID,
        status="exited",
        created_at=1795459442.0,
        labels={"a": "b"},
        inspected=False,
    )


def test_a_container_being_removed_is_listed_without_a_name() -> None:
    container = container_from_list(
        {**replies.LISTED_CONTAINER, "Names": None, "State": "removing", "Created": 0, "Labels": None}
    )
    assert (container.name, container.status, container.created_at) == ("", "removing", None)


def listed(**changes: Any) -> Image:
    """Return a listed image with some of it changed."""
    return images.image({**replies.LISTED_IMAGE, **changes})


class TestListedImage:
    def test_its_tags_are_sorted_and_what_is_not_told_is_unknown(self) -> None:
        assert listed() == Image(id=IMAGE_ID, tags=("app:1", "app:2"), created_at=1700000000.0, size=3000)

    @pytest.mark.parametrize("tags", [["<none>:<none>"], [], None])
    @pytest.mark.parametrize("digests", [["<none>@<none>"], [], None])
    def test_an_image_without_a_name_is_listed_in_several_ways(self, tags: Any, digests: Any) -> None:
        image = listed(RepoTags=tags, RepoDigests=digests)
        assert (image.references, image.name) == ((), "<none>")

    def test_a_digest_reference_is_a_name_too(self) -> None:
        image = listed(RepoTags=None, RepoDigests=["app@sha256:1", "<none>@<none>"])
        assert (image.tags, image.digests, image.name) == ((), ("app@sha256:1",), "app@sha256:1")

    @pytest.mark.parametrize("created", [0, -62135596800, None])
    def test_an_image_that_does_not_say_when_it_was_built_is_not_infinitely_old(self, created: Any) -> None:
        assert listed(Created=created).created_at is None

    def test_a_shared_size_is_told_when_asked_for(self) -> None:
        assert listed(SharedSize=0).shared_size == 0
        assert listed(SharedSize=1000).shared_size == 1000

    def test_the_classic_builders_parent(self) -> None:
        assert listed(ParentId="sha256:c").parent_id == "sha256:c"

    def test_an_inspected_image_has_its_labels_elsewhere(self) -> None:
        raw = replies.INSPECTED_IMAGE
        assert image_from_inspect(raw) == Image(id=IMAGE_ID, tags=("app:1",), labels={"a": "b"})
        assert image_from_inspect({**raw, "Config": {}}).labels == {}, "API 1.52 leaves them out where there are none"

    def test_an_image_is_pulled_where_the_engine_states_it(self) -> None:
        """As moby's API documents `Identity` (1.53 and later); 28.5.2 has it as null."""
        for identity, pulled in (
            (None, False),
            ({"Build": [{"Ref": "abc"}]}, False),
            ({"Pull": [{"Repository": "docker.io/library/app"}]}, True),
        ):
            assert image_from_inspect({**replies.INSPECTED_IMAGE, "Identity": identity}).pulled is pulled

    @pytest.mark.parametrize(
        ("rootfs", "layers"),
        [
            (
                {"Type": "layers", "Layers": ["sha256:0123456789abcdef" + 48 * "0", "sha256:b"]},
                ("0123456789abcdef", "b"),
            ),
            ({"Type": "layers"}, ()),
            ({"Type": "layers", "Layers": None}, ()),
            (None, None),
        ],
    )
    def test_an_inspected_image_has_layers_and_none_are_not_unknown_ones(
        self, rootfs: Any, layers: tuple[str, ...] | None
    ) -> None:
        assert image_from_inspect({**replies.INSPECTED_IMAGE, "RootFS": rootfs}).layers == layers
        assert image_from_inspect(replies.INSPECTED_IMAGE).layers is None


def test_the_reply_to_a_removal_names_what_was_untagged_and_what_was_deleted() -> None:
    reply = [{"Untagged": "app:1"}, {"Untagged": "app@sha256:1"}, {"Deleted": IMAGE_ID}, {"Deleted": "sha256:layer"}]
    assert deleted_image(reply) == (["app:1", "app@sha256:1"], [IMAGE_ID, "sha256:layer"])
    assert deleted_image([]) == ([], [])


class TestEngineInfo:
    def test_docker_20_10_on_cgroup_v1(self) -> None:
        raw = fixture("engine-20.10")
        assert engine_info(raw["version"], raw["info"]) == EngineInfo(
            id="4ODC:XYXQ:XWFA:Q5UN:QWJI:J7TP:4EMF:P3CB:F2FZ:GMMT:WCVL:75AW",
            name="host",
            version="20.10.24+dfsg1",
            api_version="1.41",
            storage_driver="overlay2",
            store="graphdriver",
            cgroup_version="1",
            cgroup_driver="cgroupfs",
            root_dir="/var/lib/docker",
            kernel_version="6.1.0-56-amd64",
            operating_system="Debian GNU/Linux 12 (bookworm)",
        )

    def test_docker_26_on_cgroup_v2_with_systemd(self) -> None:
        raw = fixture("engine-26.1")
        engine = engine_info(raw["version"], raw["info"])
        assert (engine.cgroup_version, engine.cgroup_driver, engine.api_version) == ("2", "systemd", "1.45")

    def test_the_containerd_image_store_is_told_by_the_drivers_status(self) -> None:
        raw = fixture("engine-26.1")
        status = [["driver-type", "io.containerd.snapshotter.v1"]]
        assert engine_info(raw["version"], {**raw["info"], "DriverStatus": status}).store == "containerd"


class TestEvent:
    def test_an_actions_payload_is_cut_off(self) -> None:
        raw = {
            "status": "exec_create: echo hi",
            "Type": "container",
            "Action": "exec_create: echo hi",
            "Actor": {"ID": ID, "Attributes": {"execID": "4ee5", "image": "base:1", "name": "x1"}},
            "scope": "local",
            "time": 1795457570,
            "timeNano": 1795457570600925511,
        }
        assert system.event(raw) == Event(
            type="container",
            action="exec_create",
            id=ID,
            time_nano=1795457570600925511,
            attributes={"execID": "4ee5", "image": "base:1", "name": "x1"},
        )

    def test_the_nanosecond_is_exact(self) -> None:
        """As a float it would be off by a hundred, and the same event would come again after reconnecting."""
        assert system.event({"timeNano": 1795457570600925511}).time_nano == 1795457570600925511

    def test_an_event_without_nanoseconds_has_its_second(self) -> None:
        assert system.event({"time": 1795457570}).time == 1795457570.0

    def test_an_event_without_an_actor_names_nothing(self) -> None:
        assert system.event({"Type": "image", "Action": "prune", "Actor": {"ID": "", "Attributes": None}}).id == ""


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
KEYS = (
    "Id Name Names Image ImageID Created State Status StartedAt FinishedAt ExitCode Pid Health Config Labels Type "
    "HostConfig RestartPolicy RestartCount Mounts NetworkMode Source RepoTags RepoDigests ParentId Size SharedSize "
    "SizeRw Actor Action ID Attributes time timeNano DriverStatus Version Untagged Deleted NetworkSettings Networks "
    "Ports HostIp HostPort Healthcheck Log Interval Path Args IPAddress Manifests "
    "Kind Available Total ImageData Unpacked Platform os AttestationData"
)
TIMES = ["2026-01-01T00:00:00.123456789Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "0002-01-01T00:00:00Z"]
api_values = st.recursive(
    json_values | st.sampled_from([*TIMES, ID, 2**63, 2**64, -(2**63) - 1, "exited", "image"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS.split()), inner, max_size=8),
    max_leaves=25,
)


PARSERS: dict[str, Callable[[Any], object]] = {
    "container_from_inspect": container_from_inspect,
    "container_from_list": container_from_list,
    "container_size": container_size,
    "details_from_inspect": details_from_inspect,
    "image": images.image,
    "image_from_inspect": image_from_inspect,
    "deleted_image": deleted_image,
    "image_parts": image_parts,
    "event": system.event,
    "engine_info": lambda raw: engine_info(raw, raw),
    "parts of a container": lambda raw: container_from_inspect(
        {**fixture("inspect-26.1-oomkilled"), "State": raw, "Config": raw, "HostConfig": raw}
    ),
}


@pytest.mark.parametrize("name", PARSERS)
def test_any_json_is_a_value_or_a_malformed_reply(name: str) -> None:
    @given(api_values)
    def check(raw: Any) -> None:
        try:
            value = PARSERS[name](raw)
        except MalformedReply:
            return
        assert value is not None

    check()
