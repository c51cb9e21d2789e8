"""One look at the engine where it does not tell who holds the layers of images."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.engine.http_engine import serving
from watchd.config.schema.config import Engine
from watchd.engine import fresh_view
from watchd.engine.client import EngineClient
from watchd.errors import EngineError, EngineRefused, EngineUnreachable
from watchd.model import Kind
from watchd.model.engine import NOT_IN_CONTAINER


@pytest.fixture
def client(tmp_path: Path) -> Iterator[EngineClient]:
    with (
        serving(tmp_path / "engine.sock") as engine,
        closing(EngineClient(Engine(host=engine.host), read_only=True)) as it,
    ):
        yield it


BUSY = EngineRefused("a disk usage operation is already running", 500)


@pytest.mark.parametrize("asked", ["build_cache", "histories"])
@pytest.mark.parametrize("kinds", [{"image"}, {"image", "build_cache"}])
@pytest.mark.parametrize("error", [BUSY, EngineUnreachable("no answer within 30 s")])
def test_no_image_goes_for_room_while_it_is_not_known_who_holds_its_layers(
    client: EngineClient, monkeypatch: pytest.MonkeyPatch, error: EngineError, kinds: set[Kind], asked: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(client, asked, fail)
    view = fresh_view.take(client, NOT_IN_CONTAINER, kinds, shares_layers=True)
    assert view.failures["image"] == f"it is not known who holds their layers: {error}"
    assert ("build_cache" in view.failures) == (asked == "build_cache" and "build_cache" in kinds)
    by_time = fresh_view.take(client, NOT_IN_CONTAINER, kinds)
    assert "image" not in by_time.failures, "what goes by time goes all the same"


def test_where_a_proxy_forbids_to_ask_images_go_as_before(
    client: EngineClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid() -> None:
        raise EngineRefused("forbidden", 403)

    monkeypatch.setattr(client, "build_cache", forbid)
    assert not fresh_view.take(client, NOT_IN_CONTAINER, {"image"}, shares_layers=True).failures


def test_writable_layers_are_measured_where_a_policy_removes_containers(client: EngineClient) -> None:
    def measured(*kinds: Kind) -> set[bool]:
        return {each.size_rw is not None for each in fresh_view.take(client, NOT_IN_CONTAINER, kinds).containers}

    assert measured("container") == {True}
    assert measured("image", "volume") == {False}
