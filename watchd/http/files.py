"""Files of the page at `/`: those of `watchd/http/page`, read once."""

from collections.abc import Callable
from importlib import resources
from importlib.resources.abc import Traversable

from watchd.gzipped import compressed
from watchd.http.application import Query, Response, Routes

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
# Only content of this server may be loaded, and text is never parsed as HTML.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'"
    "; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    "; require-trusted-types-for 'script'; trusted-types 'none'"
)


def routes() -> Routes:
    """Return the routes of the page: `/`, and `/page/...` for each file."""
    files = dict(_files(resources.files("watchd.http") / "page", "/page"))
    files["/"] = files.pop("/page/index.html")
    return {path: _static(response) for path, response in files.items()}


def _static(response: Response) -> Callable[[Query], Response]:
    return lambda _: response


def _files(directory: Traversable, path: str) -> list[tuple[str, Response]]:
    found = []
    for each in directory.iterdir():
        if each.is_dir():
            found += _files(each, f"{path}/{each.name}")
        else:
            content_type = _TYPES.get(each.name.rpartition(".")[2], "text/plain; charset=utf-8")
            response = Response(compressed(each.read_bytes()), content_type, gzipped=True, policy=_POLICY)
            found.append((f"{path}/{each.name}", response))
    return found
