"""What answers requests: an ASGI application that knows some paths, and GET and HEAD."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import Executor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from watchd.gzipped import compressed, decompressed
from watchd.web.access import Access
from watchd.web.connections import LONGEST_HEAD
from watchd.web.credentials import Busy

Message = MutableMapping[str, Any]
Headers = list[tuple[bytes, bytes]]

OPEN_TO_ALL = frozenset(("/healthz", "/readyz"))  # who asks whether it is well has no password, and learns no more
_GZIP_FROM = 1024  # bytes
# For a browser: nothing here is to be run (but what the page is made of), framed, guessed at or kept.
_NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]


@dataclass(frozen=True, slots=True)
class Response:
    """What a route answers with. `gzipped`: the body is compressed already, for all who can read that.

    `policy` is the Content-Security-Policy: what a browser may do with it.
    """

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: int = 200
    gzipped: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    policy: str = _NOTHING


Query = Mapping[str, str]  # of what is given twice, the last one counts
Routes = Mapping[str, Callable[[Query], Response]]


class Application:
    """Answers for who has access; without an `access` that is everyone.

    Routes run in the `pool`, since they read files.
    """

    def __init__(self, routes: Routes, pool: Executor, access: Access | None) -> None:
        self._routes = routes
        self._pool = pool
        self.access = access

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],  # noqa: ARG002 - no route reads a request's body
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer one request."""
        refused = await self._refusal(scope)
        if refused is not None:
            status, headers, body = _encoded(scope, refused)
            headers.append((b"connection", b"close"))
        else:
            route = self._routes[scope["path"]]
            query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
            answer = lambda: _encoded(scope, route(query))  # noqa: E731 - compressing takes time too, and not the loop's
            status, headers, body = await asyncio.get_running_loop().run_in_executor(self._pool, answer)
        await send({"type": "http.response.start", "status": status, "headers": [*headers, *_SECURITY]})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _refusal(self, scope: Message) -> Response | None:
        """Return what a request is refused with, None where it is to be answered."""
        refused = await self._no_access(self.access, scope) if self.access is not None else None
        if refused is not None:
            return refused
        if _size(scope) > LONGEST_HEAD:
            return Response(b"the request is too long\n", status=431)
        if scope["path"] not in self._routes:
            return Response(b"not found\n", status=404)
        if scope["method"] not in ("GET", "HEAD"):
            return Response(b"only GET and HEAD\n", status=405, headers=(("allow", "GET, HEAD"),))
        headers = dict(scope["headers"])
        if b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0":
            return Response(b"a request has no body here\n", status=413)
        return None

    async def _no_access(self, access: Access, scope: Message) -> Response | None:
        host = _only(scope["headers"], b"host")
        if host and not access.hosts.accept(host):
            return Response(b"this server has no such name: see [http] allowed_hosts\n", status=421)
        credentials = access.credentials
        if not credentials.required or scope["path"] in OPEN_TO_ALL:
            return None
        try:
            if await credentials.accept(_only(scope["headers"], b"authorization")):
                return None
        except Busy:
            text = b"too many passwords are being checked: come again\n"
            return Response(text, status=HTTPStatus.SERVICE_UNAVAILABLE, headers=(("retry-after", "2"),))
        challenges = tuple(("www-authenticate", challenge) for challenge in credentials.challenges)
        return Response(b"a user with a password, or a token, is needed\n", status=401, headers=challenges)


def _size(scope: Message) -> int:
    """Return how long a request is, about: what arrived in one piece was not bounded on its way."""
    return len(scope["raw_path"]) + len(scope["query_string"]) + sum(len(n) + len(v) + 4 for n, v in scope["headers"])


def _only(headers: Headers, wanted: bytes) -> str:
    """Return the value of a header, nothing where there is none, or more than one."""
    values = [value for name, value in headers if name == wanted]
    return values[0].decode("latin-1") if len(values) == 1 else ""


def _encoded(scope: Message, response: Response) -> tuple[int, Headers, bytes]:
    """Return status, headers and body, compressed where that is worth while and the client can read it."""
    body = response.body
    headers = [
        (b"content-type", response.content_type.encode()),
        (b"content-security-policy", response.policy.encode()),
    ]
    headers += [(name.encode(), value.encode()) for name, value in response.headers]
    if response.gzipped or len(body) >= _GZIP_FROM:
        headers.append((b"vary", b"accept-encoding"))
        if _accepts_gzip(scope["headers"]):
            headers.append((b"content-encoding", b"gzip"))
            body = body if response.gzipped else compressed(body)
        elif response.gzipped:
            body = decompressed(body)
    headers.append((b"content-length", str(len(body)).encode()))
    return response.status, headers, body


def _accepts_gzip(headers: Headers) -> bool:
    accepted = b",".join(value for name, value in headers if name == b"accept-encoding").lower()
    for coding in accepted.split(b","):
        name, _, weight = coding.partition(b";")
        if name.strip() in (b"gzip", b"*"):
            return weight.replace(b" ", b"") not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000")
    return False
