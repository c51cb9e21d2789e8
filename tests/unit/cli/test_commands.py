"""Commands that end before they reach an engine."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.harness.command import watchd_here
from tests.harness.watchd_process import write_config
from watchd.cli import main
from watchd.store import Removal, Store


@pytest.fixture
def in_kolkata(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Half an hour from full hours, and without summer time."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_kolkata")
def test_history_shows_local_time_with_its_zone_and_what_began_the_run(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path)) as store:
        scheduled = Removal(
            engine="e",
            time=1767225600.0,
            plan_id="p",
            kind="image",
            id="sha256:1",
            name="a:1",
            names=(),
            action="remove",
            labels={},
            policy="p",
            reason="r",
            facts={},
            bytes=5,
            trigger="schedule",
        )
        for row in (scheduled, replace(scheduled, trigger=None)):
            store.record_outcome(store.record(row), "removed", "")
    environment = {"WATCHD_STATE__DIRECTORY": str(tmp_path)}
    local, utc = (watchd_here("history", *options, **environment).stdout for options in ([], ["--utc"]))
    assert [line.split()[0] for line in local.splitlines()[1:3]] == ["2026-01-01T05:30:00+05:30"] * 2
    assert [line.split()[0] for line in utc.splitlines()[1:3]] == ["2026-01-01T00:00:00Z"] * 2
    assert [line.split()[5] for line in local.splitlines()[1:3]] == ["schedule", "unknown"]
    rows = json.loads(watchd_here("history", "--json", **environment).stdout)
    assert [row["trigger"] for row in rows] == ["schedule", None]
    assert {row["time"] for row in rows} == {"2026-01-01T00:00:00Z"}


@pytest.mark.parametrize("arguments", [["--since", "7"], ["--since", "20-01T"], ["--kind", "pod"]])
def test_history_refuses_what_it_cannot_read(tmp_path: Path, arguments: list[str]) -> None:
    refused = watchd_here("history", *arguments, WATCHD_STATE__DIRECTORY=str(tmp_path))
    assert refused.returncode == 2
    assert arguments[0] in refused.stderr


def test_of_an_unknown_command_the_nearest_one_is_named() -> None:
    refused = watchd_here("prun")
    assert refused.returncode == 2
    assert "No such command 'prun'. (did you mean 'prune'?)" in refused.stderr
    assert "did you mean" not in watchd_here("xyzzy").stderr


def test_an_engine_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    config = write_config(tmp_path, f"unix://{tmp_path}/none.sock")
    result = watchd_here("prune", "-c", config, "-n")
    assert result.returncode == 1
    assert f"the engine at unix://{tmp_path}/none.sock cannot be reached: No such file or directory" in result.stderr
    assert "`watchd config show` says where this address comes from" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_engine_that_does_not_answer(tmp_path: Path) -> None:
    config = write_config(tmp_path, f"unix://{tmp_path}/nothing.sock")
    result = watchd_here("top", "--once", "-c", config)
    assert (result.returncode, result.stdout) == (1, "")
    assert f"{tmp_path}/nothing.sock" in result.stderr
    assert "no watchd is running on this state directory" in result.stderr


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ('[http]\nlisten = "[fe80::1%lo]:10210"\n', "http.listen: cannot listen on [fe80::1%lo]:10210: "),
        ('[http]\nlisten = [":1", "unix:///nowhere/w.sock"]\n', "http.listen: cannot listen on unix:///nowhere/w.sock"),
        ('[metrics]\nsource = "cgroup"\nprocfs = "/nowhere"\n', "metrics.procfs: /nowhere is no /proc"),
        ('[metrics]\nsource = "cgroup"\ncgroupfs = "/nowhere"\n', "metrics.cgroupfs: there is no directory /nowhere"),
    ],
)
def test_the_check_refuses_what_the_daemon_would_refuse(tmp_path: Path, settings: str, problem: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(settings)
    checked = watchd_here("config", "check", "-c", file)
    assert checked.returncode == 2
    assert f"  {problem}" in checked.stderr
    assert len(checked.stderr.splitlines()) == 2


def shown_commands(group: click.Group, *names: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the commands with their help."""
    yield names, CliRunner().invoke(main, [*names, "--help"], terminal_width=80).output
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from shown_commands(command, *names, name)
        else:
            yield (*names, name), CliRunner().invoke(main, [*names, name, "--help"], terminal_width=80).output


def test_help_has_whole_sentences_in_80_columns() -> None:
    for names, text in shown_commands(main):
        assert text.startswith("Usage: "), names
        assert "..." not in text.partition("\n")[2], names
        assert max(map(len, text.splitlines())) <= 80, names
