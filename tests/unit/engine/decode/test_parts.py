"""Parts of images: platforms and attestations."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.unit.engine import replies
from tests.unit.engine.http_engine import serving
from watchd.config.schema.config import Engine as EngineConfig
from watchd.engine.client import EngineClient
from watchd.engine.decode.parts import image_parts
from watchd.model.objects.parts import Part, is_told

# As Docker 28.5.2 with containerd's store lists them: what this host runs, another platform, an attestation.
HERE = {
    "ID": "sha256:aa",
    "Available": True,
    "Size": {"Content": 100820, "Total": 207316},
    "Kind": "image",
    "ImageData": {
        "Platform": {"architecture": "amd64", "os": "linux"},
        "Size": {"Unpacked": 106496},
        "Containers": None,
    },
}
OTHER = {
    "ID": "sha256:bb",
    "Available": True,
    "Size": {"Content": 100823, "Total": 100823},
    "Kind": "image",
    "ImageData": {"Platform": {"architecture": "arm64", "os": "linux", "variant": "v8"}, "Size": {"Unpacked": 0}},
}
ATTESTATION = {
    "ID": "sha256:cc",
    "Available": True,
    "Size": {"Content": 719, "Total": 719},
    "Kind": "attestation",
    "AttestationData": {"For": "sha256:aa"},
}
ABSENT = {"ID": "sha256:dd", "Available": False, "Size": {"Content": 0, "Total": 0}, "Kind": "later"}
PARTS = (
    Part("sha256:aa", "image", available=True, size=207316, unpacked=106496, platform="linux/amd64"),
    Part("sha256:bb", "image", available=True, size=100823, platform="linux/arm64/v8"),
    Part("sha256:cc", "attestation", available=True, size=719, attests="sha256:aa"),
    Part("sha256:dd", "unknown", available=False, size=0),
)


def test_parts_are_decoded() -> None:
    assert image_parts({"Manifests": [HERE, OTHER, ATTESTATION, ABSENT]}) == PARTS
    assert image_parts({"Manifests": None}) == image_parts({}) == ()


def test_an_image_that_is_its_only_part_has_none_to_tell() -> None:
    assert not is_told(PARTS[:1])
    assert not is_told(())
    assert is_told(PARTS[:2])
    assert is_told(PARTS[2:3])


@pytest.mark.parametrize(("api_version", "expected"), [("1.46", 0), ("1.47", 1), ("1.51", 1)])
def test_only_an_engine_that_has_parts_is_asked_for_them(tmp_path: Path, api_version: str, expected: int) -> None:
    with (
        serving(tmp_path / "engine.sock", api_version) as engine,
        closing(EngineClient(EngineConfig(host=engine.host), read_only=True)) as client,
    ):
        listed: dict[str, Any] = {**replies.LISTED_IMAGE, "Manifests": [HERE, ATTESTATION]}
        engine.replies["/images/json"] = [listed]
        assert client.image_parts() == ({replies.IMAGE_ID: (PARTS[0], PARTS[2])} if expected else {})
        assert sum("manifests=1" in path for path in engine.asked) == expected
        del engine.replies["/images/json"]
        assert client.image_parts() == {}, "they are only shown"
