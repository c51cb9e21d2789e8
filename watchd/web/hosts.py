"""Which names a request may call this server by.

A web page of anywhere can give its own name this machine's address (DNS rebinding), and the browser then lets it read
what is here. It cannot keep the browser from saying that name in `Host`.
"""

import socket
from collections.abc import Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address

# Names that no one outside can have: of this machine, of a container network, of a Docker host as containers see it.
_LOCAL = ("localhost", "*.localhost")
_PRIVATE = ("*.internal",)


class Hosts:
    """The names of one server: addresses, this machine's own name, and what the configuration allows.

    Where it listens for others too, also names without a dot, which are those of Compose's and Swarm's services.
    """

    def __init__(self, listen: str, allowed: Sequence[str]) -> None:
        self._for_others = not is_loopback(listen)
        own = (socket.gethostname(), _name(listen))
        self._globs = [*_LOCAL, *(_PRIVATE if self._for_others else ()), *map(str.lower, (*own, *allowed))]

    def accept(self, header: str) -> bool:
        """Whether a request may have this `Host`."""
        name = _name(header)
        if _is_address(name) or (self._for_others and name and "." not in name):
            return True
        return any(fnmatchcase(name, glob) for glob in self._globs)


def is_loopback(listen: str) -> bool:
    """Whether only this machine reaches an address to listen on."""
    name = _name(listen)
    return name == "localhost" or (_is_address(name) and ip_address(name).is_loopback)


def _name(host: str) -> str:
    """Return the host of "host:port", in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
