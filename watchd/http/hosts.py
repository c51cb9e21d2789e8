"""Host names that requests may use, against DNS rebinding.

A foreign web page can make its own name resolve to this machine, and the browser then lets it read this server. But the
browser sends that name in `Host`.
"""

import logging
import socket
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address
from pathlib import Path

logger = logging.getLogger(__name__)

_MOST_LOGGED = 20  # names
_LONGEST_NAME = 100

# Names that public DNS cannot have: this machine, container networks, the Docker host as seen from containers.
_LOCAL = ("localhost", "*.localhost")
_PRIVATE = ("*.internal",)


class Hosts:
    """Accepted host names: IP addresses, this machine's name, and those of the configuration.

    A server that other machines reach also accepts names without a dot: those of Compose and Swarm services.
    """

    def __init__(self, addresses: Sequence[str], allowed: Sequence[str], etc: Path = Path("/etc")) -> None:
        self._is_public = not all(map(is_local, addresses))
        own = (*_names_of_this_machine(etc), *map(_name, addresses))
        self._logged: set[str] = set()
        self._globs = [*_LOCAL, *(_PRIVATE if self._is_public else ()), *map(str.lower, (*own, *allowed))]

    def accept(self, header: str) -> bool:
        """Check the `Host` header of a request."""
        name = _name(header)
        if _is_address(name) or (self._is_public and name and "." not in name):
            return True
        accepted = any(fnmatchcase(name, glob) for glob in self._globs)
        if not accepted:
            self._log(name)
        return accepted

    def _log(self, name: str) -> None:
        """Log a name that was refused: once, and few of them, since anyone can send any."""
        if name not in self._logged and len(self._logged) < _MOST_LOGGED:
            self._logged.add(name)
            logger.warning(
                "a request for the host name %r was refused (421): if that is a name of this server, add it to"
                " [http] allowed_hosts",
                name[:_LONGEST_NAME],
            )


def _names_of_this_machine(etc: Path) -> Iterator[str]:
    """Yield its host name and its full names: those in `hosts`, and with the domains in `resolv.conf`.

    DNS is not asked: it may take seconds to fail.
    """
    name = socket.gethostname().lower()
    yield name
    for words in _lines(etc / "hosts"):
        if name in words[1:]:
            yield from words[1:]
    for key, *domains in _lines(etc / "resolv.conf"):
        if key in ("search", "domain"):
            yield from (f"{name}.{domain.strip('.')}" for domain in domains if domain.strip("."))


def _lines(file: Path) -> Iterator[list[str]]:
    try:
        text = file.read_text(errors="replace")
    except OSError:
        return
    for line in text.lower().splitlines():
        words = line.partition("#")[0].split()
        if len(words) > 1:
            yield words


def is_local(address: str) -> bool:
    """Return whether only this machine can connect to an address."""
    if address.startswith("unix://"):
        return True
    name = _name(address)
    return name == "localhost" or (_is_address(name) and ip_address(name).is_loopback)


def _name(host: str) -> str:
    """Return the host of "host:port" in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
