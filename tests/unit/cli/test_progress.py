"""A bar shows how far the first look is, where a person waits for it."""

import io
import sys

import pytest

from watchd.cli.progress import inspecting_progress


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
