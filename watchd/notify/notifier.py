"""Sending of notifications, in a thread of its own: a receiver that is away delays nothing."""

import json
import logging
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from watchd.errors import WatchdError
from watchd.runtime.watchdog import Heartbeat

logger = logging.getLogger(__name__)

TIMEOUT = 60.0  # seconds for all receivers of one message
MOST_WAITING = 100  # messages


@dataclass(frozen=True, slots=True)
class Message:
    """A short text. A failure that is the same as the last one is sent once."""

    title: str
    body: str
    is_failure: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """Outcome at one receiver. `error` is None if it accepted the message."""

    receiver: str
    error: str | None


def deliver(message: Message, urls: Sequence[str]) -> list[Delivery]:
    """Send a message to all receivers. Raise `WatchdError` if Apprise fails or takes longer than `TIMEOUT`."""
    return _apprise({"urls": list(urls), "message": {"title": message.title, "body": message.body}})


def rejected(urls: Sequence[str]) -> list[str]:
    """Return a problem for each URL that Apprise does not accept, without its secrets. Nothing is sent.

    Raise `WatchdError` if Apprise fails.
    """
    return list(_problems(_apprise({"urls": list(urls), "message": None}))) if urls else []


def _problems(deliveries: Sequence[Delivery]) -> Iterator[str]:
    for number, delivery in enumerate(deliveries):
        if delivery.error:
            yield f"notify.urls[{number}] ({delivery.receiver}): {delivery.error}"


def _apprise(order: Mapping[str, Any]) -> list[Delivery]:
    content, command = json.dumps(order), [sys.executable, "-m", "watchd.notify.send"]
    try:
        sent = subprocess.run(  # noqa: S603 - our own module
            command, input=content, capture_output=True, text=True, timeout=TIMEOUT, check=True
        )
        return [Delivery(each["receiver"], each["error"]) for each in json.loads(sent.stdout)]
    except subprocess.TimeoutExpired:
        raise WatchdError(f"the receivers did not answer within {TIMEOUT:.0f} s") from None
    except (subprocess.CalledProcessError, OSError, ValueError):  # its output may have secrets
        advice = f'{sys.executable} -m pip install "watchd[notify]"'
        raise WatchdError(f"Apprise failed: is it installed? {advice}") from None


class Notifier:
    """Queue of messages, delivered one after the other from `start` to `stop`. New URLs are checked first."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = urls
        self._last_failure: Message | None = None
        self._waiting: queue.Queue[Callable[[], None] | None] = queue.Queue(MOST_WAITING)
        self._heartbeat = Heartbeat("sending notifications", thread="watchd-notify")
        self._thread = threading.Thread(target=self._work, name="watchd-notify", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def replace(self, urls: Sequence[str]) -> None:
        """Deliver to these URLs from now on."""
        if urls != self._urls:
            self._urls = urls
            with suppress(queue.Full):  # the messages that wait show what is wrong with them, too
                self._waiting.put_nowait(self._check)

    def stop(self) -> None:
        """Deliver nothing further. The current message is not waited for."""
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self._waiting.put_nowait(None)

    def send(self, message: Message) -> None:
        """Queue a message; drop it if no receiver is configured or too many wait."""
        if not self._urls or message == self._last_failure:
            return
        self._last_failure = message if message.is_failure else None
        try:
            self._waiting.put_nowait(partial(self._deliver, message))
        except queue.Full:
            logger.warning("notification dropped, since %d others wait: %s", MOST_WAITING, message.title)

    def _work(self) -> None:
        task: Callable[[], None] | None = self._check
        while task is not None:
            with self._heartbeat.busy():
                task()
            task = self._waiting.get()

    def _check(self) -> None:
        try:
            problems = rejected(self._urls)
        except WatchdError as error:
            problems = [f"notifications cannot be sent: {error}"]
        for problem in problems:
            logger.warning("%s", problem)

    def _deliver(self, message: Message) -> None:
        try:
            deliveries = deliver(message, self._urls)
        except WatchdError as error:
            logger.warning("notification not sent: %s", error)
            return
        for problem in _problems(deliveries):
            logger.warning("%s", problem)
