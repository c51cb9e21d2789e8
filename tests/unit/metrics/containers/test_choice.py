"""`[metrics] include` and `exclude`: names, images, labels and Compose projects, with the globs that policies have."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.cleanup.builders import running
from tests.unit.settings import checked
from watchd.config.schema.config import Metrics
from watchd.metrics.containers.choice import Choice

WEB = running("web", image="nginx:1.27", labels={"com.docker.compose.project": "shop", "tier": "front"})
DB = running("db", image="registry.acme.example/team/postgres:17", labels={"com.docker.compose.project": "shop"})
JOB = running("ci-7", image="nginx@sha256:" + "1" * 64, labels={"tier": "batch"})
ALL = (WEB, DB, JOB)


def chosen(**metrics: Any) -> str:
    settings = checked(Metrics, metrics)
    return " ".join(each.name for each in Choice(settings.include, settings.exclude).of(ALL))


@pytest.mark.parametrize(
    ("patterns", "matched"),
    [
        ({"names": ["*", "!ci-*"]}, "web db"),
        ({"names": ["WEB"]}, ""),
        ({"images": ["nginx:1.27"]}, "web"),
        ({"images": ["nginx"]}, "web ci-7"),
        ({"images": ["docker.io/library/nginx*"]}, "web ci-7"),
        ({"images": ["*/postgres:*"]}, "db"),
        ({"images": [WEB.image_id]}, "web db ci-7"),
        ({"images": ["*", "!registry.acme.example/*"]}, "web ci-7"),
        ({"compose_projects": ["sh*"]}, "web db"),
        ({"labels": ["tier"]}, "web ci-7"),
        ({"labels": ["tier=*", "!tier=batch"]}, "web"),
        ({"names": ["db"], "labels": ["tier=batch"]}, "db ci-7"),
    ],
)
def test_lists_of_patterns(patterns: dict[str, Any], matched: str) -> None:
    assert chosen(include=patterns) == matched
    rest = [each.name for each in ALL if each.name not in matched.split()]
    assert chosen(exclude=patterns) == " ".join(rest)


def test_exclude_counts_among_what_is_included() -> None:
    assert chosen(include={"compose_projects": ["shop"]}, exclude={"names": ["db"]}) == "web"


def test_without_patterns_all_are_chosen_and_nothing_is_looked_at() -> None:
    choice = Choice()
    assert choice.of(ALL) is ALL
    assert choice.excluded == frozenset()


def test_a_change_of_the_container_counts_at_once() -> None:
    choice = Choice(exclude=checked(Metrics, {"exclude": {"names": ["db"]}}).exclude)
    assert [each.name for each in choice.of(ALL)] == ["web", "ci-7"]
    assert choice.excluded == {DB.id}
    assert [each.name for each in choice.of((replace(DB, name="database"),))] == ["database"]
    assert choice.excluded == frozenset()
