import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchd.model.names.references import ImageIds, abbreviates, familiar, normalize, repository, split_tag


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("redis", "docker.io/library/redis:latest"),
        ("redis:7", "docker.io/library/redis:7"),
        ("library/redis:7", "docker.io/library/redis:7"),
        ("docker.io/redis:7", "docker.io/library/redis:7"),
        ("docker.io/library/redis:7", "docker.io/library/redis:7"),
        ("index.docker.io/redis:7", "docker.io/library/redis:7"),
        ("index.docker.io/library/redis:7", "docker.io/library/redis:7"),
        ("grafana/grafana", "docker.io/grafana/grafana:latest"),
        ("docker.io/grafana/grafana", "docker.io/grafana/grafana:latest"),
        ("registry:5000/team/app:1.2", "registry:5000/team/app:1.2"),
        ("registry:5000/app", "registry:5000/app:latest"),
        ("ghcr.io/o/app", "ghcr.io/o/app:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("Registry/app", "Registry/app:latest"),
        ("myregistry/app", "docker.io/myregistry/app:latest"),
        ("redis@sha256:abc", "docker.io/library/redis@sha256:abc"),
        ("redis:7@sha256:abc", "docker.io/library/redis@sha256:abc"),
        ("registry:5000/app@sha256:abc", "registry:5000/app@sha256:abc"),
        ("sha256:" + "a" * 64, "sha256:" + "a" * 64),
    ],
)
def test_the_full_form_is_what_docker_means(written: str, meant: str) -> None:
    assert normalize(written) == meant


@pytest.mark.parametrize(
    ("full", "short"),
    [
        ("docker.io/library/redis:7", "redis:7"),
        ("docker.io/grafana/grafana:latest", "grafana/grafana:latest"),
        ("registry:5000/app:1", "registry:5000/app:1"),
        ("docker.io/library/redis@sha256:abc", "redis@sha256:abc"),
    ],
)
def test_the_short_form_is_what_people_write(full: str, short: str) -> None:
    assert familiar(full) == short


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("app", ("app", "")),
        ("app:1", ("app", "1")),
        ("registry:5000/app", ("registry:5000/app", "")),
        ("registry:5000/team/app:1.2", ("registry:5000/team/app", "1.2")),
    ],
)
def test_the_colon_of_a_registrys_port_begins_no_tag(name: str, parts: tuple[str, str]) -> None:
    assert split_tag(name) == parts


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("registry:5000/app:1", "registry:5000/app"),
        ("registry:5000/app@sha256:abc", "registry:5000/app"),
        ("app:1@sha256:abc", "app"),
    ],
)
def test_tag_and_digest_references_of_one_repository_share_it(reference: str, name: str) -> None:
    assert repository(reference) == name


parts = st.from_regex(r"[a-z0-9]{1,4}", fullmatch=True)
registries = st.sampled_from(["", "docker.io/", "index.docker.io/", "localhost/", "r.example/", "r:5000/"])
references = st.builds(
    lambda registry, path, tag, digest: f"{registry}{'/'.join(path)}{tag}{digest}",
    registries,
    st.lists(parts, min_size=1, max_size=3),
    st.just("") | parts.map(":{}".format),
    st.just("") | st.just("@sha256:" + "a" * 64),
)


@given(references | st.text())
def test_the_full_form_of_a_full_form_is_itself(reference: str) -> None:
    assert normalize(normalize(reference)) == normalize(reference)


@given(references)
def test_the_short_form_means_the_same(reference: str) -> None:
    full = normalize(reference)
    assert normalize(familiar(full)) == full


ids = st.text("0123abcf", min_size=4, max_size=8).map("sha256:{}".format)


@given(st.sets(ids), ids | ids.map(lambda id_: id_[:11]) | st.text())
def test_abbreviated_ids_are_those_that_begin_so(known: set[str], written: str) -> None:
    assert set(ImageIds(known).abbreviated(written)) == {id_ for id_ in known if abbreviates(written, id_)}
