"""Local images that may replace the one that a container was made from."""

from dataclasses import replace

from tests.unit.cleanup.builders import ENGINE, NOW, container, image, image_id
from watchd.api.container_details import newer_images
from watchd.model import Container, EngineView, Image


def newer(of: Container, *images: Image) -> list[str]:
    view = EngineView(ENGINE, NOW, containers=(of,), images=images)
    return [f"{reference} {found.id}" for reference, found in newer_images(of, view)]


OLD = replace(image("app"), tags=(), created_at=NOW - 100)
WEB = replace(container("web"), image="app:1", image_id=OLD.id)


def built(name: str, *tags: str, ago: float = 50) -> Image:
    return replace(image(name), tags=tags, created_at=NOW - ago)


def test_what_its_tag_names_now_comes_first() -> None:
    next_version, rebuilt = built("next", "app:2", ago=10), built("rebuilt", "docker.io/library/app:1")
    found = newer(WEB, next_version, OLD, rebuilt, built("other", "other:1"))
    assert found == [f"docker.io/library/app:1 {image_id('rebuilt')}", f"app:2 {image_id('next')}"]


def test_older_builds_are_not_newer() -> None:
    assert newer(WEB, OLD, built("before", "app:0", ago=200)) == []


def test_its_own_image_is_not_newer() -> None:
    assert newer(WEB, replace(OLD, tags=("app:1", "app:2"))) == []


def test_without_its_image_only_its_tag_tells() -> None:
    """Of an image that is gone nothing says which are later."""
    assert newer(WEB, built("rebuilt", "app:1"), built("next", "app:2")) == [f"app:1 {image_id('rebuilt')}"]
