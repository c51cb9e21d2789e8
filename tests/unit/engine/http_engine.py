"""An engine that answers over HTTP with what a test gives it, and with nothing else."""

import http.server
import json
import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.unit.engine import replies


class HttpEngine(socketserver.ThreadingUnixStreamServer):
    """Replies by path, without the API's version; `asked` has the paths and queries as they came."""

    daemon_threads = True

    def __init__(self, path: Path, api_version: str) -> None:
        super().__init__(str(path), _Handler)
        self.host = f"unix://{path}"
        self.asked: list[str] = []
        self.refused_once: set[str] = set()  # paths that are answered with 404 the next time
        self.replies: dict[str, Any] = {
            "/version": {**replies.VERSION, "ApiVersion": api_version},
            "/info": replies.INFO,
            "/containers/json": [replies.LISTED_CONTAINER],
            f"/containers/{replies.ID}/json": replies.INSPECTED_CONTAINER,
            "/images/json": [replies.LISTED_IMAGE],
            "/volumes": {"Volumes": [replies.VOLUME]},
            "/networks": [replies.NETWORK],
            "/services": [replies.SERVICE],
            "/system/df": replies.DISK_USAGE,
        }


class _Handler(http.server.BaseHTTPRequestHandler):
    server: HttpEngine

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        path = re.sub(r"^/v[\d.]+", "", urlsplit(self.path).path)
        known = path in self.server.replies and path not in self.server.refused_once
        self.server.refused_once.discard(path)
        body = json.dumps(self.server.replies[path] if known else {"message": "no such thing"}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "fake"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(path: Path, api_version: str = "1.51") -> Iterator[HttpEngine]:
    """Run an engine at a UNIX socket."""
    with HttpEngine(path, api_version) as engine:
        threading.Thread(target=engine.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield engine
        finally:
            engine.shutdown()
