"""Databases of bbolt: what was written is read, and what does not fit together is refused."""

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.engine.deep.bolt_file import PAGE, bolt_file
from watchd.engine.deep import database
from watchd.engine.deep.bolt import Bucket, File, Torn

KEYS = st.binary(min_size=1, max_size=40)
TREES = st.recursive(
    st.dictionaries(KEYS, st.binary(max_size=1200), max_size=8),
    lambda inner: st.dictionaries(KEYS, st.one_of(st.binary(max_size=60), inner), max_size=8),
    max_leaves=12,
)
MANY: dict[str, Any] = {"v1": {f"{number:05}": {"id": b"%d" % number} for number in range(3000)}}


def plain(bucket: Bucket, depth: int = 0) -> dict[bytes, Any]:
    """Return all that is in a bucket; a damaged one may be in itself."""
    if depth > 10:
        return {}
    return {key: plain(value, depth + 1) if isinstance(value, Bucket) else value for key, value in bucket}


@settings(max_examples=50)
@given(TREES)
def test_all_that_was_written_is_read(tree: dict[bytes, Any]) -> None:
    assert plain(File.of(bolt_file(tree)).root) == tree


def test_a_tall_tree_is_read_in_order() -> None:
    root = File.of(bolt_file(MANY)).root
    keys = [key for key, _ in root.below("v1")]
    assert keys == sorted(MANY["v1"])
    found = root.bucket("v1", "02345")
    assert found is not None
    assert found.values() == {"id": b"2345"}
    assert root.bucket("v1", "none", "further") is None
    assert list(root.below("v2")) == []


@settings(max_examples=50)
@given(TREES, st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(tree: dict[bytes, Any], data: st.DataObject) -> None:
    written = bytearray(bolt_file(tree))
    for _ in range(data.draw(st.integers(1, 4))):
        written[data.draw(st.integers(0, len(written) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(written)))
    with suppress(Torn):
        plain(File.of(bytes(written[:end])).root)


def test_the_newer_meta_page_counts_and_the_older_one_if_that_was_being_written() -> None:
    written = bytearray(bolt_file({"key": b"value"}))
    assert plain(File.of(bytes(written)).root) == {b"key": b"value"}
    written[PAGE + 40] ^= 1
    assert plain(File.of(bytes(written)).root) == {}
    written[40] ^= 1
    with pytest.raises(Torn):
        File.of(bytes(written))


def test_without_its_first_page_a_file_is_read_by_its_second() -> None:
    written = bytearray(bolt_file({"key": b"value"}, page_size=4096))
    written[16] ^= 1
    assert plain(File.of(bytes(written)).root) == {b"key": b"value"}


def test_a_page_that_is_another_one_now_is_told() -> None:
    written = bytearray(bolt_file(MANY))
    page = 400 * PAGE
    written[page : page + 8] = (401).to_bytes(8, "little")
    with pytest.raises(Torn, match="page 400 says that it is page 401"):
        plain(File.of(bytes(written)).root)


def test_a_copy_is_taken_again_while_the_file_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "meta.db"
    path.write_bytes(bolt_file({"key": b"old"}))
    read, reads = os.pread, []

    def then_write(descriptor: int, size: int, at: int) -> bytes:
        data = read(descriptor, size, at)
        reads.append(size)
        if len(reads) == 2:  # the copy itself
            path.write_bytes(bolt_file({"key": b"new"}, transaction=8))
        return data

    monkeypatch.setattr(os, "pread", then_write)
    assert plain(database.read(path)) == {b"key": b"new"}


def test_a_file_that_is_always_written_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "meta.db"
    path.write_bytes(bolt_file({"key": b"value"}))
    read, numbers = os.pread, iter(range(8, 10_000))

    def then_write(descriptor: int, size: int, at: int) -> bytes:
        data = read(descriptor, size, at)
        path.write_bytes(bolt_file({"key": b"value"}, transaction=next(numbers)))
        return data

    monkeypatch.setattr(os, "pread", then_write)
    with pytest.raises(Torn, match="was written to during each of"):
        database.read(path)


def test_copies_beside_a_writer_are_whole(tmp_path: Path) -> None:
    """The writer does as bbolt: pages that nobody reads any more, then the meta page, each in place."""
    path = tmp_path / "meta.db"
    first = bolt_file({"v1": {f"{number:04}": b"a" * 100 for number in range(300)}}, transaction=2)
    path.write_bytes(first)
    stop = threading.Event()

    def write() -> None:
        descriptor = os.open(path, os.O_WRONLY)
        transaction = 2
        while not stop.is_set():
            transaction += 1
            meta = bolt_file({"v1": {f"{number:04}": b"a" * 100 for number in range(300)}}, transaction=transaction)
            os.pwrite(descriptor, meta[PAGE : 2 * PAGE], PAGE)
            stop.wait(0.01)
        os.close(descriptor)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(20):
            try:
                (bucket,) = [bucket for _, bucket in database.read(path).buckets()]
            except Torn as torn:
                assert "was written to" in str(torn)  # noqa: PT017 - both are allowed here, and this is how it looks
            else:
                assert len(bucket.values()) == 300
    finally:
        stop.set()
        writer.join()
