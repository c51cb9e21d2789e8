"""A real browser, without a window: the distribution's Chromium, driven by Playwright."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.harness.install import PATH, UnavailableError, apt_install

PROGRAM = "chromium"
PACKAGE = "chromium"
PATIENCE = 60_000  # milliseconds for what a test expects of a page
# It runs as root here, in containers whose /dev/shm is small, and shows only what the tests serve.
ARGUMENTS = ("--no-sandbox", "--disable-dev-shm-usage")


def ensure_chromium() -> str:
    """Return the path of Chromium, which is installed where that is possible. Raise UnavailableError where not."""
    if shutil.which(PROGRAM, path=PATH) is None:
        apt_install([PACKAGE])
    program = shutil.which(PROGRAM, path=PATH)
    if program is None:
        raise UnavailableError(f"{PACKAGE} left this machine without {PROGRAM}")
    return program


@contextmanager
def browser() -> Iterator[Browser]:
    """Run it. Raise UnavailableError where it cannot be had."""
    program = ensure_chromium()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield chromium
        finally:
            chromium.close()


def watch(page: Page, address: str, trouble: list[str]) -> None:
    """Note what goes wrong on a page, and what it asks of anyone else."""
    page.on("console", lambda message: trouble.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
    page.on("dialog", lambda dialog: trouble.append(f"dialog: {dialog.message}"))

    def asked(url: str, method: str) -> None:
        if not url.startswith(f"http://{address}/") or method != "GET":
            trouble.append(f"{method} {url}")

    page.on("request", lambda request: asked(request.url, request.method))


def found_by_axe(page: Page, what: str, widths: Sequence[int]) -> list[str]:
    """Return what axe-core has against a page in windows of these widths."""
    found = []
    for width in widths:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(400)  # milliseconds: what depends on the width is drawn again
        found += [
            f"{what} at {width}: {each['id']}: {node['html'][:200]}"
            for each in Axe().run(page).response["violations"]
            for node in each["nodes"]
        ]
    return found
