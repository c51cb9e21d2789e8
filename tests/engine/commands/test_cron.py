"""`watchd prune` from cron, without a daemon: what counts as watched, and what is said of it."""

import json
import re
from pathlib import Path

import docker
import pytest

from tests.harness import images
from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.terminal import terminal
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import WATCHD, running, write_config

pytestmark = pytest.mark.newest

CLEANUP = """
mode = "enforce"
grace = "0s"
{}
[cleanup.protect]
images = ["base"]
[[cleanup.policies]]
name = "unused"
kind = "image"
when.unused_for = "2s"
"""


@pytest.fixture
def app(docker_client: docker.DockerClient, clean_engine: Engine) -> str:
    assert clean_engine.host
    return images.build(docker_client, "app:1", f"FROM {images.BASE}\nLABEL a=b\n")


def test_clocks_stand_still_and_every_command_says_so_and_where_to_read_on(
    tmp_path: Path, clean_engine: Engine, app: str
) -> None:
    assert app
    config = write_config(tmp_path, clean_engine.host, CLEANUP.format(""))
    first = watchd_here("prune", "-c", config, "--yes")
    assert "stood still" not in first.stderr, "there was no look before"
    for command in (["prune", "--yes"], ["prune", "--dry-run"], ["explain", "app:1"], ["df"]):
        result = watchd_here(*command, "-c", config)
        assert result.returncode == 0, result.stderr
        told = re.compile(
            r'^Note: unwatched for \d+s: unused_for stood still \(docs/cleaning.md, "Unwatched time"\)$', re.MULTILINE
        )
        assert told.search(result.stderr), result.stderr
        if command[0] == "explain":
            assert "it goes when unused_for reaches 2s, but that clock stands still" in result.stdout
            assert "it goes in" not in result.stdout


@pytest.mark.parametrize("command", [["explain", "app:1"], ["prune", "--dry-run"]])
def test_on_a_terminal_lines_and_notes_wrap_between_words(
    tmp_path: Path, clean_engine: Engine, app: str, command: list[str]
) -> None:
    assert app
    config = write_config(tmp_path, clean_engine.host, CLEANUP.format(""))
    assert watchd_here("prune", "-c", config, "--dry-run").returncode == 0
    piped = watchd_here(*command, "-c", config)
    assert max(map(len, piped.stdout.splitlines())) > 80, "whole lines"
    assert len(piped.stderr.splitlines()) == 1
    with terminal([WATCHD, *command, "-c", config], rows=60, columns=40) as shown:
        assert shown.ended() == 0
        lines = shown.lines
    words = [
        [word for word in text.split() if word.isalpha()] for text in (piped.stdout + piped.stderr, " ".join(lines))
    ]
    assert words[0] == words[1], "no word is cut"
    (note,) = (number for number, line in enumerate(lines) if line.startswith("Note: "))
    assert lines[note + 1].startswith("  "), "a line that goes on is indented"


def test_with_count_unwatched_they_run_and_it_goes(tmp_path: Path, clean_engine: Engine, app: str) -> None:
    config = write_config(tmp_path, clean_engine.host, CLEANUP.format("count_unwatched = true"))
    told = watchd_here("explain", "-c", config, "app:1")
    assert "it goes in" in told.stdout

    def removed() -> set[str]:
        result = watchd_here("prune", "-c", config, "--yes", "--json")
        assert "stood still" not in result.stderr
        return {item["id"] for item in json.loads(result.stdout)["items"] if item.get("outcome") == "removed"}

    wait_until(lambda: app in removed(), seconds=15, what="the image to go")


def test_beside_a_daemon_clocks_run(tmp_path: Path, clean_engine: Engine, app: str) -> None:
    assert app
    config = write_config(tmp_path, clean_engine.host, CLEANUP.format("").replace('"2s"', '"1h"'))
    with running(config):
        wait_until(
            lambda: "it goes in 59m" in watchd_here("explain", "-c", config, "app:1").stdout,
            seconds=15,
            what="the daemon's first look",
        )
        result = watchd_here("prune", "-c", config, "--dry-run")
        assert "stood still" not in result.stderr
