"""An ordinary user for an engine that needs no root: made up, with numbers that no user of this machine has.

Only files below the engine's directory know it. They lie over /etc in a mount namespace of the engine's own, which is
where newuidmap looks.
"""

import os
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from secrets import randbelow

from tests import ROOT
from tests.harness import install
from tests.harness.process import of_users

# The programs of such an engine, and their Debian packages.
PROGRAMS = {"newuidmap": "uidmap", "slirp4netns": "slirp4netns", "setpriv": "util-linux"}

NAME = "rootless"

# How many further users and groups it may be inside, from the one after its own on.
SUBORDINATE = 65536

# Where its numbers are: systemd's documentation says which ones distributions give out, and these are nobody's.
_FIRST, _HOW_MANY = 0x7000_0000, 4095

_STOP_TIMEOUT = 30.0
_EMPTY = ROOT / ".cache" / "empty"


def ensure() -> None:
    """Install the programs that its engines need. Raise UnavailableError where that fails."""
    install.ensure_engine()
    if missing := {name for program, name in PROGRAMS.items() if shutil.which(program, path=install.PATH) is None}:
        install.apt_install(sorted(missing))


def new_uid() -> int:
    """Return a number that no other user has, and whose following ones nobody has either."""
    return _FIRST + (1 + SUBORDINATE) * randbelow(_HOW_MANY)


def enterable() -> list[str]:
    """Return a command prefix under which every user can run watchd.

    The interpreter, or the checkout, may be below a directory that is root's alone, like /root. In a mount namespace of
    the command's own an empty directory that everyone may enter lies over each of these: it gives it its mode, and
    shows what is in it.
    """
    needed = (Path(sys.executable), Path(sys.executable).resolve(), Path(sys.base_prefix).resolve(), Path(__file__))
    closed = sorted({each for path in needed for each in path.parents if not each.stat().st_mode & 0o001})
    if not closed:
        return []
    _EMPTY.mkdir(parents=True, exist_ok=True)
    _EMPTY.chmod(0o755)
    over = "".join(f"mount -t overlay -o lowerdir={_EMPTY}:{each} overlay {each} && " for each in closed)
    return ["unshare", "--mount", "sh", "-c", f'{over}exec "$0" "$@"']


@dataclass(frozen=True)
class User:
    """The user `uid` of the engine in `directory`."""

    directory: Path
    uid: int

    @property
    def home(self) -> Path:
        """Its home directory."""
        return self.directory / "home"

    @property
    def runtime(self) -> Path:
        """Its XDG_RUNTIME_DIR."""
        return self.directory / "run"

    @property
    def _temporary(self) -> Path:
        return self.directory / "tmp"

    @property
    def mounts(self) -> str:
        """Shell commands by which root mounts its directories, in a mount namespace of its own.

        An ordinary user may open /dev/net/tun on most machines, not on all.
        """
        etc = f"mount -t overlay -o lowerdir={self.directory}/etc:/etc overlay /etc"
        return f"{etc} && mount -t tmpfs tmpfs /dev/net && mknod -m 666 /dev/net/tun c 10 200"

    def make(self) -> None:
        """Make its directories, and the files that know it."""
        self.directory.chmod(0o711)  # for it to pass through
        for directory in (self.home, self.runtime, self._temporary):
            directory.mkdir(mode=0o700)
            os.chown(directory, self.uid, self.uid)
        numbers = f"{NAME}:{self.uid + 1}:{SUBORDINATE}\n"
        (self.directory / "etc").mkdir()
        for name, content in {
            "passwd": f"root:x:0:0:root:/root:/bin/sh\n{NAME}:x:{self.uid}:{self.uid}::{self.home}:/bin/sh\n",
            "group": f"root:x:0:\n{NAME}:x:{self.uid}:\n",
            "subuid": numbers,
            "subgid": numbers,
        }.items():
            (self.directory / "etc" / name).write_text(content)

    def command(self, *command: str) -> list[str]:
        """Return `command` as the user runs it, with no right of root's."""
        user = (f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups", "--inh-caps=-all")
        session = (f"HOME={self.home}", f"XDG_RUNTIME_DIR={self.runtime}", f"TMPDIR={self._temporary}")
        return [*enterable(), "setpriv", *user, "env", *session, *command]

    def new_directory(self) -> Path:
        """Make a directory of its own, that goes with the engine."""
        directory = Path(tempfile.mkdtemp(dir=self.home))
        os.chown(directory, self.uid, self.uid)
        return directory

    def kill_all(self) -> None:
        """End all its processes."""
        while processes := of_users(range(self.uid, self.uid + 1 + SUBORDINATE)):
            for process in processes:
                process.send(signal.SIGKILL)
            for process in processes:
                process.wait(_STOP_TIMEOUT)


@dataclass(kw_only=True)
class Owned:
    """An engine of an ordinary user."""

    directory: Path
    uid: int = field(default_factory=new_uid)

    @property
    def user(self) -> User:
        """Its owner."""
        return User(self.directory, self.uid)
