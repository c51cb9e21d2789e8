"""The page at `/`: the files of `watchd/web/page`, read once, and nothing else that is on the disk."""

from collections.abc import Callable
from importlib import resources
from importlib.resources.abc import Traversable

from watchd.gzipped import compressed
from watchd.web.application import Query, Response, Routes

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
# A browser runs, shows and asks what is served here, and nothing else. What is text it never reads as HTML, either.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'"
    "; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    "; require-trusted-types-for 'script'; trusted-types 'none'"
)


def routes() -> Routes:
    """Return the page's own routes: `/`, and a path below `/page/` for each of its files."""
    files = dict(_files(resources.files("watchd.web") / "page", "/page"))
    files["/"] = files.pop("/page/index.html")
    return {path: _constantly(response) for path, response in files.items()}


def _constantly(response: Response) -> Callable[[Query], Response]:
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
