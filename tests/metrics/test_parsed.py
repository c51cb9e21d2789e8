"""Files are parsed anew when one of them says something else, and only then."""

import pytest

from watchd.metrics.formats import Malformed, Read, number, single_value
from watchd.metrics.parsed import Parsed


class Files:
    """Files, and how often they were parsed."""

    def __init__(self, **contents: bytes | None) -> None:
        self.contents: dict[str, bytes | None] = dict(contents)
        self.parsed = 0

    def read(self, name: str) -> bytes | None:
        return self.contents[name]

    def sum(self, read: Read) -> list[int]:
        self.parsed += 1
        return [number(read("first") or b""), single_value(read("second")) or 0]


@pytest.fixture
def files() -> Files:
    return Files(first=b"1\n", second=b"2\n")


def test_what_says_the_same_is_not_parsed_again(files: Files) -> None:
    parsed: Parsed[list[int]] = Parsed(files.read, files.sum)
    first = parsed.now()
    assert first == [1, 2]
    assert parsed.now() is first
    assert files.parsed == 1


@pytest.mark.parametrize(
    ("name", "says", "sums"), [("first", b"7", [7, 2]), ("second", b"7", [1, 7]), ("second", None, [1, 0])]
)
def test_any_file_that_says_something_else_counts(files: Files, name: str, says: bytes | None, sums: list[int]) -> None:
    parsed: Parsed[list[int]] = Parsed(files.read, files.sum)
    parsed.now()
    files.contents[name] = says
    assert parsed.now() == sums
    assert parsed.now() == sums
    assert files.parsed == 2


def test_what_cannot_be_parsed_is_not_remembered(files: Files) -> None:
    parsed: Parsed[list[int]] = Parsed(files.read, files.sum)
    parsed.now()
    files.contents["first"] = b"x"
    for _ in range(2):
        with pytest.raises(Malformed):
            parsed.now()
    files.contents["first"] = b"1\n"
    assert parsed.now() == [1, 2]


def test_a_file_is_read_once_each_time(files: Files) -> None:
    read: list[str] = []

    def reading(name: str) -> bytes | None:
        read.append(name)
        return files.read(name)

    parsed: Parsed[list[int]] = Parsed(reading, files.sum)
    for first in (b"1", b"1", b"3"):
        files.contents["first"] = first
        parsed.now()
    assert read == ["first", "second"] * 3


def test_what_is_known_is_not_read(files: Files) -> None:
    del files.contents["second"]
    parsed: Parsed[list[int]] = Parsed(files.read, files.sum, {"second": b"5\n"})
    assert parsed.now() == [1, 5]
    files.contents["first"] = b"3\n"
    assert parsed.now() == [3, 5]
