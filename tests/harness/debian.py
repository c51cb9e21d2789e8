"""Packages of another suite of Debian's than this machine's, downloaded and unpacked beside it, and not installed.

This machine's apt says where Debian is, and checks what it gets.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests import ROOT
from tests.harness import install
from tests.harness.install import UnavailableError

# Where what was downloaded is kept, beside the virtual environment.
CACHE = ROOT / ".cache"


@contextmanager
def one_at_a_time(kept: Path) -> Iterator[None]:
    """Hold the lock that keeps two test runs from downloading what is kept at a path at once."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def unpacked(packages: Sequence[str], name: str) -> Path:
    """Return the directory in the cache that has packages of sid unpacked, downloading them once.

    `name` is the directory's. Raise UnavailableError where they cannot be had.
    """
    kept = CACHE / f"{name}-sid"
    with one_at_a_time(kept):
        if not kept.exists():
            with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=CACHE) as directory:
                root = Path(directory) / "root"
                unpack(packages, "sid", root)
                root.rename(kept)  # in one step, so that what is there is whole
    return kept


def unpack(packages: Sequence[str], suite: str, root: Path) -> None:
    """Download packages and unpack them in `root`. Raise UnavailableError where they cannot be had."""
    wanted = " and ".join(packages)
    if shutil.which("apt-get") is None:
        raise UnavailableError(f"{wanted} come from Debian, with apt-get, and there is none here")
    with tempfile.TemporaryDirectory(prefix="apt-", dir=root.parent) as name:
        _download(packages, suite, Path(name) / "apt")
        for package in (Path(name) / "apt").glob("*.deb"):
            run("dpkg-deb", "--extract", package, root)


def mirrors() -> list[str]:
    """Return where this machine's apt gets packages from. Raise UnavailableError where it knows no such place."""
    sites = list(dict.fromkeys(run("apt-get", "indextargets", "--format", "$(SITE)").split()))
    if not sites:
        raise UnavailableError("apt-get knows no mirror to download from: see sources.list(5)")
    return sites


def _download(packages: Sequence[str], suite: str, directory: Path) -> None:
    """Download the packages to `directory`, from the first of the machine's own mirrors that has them."""
    sites = mirrors()
    for number, site in enumerate(sites, start=1):
        try:
            _download_from(site, packages, suite, directory)
        except UnavailableError:
            if number == len(sites):
                raise
        else:
            return


def _download_from(site: str, packages: Sequence[str], suite: str, directory: Path) -> None:
    """Download the packages with lists and settings of apt that are in `directory`, not the machine's."""
    shutil.rmtree(directory, ignore_errors=True)
    for part in ("lists/partial", "cache/archives/partial"):
        (directory / part).mkdir(parents=True)
    (directory / "status").touch()
    # Where Debian's own keys are not in apt's directory for all sources, as from trixie on.
    keyring = next(iter(sorted(Path("/usr/share/keyrings").glob("debian-archive-keyring.[gp]*"))), None)
    options = "arch=amd64" + (f" signed-by={keyring}" if keyring else "")
    (directory / "sources.list").write_text(f"deb [{options}] {site} {suite} main\n")
    settings = {
        "Dir::Etc::SourceList": directory / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State::Lists": directory / "lists",
        "Dir::State::Status": directory / "status",
        "Dir::Cache": directory / "cache",
        "Acquire::GzipIndexes": "false",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",  # apt's own user may not read what is below the checkout
        "APT::Update::Error-Mode": "any",
    }
    apt_get = ["apt-get", "--quiet=2", *(f"-o{name}={value}" for name, value in settings.items())]
    run(*apt_get, "update", directory=directory)
    run(*apt_get, "download", *packages, directory=directory)


def run(*command: str | Path, directory: Path | None = None) -> str:
    """Run a command that gets something from Debian, and return what it prints. Raise UnavailableError if it fails."""
    env = {**os.environ, "LC_ALL": "C.UTF-8", "PATH": install.PATH}
    finished = subprocess.run(
        command, check=False, cwd=directory, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if finished.returncode != 0:
        said = " ".join(finished.stderr.split())
        raise UnavailableError(f"packages could not be had from Debian: {command[0]} failed: {said}")
    return finished.stdout
