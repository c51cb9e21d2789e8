"""Layers of images for a run: the list lacks them, so each image whose layers are not on record is inspected once."""

import logging
from collections.abc import Collection
from dataclasses import replace

import requests

from watchd.engine.client import EngineClient
from watchd.errors import EngineError, EngineRefused
from watchd.model import EngineView, Image
from watchd.runtime.watchdog import Pool

logger = logging.getLogger(__name__)

_AT_ONCE = 8


def with_layers(view: EngineView, client: EngineClient, known: Collection[str]) -> EngineView:
    """Return the view with the layers of its images, but for those `known` by ID. What has gone since is left out.

    Where an inspect fails, the layers stay unknown.
    """
    unknown = [image for image in view.images if image.id not in known]
    if not unknown:
        return view
    with Pool(_AT_ONCE, "watchd-layers", "inspecting images") as pool:
        inspected = client.progress(pool.map(lambda image: _inspected(client, image), unknown), len(unknown))
        found = {before.id: after for before, after in zip(unknown, inspected, strict=True)}
    failed = sum(1 for image in found.values() if image is not None and image.layers is None)
    if failed:
        logger.warning("%d images cannot be inspected, so what is built on which is not known", failed)
    images = (found.get(image.id, image) for image in view.images)
    return replace(view, images=tuple(image for image in images if image is not None))


def _inspected(client: EngineClient, listed: Image) -> Image | None:
    try:
        now = client.image(listed.id)
        return replace(listed, layers=now.layers, pulled=now.pulled)
    except EngineRefused as error:
        return None if error.status == requests.codes.not_found else listed
    except EngineError as error:
        logger.debug("%s: %s", listed.id, error)
        return listed
