"""A bar shows how far the first look is, where a person waits for it."""

import io
import sys

import pytest

from watchd.cli.progress import inspecting_progress, walking_progress
from watchd.engine.deep.walk import Walk


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("count", "stream", "shown"), [(100, Terminal(), True), (99, Terminal(), False), (100, io.StringIO(), False)]
)
def test_many_images_have_a_bar_on_a_terminal(
    count: int, stream: io.StringIO, *, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    assert list(inspecting_progress(iter(range(count)), count)) == list(range(count))
    assert ("Inspecting images" in stream.getvalue()) is shown


@pytest.mark.parametrize(
    ("count", "stream", "shown"), [(20, Terminal(), True), (19, Terminal(), False), (20, io.StringIO(), False)]
)
def test_a_walk_of_many_parts_has_a_bar_on_a_terminal_that_tells_the_files(
    count: int, stream: io.StringIO, *, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    walk, passed = Walk(()), []
    for part in walking_progress(range(count), walk):
        passed.append(part)
        walk.files += 1000
        walk.on_files()
    assert passed == list(range(count))
    assert ("Walking" in stream.getvalue()) is shown
    assert (f"{count}000 files" in stream.getvalue()) is shown
