"""An engine of 300 containers and 2,000 images that has nothing but an API, and what watching it costs a daemon."""

import json
import queue
import re
import threading
import time
from collections import Counter
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any
from urllib.parse import urlsplit

import psutil

from tests.harness.watchd_process import running, write_config

CONTAINERS, IMAGES, EVENTS = 300, 2_000, 60
INTERVAL = 0.1  # seconds between events: each is about another object
SETTLE = 5.0  # seconds
_FIXTURES = Path(__file__).parents[1] / "unit/engine/decode/fixtures"


class Server(ThreadingUnixStreamServer):
    """The engine. `pids` are those of containers that run, before those that have ended."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, socket: Path, *, image_count: int = IMAGES, ended: int = CONTAINERS, pids: Sequence[int] = ()
    ) -> None:
        self.asked: Counter[str] = Counter()
        self.events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        about = json.loads((_FIXTURES / "engine-26.1.json").read_text())
        template = json.loads((_FIXTURES / "inspect-26.1-oomkilled.json").read_text())
        self.images = [f"sha256:{number:064x}" for number in range(image_count)]
        self.containers = [f"{number:064x}" for number in range(len(pids) + ended)]
        self.replies: dict[str, Any] = {
            "/version": about["version"],
            "/info": about["info"],
            "/networks": [],
            "/volumes": {"Volumes": []},
            "/system/df": {},
        }
        shared = {"Mounts": [], "NetworkSettings": {"Networks": {}}}
        template |= {**shared, "Created": "2023-11-14T22:13:20Z"}
        listed: list[dict[str, Any]] = []
        for number, id_ in enumerate(self.containers):
            same = {"Id": id_, "Image": self.images[number % len(self.images)]}
            runs = number < len(pids)
            status, pid = ("running", pids[number]) if runs else ("exited", 0)
            state = {**template["State"], "Status": status, "Running": runs, "Pid": pid}
            self.replies[f"/containers/{id_}/json"] = {**template, **same, "Name": f"/c{number}", "State": state}
            row = {"ImageID": same["Image"], "Names": [f"/c{number}"], "State": status, "Created": 1_700_000_000}
            listed.append({**same, **row, **shared, "Labels": {}})
        self.replies["/containers/json"] = listed
        images: list[dict[str, Any]] = []
        for number, id_ in enumerate(self.images):
            image = {"Id": id_, "RepoTags": [f"i{number}:1"], "RepoDigests": [], "Size": 10_000_000}
            labels = {"number": str(number)}
            images.append({**image, "Created": 1_700_000_000, "Labels": labels})
            inspected = {**image, "Created": "2023-11-14T22:13:20Z", "Config": {"Labels": labels}}
            self.replies[f"/images/{id_}/json"] = inspected
        self.replies["/images/json"] = images
        super().__init__(str(socket), _Handler)

    def tell(self, type_: str, action: str, id_: str) -> None:
        """Send an event."""
        now = time.time_ns()
        actor = {"ID": id_, "Attributes": {"name": "x", "image": "i0:1"}}
        self.events.put({"Type": type_, "Action": action, "Actor": actor, "time": now // 10**9, "timeNano": now})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = re.sub(r"^/v[\d.]+", "", urlsplit(self.path).path)
        self.server.asked[re.sub(r"[0-9a-f]{64}", "{id}", path)] += 1
        if path == "/events":
            self._events()
            return
        reply = {} if path == "/_ping" else self.server.replies.get(path)
        body = json.dumps(reply if reply is not None else {"message": "no such object"}).encode()
        self.send_response(404 if reply is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _events(self) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        while (event := self.server.events.get()) is not None:
            self.wfile.write(json.dumps(event).encode() + b"\n")
            self.wfile.flush()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def large_host(directory: Path, command: Sequence[str | Path]) -> None:
    """Print what a daemon takes beside many containers and images, and what one event costs it."""
    socket = directory / "engine.sock"
    with Server(socket) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with running(write_config(directory, f"unix://{socket}"), command=command) as daemon:
            process = psutil.Process(daemon.process.pid)
            time.sleep(SETTLE)
            memory = process.memory_info().rss / 2**20
            print(f"  {sum(server.asked.values())} requests until everything was listed, {memory:.0f} MiB resident")
            for type_, action, ids in (("image", "tag", server.images), ("container", "stop", server.containers)):
                server.asked.clear()
                before = process.cpu_times()
                for id_ in ids[:EVENTS]:
                    server.tell(type_, action, id_)
                    time.sleep(INTERVAL)
                time.sleep(1.0)
                after = process.cpu_times()
                took = (after.user + after.system - before.user - before.system) / EVENTS * 1000
                asked = ", ".join(f"{count} {path}" for path, count in server.asked.most_common() if path != "/_ping")
                print(f"  {EVENTS} events of {type_}s: {took:.1f} ms of CPU time each; requests: {asked}")
        server.events.put(None)
        server.shutdown()
