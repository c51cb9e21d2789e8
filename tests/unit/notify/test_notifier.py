"""Delivery of notifications, by Apprise, to a receiver on this machine."""

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.harness.ports import free_port
from tests.harness.waiting import wait_until
from watchd import cli
from watchd.config.load import load
from watchd.config.schema import values
from watchd.errors import ConfigError
from watchd.notify import notifier
from watchd.notify.notifier import Delivery, Message, Notifier, deliver


class Receiver(HTTPServer):
    """A webhook. It refuses messages to `/refuses`."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(403 if self.path == "/refuses" else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    def url(self, path: str = "/hook") -> str:
        return f"json://user:s3cret-word@127.0.0.1:{self.server_port}{path}?rto=60&cto=60"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_each_receiver_gets_it_whatever_the_others_do(receiver: Receiver) -> None:
    urls = [
        f"json://user:s3cret-word@127.0.0.1:{free_port()}",
        receiver.url("/refuses"),
        "slack://s3cret-word",
        receiver.url(),
    ]
    deliveries = deliver(Message("watchd", "Removed 1 image."), urls)
    assert [delivery.receiver for delivery in deliveries] == ["JSON", "JSON", "slack", "JSON"]
    assert [delivery.error is None for delivery in deliveries] == [False, False, False, True]
    assert "s3cret-word" not in str(deliveries)
    assert [(message["title"], message["message"]) for message in receiver.messages] == [
        ("watchd", "Removed 1 image.")
    ] * 2


def test_the_command_tries_all_receivers(receiver: Receiver, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'[notify]\nurls = ["{receiver.url()}", "{receiver.url("/refuses")}"]\n')
    result = CliRunner().invoke(cli.main, ["notify", "test", "-c", str(file)])
    assert result.exit_code == 3
    assert "notify.urls[0] (JSON): accepted\nnotify.urls[1] (JSON): " in result.output
    assert "s3cret-word" not in result.output
    assert "s3cret-word" not in CliRunner().invoke(cli.main, ["config", "show", "-c", str(file)]).output
    file.write_text("")
    result = CliRunner().invoke(cli.main, ["notify", "test", "-c", str(file)])
    assert "add [notify] urls" in result.output


def test_an_address_that_is_none_is_refused_without_showing_it(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[notify]\nurls = ["s3cret-word"]\n')
    with pytest.raises(ConfigError) as error:
        load(file)
    (problem,) = error.value.problems
    assert problem.startswith("notify.urls[0]: is not an address of Apprise")
    assert "s3cret-word" not in problem
    file.write_text('[notify]\nurls = "s3cret-word"\n')
    with pytest.raises(ConfigError) as error:
        load(file)
    assert "s3cret-word" not in str(error.value)


def test_the_check_names_addresses_that_apprise_rejects_and_sends_nothing(receiver: Receiver, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'[notify]\nurls = ["{receiver.url()}", "slack://s3cret-word", "ntfi://s3cret-word"]\n')
    result = CliRunner().invoke(cli.main, ["config", "check", "-c", str(file)])
    assert result.exit_code == 2
    assert "  notify.urls[1] (slack): Apprise does not accept this slack:// address" in result.output
    assert "  notify.urls[2] (ntfi): Apprise does not accept this ntfi:// address" in result.output
    assert "urls[0]" not in result.output
    assert "s3cret-word" not in result.output
    assert not receiver.messages
    file.write_text(f'[notify]\nurls = ["{receiver.url()}"]\n')
    assert CliRunner().invoke(cli.main, ["config", "check", "-c", str(file)]).output == f"{file}: good\n"


def test_without_apprise_the_configuration_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(values, "find_spec", lambda _name: None)
    file = tmp_path / "config.toml"
    file.write_text('[notify]\nurls = ["json://localhost"]\n')
    result = CliRunner().invoke(cli.main, ["config", "check", "-c", str(file)])
    assert result.exit_code == 2
    assert "notify.urls[0]: needs Apprise, which is not installed" in result.output
    assert 'pip install "watchd[notify]"' in result.output


class TestQueue:
    @pytest.fixture
    def sent(self, monkeypatch: pytest.MonkeyPatch) -> list[Message]:
        """The messages that were delivered; one with the title "hang" waits for `resume`."""
        sent: list[Message] = []

        def fake(message: Message, urls: list[str]) -> list[Delivery]:
            sent.append(message)
            return [Delivery("JSON", "is away" if message.title == "lost" else None) for _ in urls]

        monkeypatch.setattr(notifier, "deliver", fake)
        monkeypatch.setattr(notifier, "rejected", lambda urls: [f"{url} is rejected" for url in urls if "bad" in url])
        return sent

    def test_a_failure_that_repeats_is_sent_once(self, sent: list[Message]) -> None:
        each = Notifier(["json://x"])
        failed, done = Message("failed", "", is_failure=True), Message("done", "")
        for message in (failed, failed, done, done, failed):
            each.send(message)
        each.start()
        wait_until(lambda: len(sent) == 4, seconds=10, what="the messages")
        each.stop()
        assert sent == [failed, done, done, failed]

    @pytest.mark.usefixtures("sent")
    def test_a_receiver_that_is_away_delays_nothing_and_is_logged(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(notifier, "MOST_WAITING", 2)
        each = Notifier(["json://x"])
        with caplog.at_level(logging.WARNING):
            for number in range(3):
                each.send(Message("lost", str(number)))
            assert "notification dropped, since 2 others wait: lost" in caplog.text
            each.start()
            wait_until(lambda: "notify.urls[0] (JSON): is away" in caplog.text, seconds=10, what="the warning")
        each.stop()

    def test_without_receivers_nothing_is_queued(self, sent: list[Message]) -> None:
        each = Notifier([])
        each.send(Message("done", ""))
        each.replace(["json://x"])
        each.send(Message("later", ""))
        each.start()
        wait_until(lambda: sent, seconds=10, what="a message")
        each.stop()
        assert [message.title for message in sent] == ["later"]

    @pytest.mark.usefixtures("sent")
    def test_rejected_addresses_are_logged_at_the_start_and_when_they_are_replaced(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        each = Notifier(["json://x", "bad://1"])
        with caplog.at_level(logging.WARNING):
            each.start()
            wait_until(lambda: "bad://1 is rejected" in caplog.text, seconds=10, what="the first warning")
            each.replace(["json://x", "bad://1"])
            each.replace(["bad://2"])
            wait_until(lambda: "bad://2 is rejected" in caplog.text, seconds=10, what="the second warning")
        each.stop()
        assert [record.message for record in caplog.records] == ["bad://1 is rejected", "bad://2 is rejected"]
