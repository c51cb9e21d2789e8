"""Sockets to listen on, from `[http] listen`."""

import os
import socket
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from watchd.errors import WatchdError
from watchd.http.access import error_reason
from watchd.http.private import short_path

BACKLOG = 256
_UNIX = "unix://"


def listen(address: str) -> socket.socket:
    """Listen on "host:port", on ":port" or "[::]:port" (IPv4 and IPv6), or on "unix:///path". Raise `WatchdError`."""
    try:
        return _listen_on_unix(_path(address)) if is_unix(address) else _listen_on_tcp(address, _port(address))
    except OSError as error:
        raise WatchdError(f"{_cannot(address, error)} (set [http] listen, or WATCHD_HTTP__LISTEN)") from None


def problems(addresses: Iterable[str]) -> Iterator[str]:
    """Yield why this machine cannot listen on an address, as far as can be told beside a watchd that does."""
    for address in addresses:
        try:
            if not is_unix(address):
                _listen_on_tcp(address, 0).close()
            elif not os.access(_path(address).parent, os.W_OK | os.X_OK):
                yield f"http.listen: cannot listen on {address}: {_path(address).parent} is no directory to write to"
            elif _path(address).exists() and not stat.S_ISSOCK(_path(address).stat().st_mode):
                yield f"http.listen: cannot listen on {address}: there is a file of another kind"
        except OSError as error:
            yield f"http.listen: {_cannot(address, error)}"


def is_unix(address: str) -> bool:
    """Return whether it is a UNIX socket."""
    return address.startswith(_UNIX)


def remove(address: str) -> None:
    """Remove the file of a UNIX socket."""
    if is_unix(address):
        _path(address).unlink(missing_ok=True)


def _listen_on_tcp(address: str, port: int) -> socket.socket:
    host = address.rpartition(":")[0].strip("[]")
    if host in ("", "::") and socket.has_dualstack_ipv6():
        return socket.create_server(("::", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True)
    family, *_, where = socket.getaddrinfo(
        host or "0.0.0.0",  # noqa: S104 - it was asked for
        port,
        type=socket.SOCK_STREAM,
        flags=socket.AI_PASSIVE,
    )[0]
    return socket.create_server(where, family=family, backlog=BACKLOG)  # with the zone of a link-local address


def _listen_on_unix(path: Path) -> socket.socket:
    """Listen for the user and the group of this process. A file that a killed watchd left is replaced."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket() and not _is_answered(path):
            path.unlink()
        os.fchmod(listening.fileno(), 0o600)  # the mode that bind() gives the file
        with short_path(path) as short:
            listening.bind(short)
        _open_to_the_group(path)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _open_to_the_group(path: Path) -> None:
    """Give the file the mode 0660, whatever the umask; a link in its place is not followed."""
    file = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if stat.S_ISSOCK(os.fstat(file).st_mode):
            Path(f"/proc/self/fd/{file}").chmod(0o660)
    finally:
        os.close(file)


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client, short_path(path) as short:
        return client.connect_ex(short) == 0


def _cannot(address: str, error: OSError) -> str:
    return f"cannot listen on {address}: {error_reason(error)}"


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _path(address: str) -> Path:
    return Path(address.removeprefix(_UNIX))
