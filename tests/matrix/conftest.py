"""Fixtures of the tests of the page: a browser, and the page of a module's `daemon` in it."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import docker
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.harness.browser import PATIENCE, browser, watch
from tests.harness.engine import Engine
from tests.harness.install import UnavailableError
from tests.harness.watchd_process import Daemon

expect.set_options(timeout=PATIENCE)  # that of a context is not for these


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    try:
        with browser() as program:
            yield program
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def client(engine: Engine) -> Iterator[docker.DockerClient]:
    with closing(engine.client()) as client:
        yield client


@pytest.fixture
def look(chromium: Browser, daemon: Daemon) -> Iterator[Callable[..., Page]]:
    """The browser, which at the end has no message, request or failure that it should not have."""
    contexts: list[BrowserContext] = []
    trouble: list[str] = []

    def opened(path: str = "", **options: Any) -> Page:
        context = chromium.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        watch(page, daemon.listen, trouble)
        page.goto(f"http://{daemon.listen}/{path}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert trouble == []
