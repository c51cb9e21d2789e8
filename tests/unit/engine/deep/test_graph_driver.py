"""Who holds the layers of a graph driver, by the files that Docker keeps of them."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.unit.engine.deep.bolt_file import bolt_file
from watchd.engine.deep import graph_driver
from watchd.engine.deep.bolt import Torn
from watchd.engine.deep.holders import Held, Listed

CONTAINER, GONE = "c" * 64, "d" * 64
DIFFS = [f"sha256:{number:064x}" for number in range(4)]
LISTED = Listed(frozenset({CONTAINER}), frozenset({"r" * 25}))


def chain(*diffs: str) -> str:
    """Return a chain ID as the OCI's image specification has it."""
    found = ""
    for diff in diffs:
        found = diff if not found else "sha256:" + sha256(f"{found} {diff}".encode()).hexdigest()
    return found


class Record:
    """Docker's record of its layers, in files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.layers = root / "image/overlay2/layerdb"
        (self.layers / "sha256").mkdir(parents=True)

    def layer(self, folder: str, *diffs: str) -> None:
        """Add the layer that is the last of a chain."""
        where = self.layers / "sha256" / chain(*diffs).removeprefix("sha256:")
        where.mkdir()
        (where / "cache-id").write_text(folder)
        if diffs[:-1]:
            (where / "parent").write_text(chain(*diffs[:-1]))

    def image(self, id_: str, *diffs: str) -> None:
        where = self.root / "image/overlay2/imagedb/content/sha256"
        where.mkdir(parents=True, exist_ok=True)
        (where / id_).write_text(json.dumps({"rootfs": {"type": "layers", "diff_ids": list(diffs)}}))

    def container(self, id_: str, *diffs: str) -> None:
        where = self.layers / "mounts" / id_
        where.mkdir(parents=True)
        (where / "mount-id").write_text(f"{id_[:4]}-rw")
        (where / "init-id").write_text(f"{id_[:4]}-rw-init")
        (where / "parent").write_text(chain(*diffs))

    def build_cache(self, tree: dict[str, Any]) -> None:
        (self.root / "buildkit").mkdir()
        (self.root / "buildkit/snapshots.db").write_bytes(bolt_file(tree))

    def held(self, listed: Listed = LISTED) -> dict[str, Held]:
        found = graph_driver.held(self.root, "overlay2", listed)
        assert found is not None
        return dict(found)


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record(tmp_path)


def test_an_image_holds_all_layers_of_its_chain(record: Record) -> None:
    for number in range(1, 4):
        record.layer(f"layer{number}", *DIFFS[:number])
    record.image("a" * 64, *DIFFS[:2])
    assert record.held() == {
        **dict.fromkeys(("layer1", "layer2"), Held("image", "sha256:" + "a" * 64)),
        "layer3": Held("record", chain(*DIFFS[:3]).removeprefix("sha256:")),
    }


def test_a_container_holds_its_own_layers_and_those_that_its_image_had(record: Record) -> None:
    record.layer("base", DIFFS[0])
    record.container(CONTAINER, DIFFS[0])
    record.container(GONE)
    assert record.held() == {
        **dict.fromkeys(("cccc-rw", "cccc-rw-init", "base"), Held("container", CONTAINER)),
        **dict.fromkeys(("dddd-rw", "dddd-rw-init"), Held("lost_container", GONE)),
    }


def test_buildkit_holds_its_snapshots_and_chains_unless_an_image_does(record: Record) -> None:
    record.layer("base", DIFFS[0])
    record.layer("built", *DIFFS[:2])
    record.image("a" * 64, DIFFS[0])
    record.build_cache(
        {
            "r" * 25: {"committed": b"folder", "chainid": chain(*DIFFS[:2]).encode()},
            "folder": {"iscommitted": b"", "parent": b""},
            "s" * 25: {"parent": b""},
            chain(DIFFS[0]): {},
        }
    )
    held = record.held()
    assert held["base"].holder == "image"
    assert held["folder"] == held["built"] == Held("build_cache", "r" * 25)
    assert held["s" * 25] == Held("lost_cache", "s" * 25)
    assert record.held(Listed(frozenset({CONTAINER}), None))["s" * 25].holder == "build_cache", (
        "the cache could not be listed"
    )


def test_a_layer_that_is_being_pulled_is_the_pulls(record: Record) -> None:
    half = record.layers / "tmp/write-set-1"
    half.mkdir(parents=True)
    (half / "cache-id").write_text("coming")
    assert record.held() == {"coming": Held("pull", "write-set-1")}


def test_without_a_record_nothing_is_known_and_a_damaged_one_is_told(tmp_path: Path, record: Record) -> None:
    assert graph_driver.held(tmp_path / "elsewhere", "overlay2", LISTED) is None
    (record.root / "buildkit").mkdir()
    (record.root / "buildkit/snapshots.db").write_bytes(b"\0" * 8192)
    with pytest.raises(Torn):
        record.held()


def test_layers_of_an_image_whose_file_is_damaged_are_not_nobodys(record: Record) -> None:
    record.layer("base", DIFFS[0])
    record.layer("damaged", DIFFS[1])
    record.image("a" * 64, DIFFS[0])
    (record.root / "image/overlay2/imagedb/content/sha256" / ("b" * 64)).write_text('{"rootfs": null}')
    (record.root / "image/overlay2/imagedb/content/sha256" / ("e" * 64)).write_text("")
    assert record.held()["base"].name == "sha256:" + "a" * 64
    assert record.held()["damaged"].holder == "record"
