"""The configuration checked in a process of its own, as the daemon has it done."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests import ROOT
from tests.harness.waiting import wait_until
from watchd.config import separate
from watchd.config.load import load
from watchd.errors import ConfigError, WatchdError

EVERYTHING = """
[engine]
host = "tcp://127.0.0.1:2375"
[state]
directory = "/srv/ü"
[http]
listen = ["127.0.0.1:1", "unix:///run/w.sock"]
[http.users]
anna = "$2y$10$0123456789012345678901234567890123456789012345678901a"
[metrics]
exclude.names = ["*", "!a"]
[cleanup]
quiet_hours = ["09:00-18:00"]
max_bytes = "20GiB"
[[cleanup.policies]]
name = "i"
kind = "image"
select.class = ["dangling"]
select.labels.any = ["a=*"]
when.unused_for = "0.7ms"
keep = {last = 2, per = "label:x", by = "version"}
[[cleanup.policies]]
name = "v"
kind = "volume"
select = {name = ["n*"], driver = "local"}
when.unused_for = "1d"
pressure = {high = "85%", low = "80%", total_above = "1GB", total_until = "1MB"}
[[cleanup.policies]]
name = "n"
kind = "network"
when = {unused_for = "1d"}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ünusual name.toml"


@pytest.mark.parametrize("text", ["", EVERYTHING])
def test_it_is_what_this_process_would_load(file: Path, text: str) -> None:
    file.write_text(text)
    assert separate.load(file) == load(file)
    assert separate.load(None) == load(None)
    assert separate.load(ROOT / "config.example.toml") == load(None)


def test_the_environment_overrides_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(EVERYTHING)
    monkeypatch.setenv("WATCHD_STATE__DIRECTORY", "/elsewhere")
    assert separate.load(file).state.directory == Path("/elsewhere")


def test_all_problems_are_told(file: Path) -> None:
    file.write_text('[cleanup]\ngrace = 5\njitter = "x"\n')
    with pytest.raises(ConfigError) as here:
        load(file)
    with pytest.raises(ConfigError) as there:
        separate.load(file)
    assert there.value.problems == here.value.problems
    assert len(there.value.problems) == 2


def test_no_module_of_the_current_directory_is_run(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("")
    (tmp_path / "json.py").write_text("raise SystemExit(9)\n")
    monkeypatch.chdir(tmp_path)
    assert separate.load(file) == load(file)


@pytest.fixture
def instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have a shell script run instead of Python."""

    def run(script: str) -> None:
        program = tmp_path / "program"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))

    return run


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("kill -9 $$", "not checked: its process failed: exit code -9"),
        ("echo 1st >&2; echo MemoryError >&2; exit 1", "not checked: its process failed: MemoryError"),
        ("echo []", "not checked: its process failed: exit code 0"),
        ("echo '{}'", "not checked: its process failed: exit code 0"),
        ("""echo '{"version": "99", "problems": []}'""", "watchd 99 is installed, and this is"),
    ],
)
def test_a_process_that_fails_is_an_error_and_says_nothing_of_the_file(
    instead: Callable[[str], None], script: str, told: str
) -> None:
    instead(script)
    with pytest.raises(WatchdError, match=told) as error:
        separate.load(None)
    assert error.value.exit_code == 1


def test_a_program_that_cannot_be_started_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(WatchdError, match="not checked: no process can be started"):
        separate.load(None)


def test_one_that_takes_too_long_is_ended_with_what_it_started(
    instead: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = psutil.Process(os.getpid())
    before = set(own.children(recursive=True))
    instead("sleep 1000 & sleep 1000")
    monkeypatch.setattr(separate, "TIMEOUT", 0.5)
    with pytest.raises(WatchdError, match="longer than"):
        separate.load(None)
    wait_until(lambda: set(own.children(recursive=True)) <= before, seconds=5, what="the end of what it started")


def test_it_is_in_a_session_of_its_own_with_no_secret_in_its_arguments(
    instead: Callable[[str], None], file: Path
) -> None:
    instead('echo "$@" > "$0.arguments"; ps -o sid= -p $$ > "$0.session"; exit 1')
    with pytest.raises(WatchdError, match="exit code 1"):
        separate.load(file)
    program = Path(sys.executable)
    assert program.with_name("program.arguments").read_text() == f"-P -m watchd.config {file}\n"
    assert int(program.with_name("program.session").read_text()) != os.getsid(0)
