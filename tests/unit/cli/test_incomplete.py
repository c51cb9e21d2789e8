"""Commands on an engine, or behind a proxy, that leaves out fields: they say so, and exit with 3."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.unit.engine import replies
from tests.unit.engine.http_engine import HttpEngine, serving
from watchd.cli import main

CLOCKS = {"container": "finished_for", **dict.fromkeys(("image", "network", "volume", "build_cache"), "unused_for")}
COMMANDS = (["prune", "--dry-run"], ["df"], ["config", "check", "--engine"])


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[HttpEngine]:
    with serving(tmp_path / "s", "1.55") as engine:
        yield engine


def run(engine: HttpEngine, directory: Path, command: list[str]) -> Result:
    config = directory / "watchd.toml"
    policies = "".join(
        f'[[cleanup.policies]]\nname = "{kind}"\nkind = "{kind}"\nwhen.{clock} = "0s"\n'
        for kind, clock in CLOCKS.items()
    )
    config.write_text(f'state.directory = "{directory}/state"\nengine.host = "{engine.host}"\n{policies}')
    return CliRunner().invoke(main, [*command, "--config", str(config)])


@pytest.mark.parametrize("command", COMMANDS)
def test_all_is_told_of_an_engine_of_tomorrow(engine: HttpEngine, tmp_path: Path, command: list[str]) -> None:
    result = run(engine, tmp_path, command)
    assert result.exit_code == 0, result.output


CACHE = "the list of BuildKit's records"
WITHOUT: dict[str, tuple[str, Any, str]] = {
    CACHE: (
        "/system/df",
        {**replies.DISK_USAGE, "BuildCacheUsage": {"TotalCount": 1, "TotalSize": 8192}},
        "build cache",
    ),
    "all of the disk usage": ("/system/df", {}, "build cache"),
    "an image's references": (
        "/images/json",
        [{"Id": replies.IMAGE_ID, "Created": 1, "Size": 1, "Labels": {}}],
        "image",
    ),
    "the volumes": ("/volumes", {"Warnings": None}, "volume"),
    "a network's labels": ("/networks", [{"Id": replies.ID, "Name": "n", "Driver": "bridge"}], "network"),
    "the image of a listed container": ("/containers/json", [{"Id": replies.ID, "State": "running"}], "container"),
}


@pytest.mark.parametrize(
    ("what", "command"),
    [*((what, COMMANDS[0]) for what in WITHOUT), *((CACHE, command) for command in COMMANDS[1:])],
)
def test_what_is_missing_is_an_incomplete_view_and_not_an_empty_one(
    engine: HttpEngine, tmp_path: Path, what: str, command: list[str]
) -> None:
    path, reply, kind = WITHOUT[what]
    engine.replies[path] = reply
    result = run(engine, tmp_path, command)
    assert result.exit_code == 3, result.output
    assert kind in result.output
    assert "missing" in result.output or "neither" in result.output


def test_df_is_incomplete_without_what_images_take(engine: HttpEngine, tmp_path: Path) -> None:
    engine.replies["/system/df"] = {**replies.DISK_USAGE, "ImageUsage": {"TotalCount": 1, "TotalSize": 3000}}
    result = run(engine, tmp_path, ["df"])
    assert "what images take is not known" in result.output
    assert result.exit_code == 3
