"""The daemon's state directory, for the command that asks whether the daemon lives."""

from pathlib import Path

import pytest

from watchd.config.load import load
from watchd.config.schema.config import State
from watchd.config.state_directory import state_directory


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "c.toml"


@pytest.mark.parametrize("written", ["", '[state]\ndirectory = "/there"', '[state]\nmax_size = "1GiB"'])
@pytest.mark.parametrize("variable", [None, "WATCHD_STATE__DIRECTORY", "watchd_state__directory"])
@pytest.mark.parametrize("value", ["/elsewhere", "below/here", ""])
def test_it_is_the_one_that_the_daemon_takes(
    written: str, variable: str | None, value: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(written)
    if variable is not None:
        monkeypatch.setenv(variable, value)
    assert state_directory(file) == load(file).state.resolve()
    assert state_directory(None) == load(None).state.resolve()


def test_it_is_told_where_the_rest_of_the_configuration_cannot_be_used(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('[state]\ndirectory = "/there"\n[cleanup]\nschedule = 5\n')
    assert state_directory(file) == Path("/there")
    file.write_text("users = {")
    monkeypatch.setenv("WATCHD_STATE__DIRECTORY", "/elsewhere")
    assert state_directory(file) == Path("/elsewhere")


@pytest.mark.parametrize("content", [b"users = {", b"\xff", b"[state]\ndirectory = 5", b"state = 5", None])
def test_it_is_the_default_where_nothing_tells(content: bytes | None, file: Path) -> None:
    if content is not None:
        file.write_bytes(content)
    assert state_directory(file) == State().resolve()
