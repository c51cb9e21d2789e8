"""ASGI application: access checks, routing, compression, security headers. GET and HEAD only."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import Executor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from watchd.gzipped import compressed, decompressed
from watchd.http.access import Access
from watchd.http.connections import MAX_HEAD_SIZE
from watchd.http.credentials import Busy

Message = MutableMapping[str, Any]
Headers = list[tuple[bytes, bytes]]

NO_LOGIN = frozenset(("/healthz", "/readyz"))  # for health checks, which have no password
_MIN_GZIP_SIZE = 1024  # bytes
_LOGIN = "A login is required: user and password, or a token."
_LOGIN_PAGE = (  # what a browser shows when nobody logs in
    '<!doctype html><html lang="en"><head><title>Login · watchd</title><meta name="color-scheme" content="light dark">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"></head>'
    f"<body><main><h1>watchd</h1><p>{_LOGIN}</p></main></body></html>\n"
)
# Browsers must not run, frame, sniff or cache responses; only the files of the page have a wider policy.
_NO_CONTENT = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]


@dataclass(frozen=True, slots=True)
class Response:
    """Response of a route. `gzipped`: `body` is compressed already. `policy`: its Content-Security-Policy."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: int = 200
    gzipped: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    policy: str = _NO_CONTENT


Query = Mapping[str, str]  # of a repeated parameter, the last value
Routes = Mapping[str, Callable[[Query], Response]]


class Application:
    """Answer requests that pass the checks of `access`; None: no checks.

    It never changes: a reload makes a new one for new connections, and a request is answered by the one it began with.
    Routes run in `pool`, since they read files, and password checks in `checker`.
    """

    def __init__(self, routes: Routes, pool: Executor, checker: Executor, access: Access | None) -> None:
        self._routes = routes
        self._pool = pool
        self._checker = checker
        self.access = access

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],  # noqa: ARG002 - no route reads a request's body
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer one request."""
        refusal = await self._refusal(scope)
        if refusal is not None:
            status, headers, body = _encoded(scope, refusal)
            headers.append((b"connection", b"close"))
        else:
            route = self._routes[scope["path"]]
            query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
            answer = lambda: _encoded(scope, route(query))  # noqa: E731 - compression would block the loop, too
            status, headers, body = await asyncio.get_running_loop().run_in_executor(self._pool, answer)
        await send({"type": "http.response.start", "status": status, "headers": [*headers, *_SECURITY]})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _refusal(self, scope: Message) -> Response | None:
        """Return the error response to a request that is not passed to its route."""
        denied = await self._denied(self.access, scope) if self.access is not None else None
        if denied is not None:
            return denied
        if _size(scope) > MAX_HEAD_SIZE:
            return Response(b"the request is too long\n", status=431)
        if scope["path"] not in self._routes:
            return Response(b"not found\n", status=404)
        if scope["method"] not in ("GET", "HEAD"):
            return Response(b"only GET and HEAD are allowed\n", status=405, headers=(("allow", "GET, HEAD"),))
        headers = dict(scope["headers"])
        if b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0":
            return Response(b"a request must not have a body\n", status=413)
        return None

    async def _denied(self, access: Access, scope: Message) -> Response | None:
        host = _only(scope["headers"], b"host")
        if host and access.hosts is not None and not access.hosts.accept(host):
            return Response(b"unknown host name: see [http] allowed_hosts\n", status=421)
        credentials = access.credentials
        if not credentials.required or scope["path"] in NO_LOGIN:
            return None
        try:
            if await credentials.accept(_only(scope["headers"], b"authorization"), self._checker):
                return None
        except Busy:
            text = b"too many passwords are being checked: try again\n"
            return Response(text, status=HTTPStatus.SERVICE_UNAVAILABLE, headers=(("retry-after", "2"),))
        challenges = tuple(("www-authenticate", challenge) for challenge in credentials.challenges)
        if b"text/html" in dict(scope["headers"]).get(b"accept", b""):
            return Response(_LOGIN_PAGE.encode(), "text/html; charset=utf-8", 401, headers=challenges)
        return Response(f"{_LOGIN}\n".encode(), status=401, headers=challenges)


def _size(scope: Message) -> int:
    """Return about how many bytes the head of a request has: h11 does not limit one that arrives in one piece."""
    return len(scope["raw_path"]) + len(scope["query_string"]) + sum(len(n) + len(v) + 4 for n, v in scope["headers"])


def _only(headers: Headers, wanted: bytes) -> str:
    """Return the value of a header, or "" if it is missing or repeated."""
    values = [value for name, value in headers if name == wanted]
    return values[0].decode("latin-1") if len(values) == 1 else ""


def _encoded(scope: Message, response: Response) -> tuple[int, Headers, bytes]:
    """Return status, headers and body, compressed if that saves something and the client accepts it."""
    body = response.body
    headers = [
        (b"content-type", response.content_type.encode()),
        (b"content-security-policy", response.policy.encode()),
    ]
    headers += [(name.encode(), value.encode()) for name, value in response.headers]
    if response.gzipped or len(body) >= _MIN_GZIP_SIZE:
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
