"""Requests to the daemon over the UNIX socket in its state directory: no address, password or TLS needed."""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from watchd.errors import WatchdError
from watchd.runtime.files import check

SOCKET = "watchd.sock"
TIMEOUT = 10.0  # seconds
_MAX_SOCKET_PATH = 107  # bytes: the kernel's limit


class NotRunning(WatchdError):
    """No daemon answers at the socket."""


def get(directory: Path, path: str) -> tuple[int, bytes]:
    """`GET` a path from the daemon of a state directory. Return status and body.

    Raise `NotRunning`, and `StateError` when the socket is not the daemon's.
    """
    address = directory / SOCKET
    connection = _Connection(address)
    try:
        check(address, stat.S_IFSOCK)
        with closing(connection):
            connection.request("GET", path)
            reply = connection.getresponse()
            return reply.status, reply.read()
    except PermissionError:
        reason = "it belongs to another user: run this as that user or as root"
    except (FileNotFoundError, ConnectionRefusedError):
        reason = "no watchd is running on this state directory"
    except TimeoutError:
        reason = f"the daemon did not answer within {TIMEOUT:.0f} s"
    except (OSError, HTTPException) as error:
        reason = str(error) or type(error).__name__
    raise NotRunning(f"{address}: {reason}")


@contextmanager
def short_path(socket_path: Path) -> Iterator[str]:
    """Yield a path of a UNIX socket that the kernel accepts: state directories may have longer ones."""
    if len(os.fsencode(socket_path)) <= _MAX_SOCKET_PATH:
        yield str(socket_path)
        return
    directory = os.open(socket_path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{socket_path.name}"
    finally:
        os.close(directory)


class _Connection(HTTPConnection):
    def __init__(self, address: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._address = address

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT)
        with short_path(self._address) as short:
            self.sock.connect(short)
