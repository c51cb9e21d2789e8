"""The wheel: what is in it, and that it works where it is installed, away from this checkout."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests import ROOT
from watchd import __version__


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that `make dist` fills."""
    directory = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--directory", str(directory)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return directory


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    [built] = dist.glob("*.whl")
    return built


def test_it_has_the_package_and_nothing_else(wheel: Path) -> None:
    assert wheel.name == f"watchd-{__version__}-py3-none-any.whl"
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "watchd").rglob("*.py")}
    page = {str(path.relative_to(ROOT)) for path in (ROOT / "watchd/http/page").rglob("*") if path.is_file()}
    assert modules | page <= names
    others = {name for name in names - modules - page if not name.startswith(f"watchd-{__version__}.dist-info/")}
    assert others == set()
    assert {"watchd/http/page/index.html", "watchd/http/page/uplot/LICENSE"} <= page
    assert f"watchd-{__version__}.dist-info/licenses/LICENSE" in names


def test_the_source_distribution_builds_the_same_wheel(dist: Path, wheel: Path, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    source = dist / f"watchd-{__version__}.tar.gz"
    subprocess.run([*build, "--wheel-dir", str(tmp_path), str(source)], check=True)
    assert zipfile.ZipFile(tmp_path / wheel.name).namelist() == zipfile.ZipFile(wheel).namelist()


def test_pipx_installs_it_from_a_checkout(tmp_path: Path) -> None:
    """With dependencies from the package index, as pip has it here, and pipx itself from there too."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(tmp_path / "pipx")]
    subprocess.run([*pip, "pipx"], check=True)
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path / "pipx"),
        "PIPX_HOME": str(tmp_path / "home"),
        "PIPX_BIN_DIR": str(tmp_path / "bin"),
        "PIPX_MAN_DIR": str(tmp_path / "man"),
    }
    pipx = [sys.executable, "-m", "pipx", "install", "--python", sys.executable, str(ROOT)]
    installed = subprocess.run(pipx, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert installed.returncode == 0, installed.stderr
    command = [str(tmp_path / "bin/watchd"), "config", "check"]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "the built-in defaults: good\n")


def test_its_command_works_where_it_is_installed(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*install, str(wheel)], check=True)
    # Its dependencies are the ones here; the checkout is not among them.
    environment = {**os.environ, "PYTHONPATH": f"{target}:{sysconfig.get_path('purelib')}", "PYTHONNOUSERSITE": "1"}
    command = [sys.executable, "-P", str(target / "bin/watchd")]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    assert run("--version").stdout == f"watchd {__version__}\n"
    checked = run("config", "check")
    assert (checked.returncode, checked.stdout) == (0, "the built-in defaults: good\n")
    from_package = "from watchd.http.files import routes; print(routes()['/']({}).content_type)"
    served = subprocess.run(
        [sys.executable, "-P", "-c", from_package],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert served.stdout == "text/html; charset=utf-8\n"
    where = [sys.executable, "-P", "-c", "import watchd; print(watchd.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    assert found.startswith(str(target))
