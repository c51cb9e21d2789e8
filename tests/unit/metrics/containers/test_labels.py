"""The label set of a container: the same for all of its series, and safe whatever people write into labels."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from watchd.config.schema.config import Metrics
from watchd.metrics.containers.labels import ContainerLabels, RenderedLabels, escape, render
from watchd.model import Container

ID = "a" * 64
PATH = f"/system.slice/docker-{ID}.scope"


def container(labels: dict[str, str], name: str = "web") -> Container:
    return Container(ID, name, "shop/web:1", "sha256:1", "running", 1.0, labels=labels)


def test_id_image_and_name_are_what_dashboards_select_by() -> None:
    labels = ContainerLabels("cgroup", ()).of(container({"a": "b"}, name="/web"), PATH)

    assert labels == {"id": PATH, "image": "shop/web:1", "name": "web"}


def test_the_id_can_be_the_same_with_every_cgroup_driver() -> None:
    labels = ContainerLabels("docker", ()).of(container({}), PATH)

    assert labels["id"] == f"/docker/{ID}"


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("com.docker.compose.project", "container_label_com_docker_compose_project"),
        ("com.docker.compose.service", "container_label_com_docker_compose_service"),
        ("com.docker.stack.namespace", "container_label_com_docker_stack_namespace"),
        ("com.docker.swarm.service.name", "container_label_com_docker_swarm_service_name"),
        ("com.docker.swarm.task.id", "container_label_com_docker_swarm_task_id"),
        ("com.docker.swarm.node.id", "container_label_com_docker_swarm_node_id"),
        ("org.label-schema.group", "container_label_org_label_schema_group"),
        ("org.opencontainers.image.version", "container_label_org_opencontainers_image_version"),
    ],
)
def test_the_labels_that_dashboards_group_by_are_there_by_default(label: str, name: str) -> None:
    labels = ContainerLabels("cgroup", Metrics().container_labels).of(container({label: "x", "secret": "y"}), PATH)

    assert labels[name] == "x"
    assert len(labels) == 4, "and no others"


def test_a_glob_matches_the_whole_name_and_its_case() -> None:
    allowed = ContainerLabels("cgroup", ["team.*", "tier"])

    labels = allowed.of(container({"team.a": "1", "Team.b": "2", "tier": "3", "tiers": "4", "my.team.a": "5"}), PATH)

    assert list(labels) == ["id", "image", "name", "container_label_team_a", "container_label_tier"]


def test_names_that_become_the_same_are_resolved_the_same_way_every_time() -> None:
    allowed = ContainerLabels("cgroup", ["*"])

    first = allowed.of(container({"a.b": "dot", "a-b": "dash"}), PATH)
    second = allowed.of(container({"a-b": "dash", "a.b": "dot"}), PATH)

    assert first == second
    assert first["container_label_a_b"] == "dash", "the one that sorts first"


def test_values_are_escaped() -> None:
    assert escape('a\\b"c\nd') == r"a\\b\"c\nd"
    assert escape("caf\u00e9 \ud800") == "café ?"
    assert render({}) == ""


@given(st.dictionaries(st.text(), st.text()))
def test_any_labels_come_out_as_they_went_in(docker_labels: dict[str, str]) -> None:
    labels = ContainerLabels("cgroup", ["*"]).of(container(docker_labels), PATH)

    (family,) = text_string_to_metric_families(f"a{{{render(labels)}}} 1\n")

    assert family.samples[0].labels == labels


def _id(text: str) -> str:
    return text.partition('id="')[2].partition('"')[0]


def test_a_container_that_stopped_keeps_the_path_it_had() -> None:
    labels = RenderedLabels(ContainerLabels("cgroup", ()))
    labels.of(container({}), PATH)

    assert _id(labels.of(container({}), None)) == PATH


def test_one_that_never_ran_has_the_path_it_would_have_beside_the_others() -> None:
    labels = RenderedLabels(ContainerLabels("cgroup", ()))
    created, elsewhere = replace(container({}), id="b" * 64), replace(container({}), id="c" * 64, cgroup_parent="/ci")

    assert _id(labels.of(created, None)) == f"/docker/{created.id}", "nothing is known yet"
    labels.of(container({}), PATH)
    assert _id(labels.of(created, None)) == f"/system.slice/docker-{created.id}.scope"
    assert _id(labels.of(elsewhere, None)) == f"/ci/{elsewhere.id}"


@pytest.mark.parametrize(
    ("driver", "parent", "path"),
    [
        ("cgroupfs", "", f"/docker/{ID}"),
        ("cgroupfs", "/my/own", f"/my/own/{ID}"),
        ("cgroupfs", "own", f"/own/{ID}"),
        ("systemd", "", f"/system.slice/docker-{ID}.scope"),
        ("systemd", "ci-jobs.slice", f"/ci.slice/ci-jobs.slice/docker-{ID}.scope"),
    ],
)
def test_a_path_that_was_never_seen_is_the_one_that_docker_makes(driver: str, parent: str, path: str) -> None:
    labels = RenderedLabels(ContainerLabels("cgroup", ()))

    assert _id(labels.of(replace(container({}), cgroup_parent=parent), None, driver)) == path


def test_the_text_is_made_again_only_when_the_container_changed() -> None:
    labels = RenderedLabels(ContainerLabels("cgroup", ()))
    web = container({})

    assert labels.of(web, PATH) is labels.of(web, PATH)
    assert 'name="other"' in labels.of(replace(web, name="other"), PATH)


def test_containers_that_are_gone_are_forgotten() -> None:
    labels = RenderedLabels(ContainerLabels("cgroup", ()))
    labels.of(container({}), PATH)

    labels.forget_all_but(set())

    assert not labels._texts
    assert not labels._paths
