"""A terminal: a program runs in it as for a person, who sees a screen and presses keys."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pyte

from tests.harness.waiting import slowdown, wait_until

TYPE = "linux"  # the one that pyte is most like


class Terminal:
    """The screen of a program. `output` is everything it wrote so far."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int, rows: int, columns: int) -> None:
        self.process = process
        self.output = b""
        self._descriptor = descriptor
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def lines(self) -> list[str]:
        """The lines of the screen, without trailing blanks."""
        with self._lock:
            return [line.rstrip() for line in self._screen.display]

    def colours(self) -> set[str]:
        """Return the colours of what is on the screen."""
        with self._lock:
            return {char.fg for line in self._screen.buffer.values() for char in line.values()}

    def press(self, keys: str) -> None:
        """Press keys, one after another."""
        os.write(self._descriptor, keys.encode())

    def see(self, *texts: str, seconds: float = 40) -> list[str]:
        """Return the lines of the screen, once these texts are all on it."""

        def seen() -> list[str] | None:
            lines = self.lines
            return lines if all(any(text in line for line in lines) for text in texts) else None

        return wait_until(seen, seconds=seconds, what=f"{texts} on the screen:\n" + "\n".join(self.lines)) or []

    def resize(self, rows: int, columns: int) -> None:
        """Change the size."""
        with self._lock:
            self._screen.resize(rows, columns)
        _set_size(self._descriptor, rows, columns)

    def ended(self) -> int:
        """Wait for the program's end, and return its exit code."""
        code = self.process.wait(30 * slowdown())
        self._thread.join(60)
        return code

    def _read(self) -> None:
        with suppress(OSError):  # EIO: the other side is closed
            while data := os.read(self._descriptor, 65536):
                with self._lock:
                    self.output += data
                    self._stream.feed(data)


@contextmanager
def terminal(
    command: Sequence[str | Path], *, rows: int = 24, columns: int = 120, **environment: str
) -> Iterator[Terminal]:
    """Run a command in a terminal of its own. It is ended with the block, if it has not by itself."""
    ours, theirs = pty.openpty()
    _set_size(theirs, rows, columns)
    environment = {**os.environ, "TERM": TYPE, "LC_ALL": "C.UTF-8", **environment}
    in_session = ["setsid", "--ctty", *command]  # else ctrl-C would be no signal
    process = subprocess.Popen(in_session, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)  # so that reading ends with the program
    shown = Terminal(process, ours, rows, columns)
    try:
        yield shown
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        print(*shown.lines, sep="\n")
        shown._thread.join(60)
        os.close(ours)


def _set_size(descriptor: int, rows: int, columns: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
