"""A real browser, without a window: the distribution's Chromium, driven by Playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tests.harness.install import PATH, UnavailableError, apt_install

PROGRAM = "chromium"
PACKAGE = "chromium"
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
