"""Where the disk went, for who looks on: asked in the background, and not too often."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.harness import images
from tests.harness.engine import Engine
from tests.harness.waiting import wait_until
from tests.prune.builders import EXITED, cleanup
from watchd import survey
from watchd.config.schema import Engine as EngineConfig
from watchd.engine.client import EngineClient
from watchd.errors import EngineUnreachable
from watchd.preview import BeingMade
from watchd.prune.account import Accounts
from watchd.prune.usage import Usage
from watchd.survey import Survey

NOWHERE = Usage(None, writable=False, count_unwatched=False)


@pytest.fixture
def client(clean_engine: Engine) -> Iterator[EngineClient]:
    with closing(EngineClient(EngineConfig(host=clean_engine.host), read_only=True)) as client:
        yield client


def made(of: Survey) -> Accounts:
    """Return what it tells once it is there."""
    found: list[Accounts] = []

    def there() -> bool:
        try:
            found.append(of.accounts())
        except BeingMade:
            return False
        return True

    wait_until(there, seconds=60, what="the engine adds it up")
    return found[-1]


def test_no_request_waits_for_an_engine_that_does_not_answer(
    clean_engine: Engine, client: EngineClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "_PATIENCE", 0.05)
    asked = Survey(client, cleanup(EXITED), NOWHERE)
    client.ping()
    clean_engine.pause()
    try:
        for _ in range(3):
            with pytest.raises(BeingMade):
                asked.accounts()
    finally:
        clean_engine.resume()
    accounts = made(asked)
    assert accounts.kinds["image"].count == 1
    assert asked.accounts() is accounts, "within a minute it is not asked again"


def test_what_is_old_is_told_until_there_is_something_newer(
    clean_engine: Engine, client: EngineClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "_PATIENCE", 0.0)
    monkeypatch.setattr(survey, "FRESH_FOR", 0.0)
    monkeypatch.setattr(survey, "_SHARE", 0.0)
    asked = Survey(client, cleanup(EXITED), NOWHERE)
    before = made(asked)
    with closing(clean_engine.client()) as docker:
        docker.containers.create(images.BASE, name="new")
    assert asked.accounts().created_at >= before.created_at
    wait_until(lambda: asked.accounts().kinds["container"].count == 1, seconds=60, what="the new one is told of")


def test_an_engine_that_is_not_there_is_an_error_for_a_while() -> None:
    asked = Survey(EngineClient(EngineConfig(host="unix:///nowhere.sock"), read_only=True), cleanup(EXITED), NOWHERE)
    for _ in range(2):
        with pytest.raises(EngineUnreachable):
            made(asked)
