"""Images for several platforms with attestations, as an archive in OCI's layout for `docker load`."""

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Sequence
from typing import Any

INDEX, MANIFEST = "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json"
_CONFIG, _LAYER = "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip"
_IN_TOTO = "application/vnd.in-toto+json"


def archive(reference: str, architectures: Sequence[str], *, size: int = 100_000) -> bytes:
    """Return an archive of an image with a layer of `size` bytes and an attestation for each architecture."""
    blobs: dict[str, bytes] = {}

    def kept(media_type: str, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def written(media_type: str, content: Any) -> dict[str, Any]:
        return kept(media_type, json.dumps(content).encode())

    manifests = []
    for architecture in architectures:
        platform = {"architecture": architecture, "os": "linux"}
        layer = _tar({"content": os.urandom(size)})
        digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
        root_fs = {"type": "layers", "diff_ids": [digest]}
        step = {"created": "2026-01-01T00:00:00Z", "created_by": f"COPY content /content # {digest}"}
        config = written(_CONFIG, {**platform, "config": {"Cmd": ["true"]}, "rootfs": root_fs, "history": [step]})
        parts = {"config": config, "layers": [kept(_LAYER, gzip.compress(layer))]}
        image = written(MANIFEST, {"schemaVersion": 2, "mediaType": MANIFEST, **parts})
        manifests.append({**image, "platform": platform})
        manifests.append(_attestation(image["digest"], written))
    index = written(INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})
    named = {**index, "annotations": {"io.containerd.image.name": reference}}
    layout = {
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "index.json": json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]}).encode(),
    }
    return _tar({**layout, **blobs})


def _attestation(of: str, written: Any) -> dict[str, Any]:
    """Return the descriptor of an attestation of the image with this digest, as BuildKit writes one."""
    statement = {"_type": "https://in-toto.io/Statement/v0.1", "subject": [{"name": of}], "predicate": {}}
    config = written(_CONFIG, {"architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers"}, "of": of})
    parts = {"config": config, "layers": [written(_IN_TOTO, statement)]}
    manifest = written(MANIFEST, {"schemaVersion": 2, "mediaType": MANIFEST, **parts})
    annotations = {"vnd.docker.reference.digest": of, "vnd.docker.reference.type": "attestation-manifest"}
    return {**manifest, "annotations": annotations, "platform": {"architecture": "unknown", "os": "unknown"}}


def _tar(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()
