"""The page when something is wrong, and axe-core on it: no engine, no such container, no login."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, expect

from tests.harness.browser import PATIENCE, found_by_axe
from tests.harness.engine import Engine
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import Daemon, running, starting, write_config

VIEWS = ("containers", "networks", "disk", "plan", "history", "events")
WIDTHS = (390, 768, 1920)
NOT_THERE = "0" * 64


@pytest.fixture(scope="module")
def daemon(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(write_config(tmp_path_factory.mktemp("errors"), engine.host)) as daemon:
        yield daemon


@pytest.fixture(params=["light", "dark"])
def context(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """A window whose messages are not noted, since requests fail in it."""
    context = chromium.new_context(color_scheme=request.param)
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def test_without_an_engine_every_view_says_so(page: Page, tmp_path: Path) -> None:
    with starting(write_config(tmp_path, f"unix://{tmp_path}/nothing.sock")) as daemon:
        wait_until(lambda: answers(daemon), seconds=60, what="the daemon to answer")
        found = []
        for view in (*VIEWS, f"containers/{NOT_THERE}"):
            page.goto(f"http://{daemon.listen}/#{view}")
            page.reload()
            expect(page.get_by_role("alert")).to_contain_text("he engine")
            found += found_by_axe(page, f"{view} without an engine", WIDTHS)
        assert found == []


def answers(daemon: Daemon) -> bool:
    with suppress(OSError):
        return daemon.get("/healthz")[0] == 200
    return False


def test_a_container_that_does_not_exist_is_said_to_be_none(page: Page, daemon: Daemon) -> None:
    page.goto(f"http://{daemon.listen}/#containers/{NOT_THERE}")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"There is no container {NOT_THERE[:12]}")
    expect(page.get_by_role("alert")).to_be_hidden()
    assert found_by_axe(page, "a container that does not exist", WIDTHS) == []


def test_who_does_not_log_in_is_told_that_one_must(page: Page, daemon: Daemon, tmp_path: Path, engine: Engine) -> None:
    """As a page of its own, and on a page that was opened before."""
    users = json.dumps({"anna": bcrypt.hashpw(b"hunter2", bcrypt.gensalt(4)).decode()})
    with running(write_config(tmp_path, engine.host), WATCHD_HTTP__USERS=users) as closed:
        status, text = closed.get("/api/v1/containers")
        asked = cancel_the_login(page)
        page.goto(f"http://{closed.listen}/")
        expect(page.get_by_text("A login is required")).to_be_visible()
        found = found_by_axe(page, "no login", WIDTHS)
        asked.detach()
    page.route("**/api/v1/*", lambda route: route.fulfill(status=status, body=text))
    page.goto(f"http://{daemon.listen}/")
    expect(page.get_by_role("alert")).to_contain_text("A login is required")
    assert status == 401
    assert found + found_by_axe(page, "no login any more", WIDTHS) == []


def cancel_the_login(page: Page) -> CDPSession:
    """Answer in people's stead when the browser asks who they are, until the session is detached."""
    session = page.context.new_cdp_session(page)

    def cancel(event: dict[str, Any]) -> None:
        response = {"response": "CancelAuth"}
        session.send("Fetch.continueWithAuth", {"requestId": event["requestId"], "authChallengeResponse": response})

    def go_on(event: dict[str, Any]) -> None:
        session.send("Fetch.continueRequest", {"requestId": event["requestId"]})

    session.on("Fetch.authRequired", cancel)
    session.on("Fetch.requestPaused", go_on)
    session.send("Fetch.enable", {"handleAuthRequests": True})
    return session


@pytest.mark.parametrize("view", VIEWS)
def test_the_engines_name_is_on_every_view(page: Page, daemon: Daemon, view: str) -> None:
    name = daemon.ask("/api/v1/engine")["engine"]["name"]
    page.goto(f"http://{daemon.listen}/#{view}")
    expect(page.locator("#engine")).to_contain_text(name)
