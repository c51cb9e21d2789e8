"""The last result of `df --deep`."""

from pathlib import Path

import pytest

from watchd.errors import StateError
from watchd.store import last_walk


def test_the_last_result_replaces_the_one_before(tmp_path: Path) -> None:
    assert last_walk.load(tmp_path) is None
    for result in ({"files": 1, "notes": ["x" * 5000]}, {"files": 2}):
        last_walk.save(tmp_path, result)
        assert last_walk.load(tmp_path) == result
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_without_a_state_directory_nothing_is_kept(tmp_path: Path) -> None:
    last_walk.save(tmp_path / "none", {"files": 1})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_cannot_be_read_is_no_result(tmp_path: Path, content: bytes) -> None:
    last_walk.save(tmp_path, {})
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    assert last_walk.load(tmp_path) is None


def test_no_link_is_followed(tmp_path: Path) -> None:
    """Root may run `df --deep` on the directory of a service user."""
    state, secret = tmp_path / "state", tmp_path / "secret"
    state.mkdir()
    secret.write_text("{}")
    for name in ("df-deep.json", "df-deep.json.new"):
        (state / name).symlink_to(secret)
    assert last_walk.load(state) is None
    with pytest.raises(StateError, match="symbolic link"):
        last_walk.save(state, {"files": 1})
    assert secret.read_text() == "{}"
