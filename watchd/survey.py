"""Where the disk went, for who looks on: what `watchd df` tells, made when it is asked for, and not too often."""

import threading
import time

from watchd.config import Cleanup
from watchd.engine.client import EngineClient
from watchd.errors import EngineRefused, WatchdError
from watchd.model import ImageUsage
from watchd.preview import BeingMade
from watchd.prune.account import Accounts, take_stock
from watchd.prune.run import prepare_all
from watchd.prune.usage import Usage

FRESH_FOR = 60.0  # seconds, at least
_SHARE = 20.0  # how much longer than it took to make: the engine walks every layer and volume for it
_PATIENCE = 2.0  # seconds that who has it made waits for it


class Survey:
    """Asks the engine in a thread of its own: it may take minutes, and no request waits for that.

    `client` only reads.
    """

    def __init__(self, client: EngineClient, cleanup: Cleanup, usage: Usage) -> None:
        self._client = client
        self._cleanup = cleanup
        self._usage = usage
        self._lock = threading.Lock()
        self._making: threading.Thread | None = None
        self._latest: Accounts | None = None
        self._failed: WatchdError | None = None
        self._fresh_until = 0.0  # monotonic

    def replace(self, cleanup: Cleanup) -> None:
        """Tell of another `[cleanup]` from the next time on."""
        self._cleanup = cleanup
        self._fresh_until = 0.0

    def accounts(self) -> Accounts:
        """Return what was known last, and have it made anew where that is old.

        Raise `BeingMade` where nothing is known yet, and `EngineError` or `StateError` when it could not be made.
        """
        begun = None
        with self._lock:
            if time.monotonic() >= self._fresh_until and self._making is None:
                begun = threading.Thread(target=self._make, name="watchd-survey", daemon=True)
                begun.start()
                self._making = begun
        if begun is not None:
            begun.join(_PATIENCE)
        latest, failed = self._latest, self._failed
        if latest is None:
            raise failed or BeingMade("the engine is adding it up: come again in a moment")
        return latest

    def _make(self) -> None:
        began, cleanup = time.monotonic(), self._cleanup
        made: Accounts | None = None
        failed: WatchdError | None = None
        try:
            images = self._image_usage()
            prepared = prepare_all(self._client, cleanup, self._usage, images)
            made = take_stock(prepared.snapshot, images, prepared.plan)
        except WatchdError as error:
            failed = error
        took = time.monotonic() - began
        with self._lock:
            self._latest, self._failed = made or self._latest, failed
            if cleanup is self._cleanup:
                self._fresh_until = time.monotonic() + (FRESH_FOR if failed else max(FRESH_FOR, _SHARE * took))
            self._making = None

    def _image_usage(self) -> ImageUsage | None:
        """Return what the layers of images take; None where the engine, or a proxy before it, does not tell."""
        try:
            return self._client.image_usage()
        except EngineRefused:
            return None
