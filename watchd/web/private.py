"""Asking the daemon that runs on a state directory, by its UNIX socket there: no address, no password, no TLS."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from watchd.errors import WatchdError

SOCKET = "watchd.sock"
TIMEOUT = 10.0  # seconds
_LONGEST_NAME = 107  # bytes


class NotRunning(WatchdError):
    """No daemon answers on the state directory."""


def ask(directory: Path, path: str) -> tuple[int, bytes]:
    """`GET` a path of the daemon whose state is in `directory`. Return status and body. Raise `NotRunning`."""
    address = directory / SOCKET
    connection = _Connection(address)
    try:
        with closing(connection):
            connection.request("GET", path)
            reply = connection.getresponse()
            return reply.status, reply.read()
    except PermissionError:
        why = "it is another user's: ask as that user, or as root"
    except (FileNotFoundError, ConnectionRefusedError):
        why = "no watchd is running on that state directory"
    except TimeoutError:
        why = f"the daemon did not answer within {TIMEOUT:.0f} s"
    except (OSError, HTTPException) as error:
        why = str(error) or type(error).__name__
    raise NotRunning(f"{address}: {why}")


@contextmanager
def reachable(socket_path: Path) -> Iterator[str]:
    """Yield a name of a UNIX socket that the kernel takes: it takes 107 bytes, and state directories may be deeper."""
    if len(os.fsencode(socket_path)) <= _LONGEST_NAME:
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
        with reachable(self._address) as short:
            self.sock.connect(short)
