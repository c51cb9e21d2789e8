"""Files are parsed anew when one of them says something else, and only then."""

from collections.abc import Sequence

import pytest

from watchd.kernel.parse.formats import Malformed, Read, number, single_value
from watchd.kernel.parsed import Parsed


class Files:
    """Files, and how often they were parsed."""

    def __init__(self, **contents: bytes | None) -> None:
        self.contents: dict[str, bytes | None] = dict(contents)
        self.parsed = 0

    def read(self, name: str) -> bytes | None:
        return self.contents[name]

    def read_all(self, names: Sequence[str]) -> list[bytes | None]:
        return [self.read(name) for name in names]

    def sum(self, read: Read, _: object) -> list[int]:
        self.parsed += 1
        return [number(read("first") or b""), single_value(read("second")) or 0]


@pytest.fixture
def files() -> Files:
    return Files(first=b"1\n", second=b"2\n")


def test_what_says_the_same_is_not_parsed_again(files: Files) -> None:
    parsed: Parsed[list[int]] = Parsed(files, files.sum)
    first = parsed.now()
    assert first == [1, 2]
    assert parsed.now() is first
    assert files.parsed == 1


@pytest.mark.parametrize(
    ("name", "says", "sums"), [("first", b"7", [7, 2]), ("second", b"7", [1, 7]), ("second", None, [1, 0])]
)
def test_any_file_that_says_something_else_counts(files: Files, name: str, says: bytes | None, sums: list[int]) -> None:
    parsed: Parsed[list[int]] = Parsed(files, files.sum)
    parsed.now()
    files.contents[name] = says
    assert parsed.now() == sums
    assert parsed.now() == sums
    assert files.parsed == 2


def test_what_cannot_be_parsed_is_not_remembered(files: Files) -> None:
    parsed: Parsed[list[int]] = Parsed(files, files.sum)
    parsed.now()
    files.contents["first"] = b"x"
    for _ in range(2):
        with pytest.raises(Malformed):
            parsed.now()
    files.contents["first"] = b"1\n"
    assert parsed.now() == [1, 2]


class Counted(Files):
    """Files, and which were read."""

    def __init__(self, **contents: bytes | None) -> None:
        super().__init__(**contents)
        self.were_read: list[str] = []

    def read(self, name: str) -> bytes | None:
        self.were_read.append(name)
        return super().read(name)


def test_a_file_is_read_once_each_time() -> None:
    files = Counted(first=b"1\n", second=b"2\n")
    parsed: Parsed[list[int]] = Parsed(files, files.sum)
    for first in (b"1", b"1", b"3"):
        files.contents["first"] = first
        parsed.now()
    assert files.were_read == ["first", "second"] * 3


def test_a_file_that_is_not_there_is_asked_for_when_others_say_something_else() -> None:
    files = Counted(first=b"1\n", second=None)
    parsed: Parsed[list[int]] = Parsed(files, files.sum)
    assert [parsed.now(), parsed.now()] == [[1, 0], [1, 0]]
    assert files.were_read == ["first", "second", "first"]
    files.contents["first"] = b"3"
    assert parsed.now() == [3, 0]
    assert files.were_read[3:] == ["first", "second"]


def test_what_is_known_is_not_read(files: Files) -> None:
    del files.contents["second"]
    parsed: Parsed[list[int]] = Parsed(files, files.sum, known={"second": b"5\n"})
    assert parsed.now() == [1, 5]
    files.contents["first"] = b"3\n"
    assert parsed.now() == [3, 5]


def test_no_record_is_not_kept() -> None:
    """As of the network of a process whose first thread has ended: nothing is there that could say something else."""
    files = Files(first=None)
    parsed: Parsed[bytes | None] = Parsed(files, lambda read, _: read("first"))
    assert parsed.now() is None
    files.contents["first"] = b"1"
    assert parsed.now() == b"1"
