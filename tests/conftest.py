"""What all tests share: a private engine, and an environment that says nothing about watchd or Docker."""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from pathlib import Path

import docker
import pytest

from tests import watchd_image
from tests.harness import images, install, uml
from tests.harness.emptying import emptied
from tests.harness.engine import Engine, new_directory

# Whoever runs the tests may have set these for their own engine or their own watchd.
FOREIGN_VARIABLES = ("WATCHD_", "DOCKER_", "XDG_", "NOTIFY_SOCKET")


@pytest.fixture(scope="session", autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the settings of whoever runs the tests away from them."""
    with pytest.MonkeyPatch.context() as environment:
        for name in list(os.environ):
            if name.startswith(FOREIGN_VARIABLES):
                environment.delenv(name)
        # docker-py would read the credentials in the home directory for each build.
        environment.setenv("DOCKER_CONFIG", str(tmp_path_factory.mktemp("docker-config")))
        yield


@pytest.fixture
def open_path() -> Iterator[Path]:
    """As `tmp_path`, but everyone may enter it. Those above that one are for their own user alone, and shared."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def new_engine_directory() -> Callable[[], Path]:
    """What makes a directory for an engine. Where this machine cannot run one, its tests are skipped, saying why."""
    try:
        install.ensure_engine()
    except install.UnavailableError as error:
        pytest.skip(str(error))
    return new_directory


@pytest.fixture
def engine_directory(new_engine_directory: Callable[[], Path]) -> Iterator[Path]:
    """A directory with a short path, for an engine of one test's own. That is stopped after the test, if it is not."""
    directory = new_engine_directory()
    yield directory
    with suppress(FileNotFoundError):
        Engine.attach(directory).stop()
    with suppress(FileNotFoundError):
        directory.rmdir()


@pytest.fixture(scope="session")
def engine(new_engine_directory: Callable[[], Path]) -> Iterator[Engine]:
    """The engine of this test run, which has the base image. No other is ever spoken to: `Engine.client` makes sure."""
    with _started_engine(new_engine_directory) as engine:
        with closing(engine.client()) as client:
            images.load_base(client)
        yield engine


def _started_engine(new_engine_directory: Callable[[], Path]) -> AbstractContextManager[Engine]:
    """Start an engine that is stopped in the end, but in User Mode Linux give the one that is there."""
    if directory := os.environ.get(uml.ENGINE_VARIABLE):
        return nullcontext(Engine.attach(Path(directory)))
    return Engine.start(new_engine_directory())


@pytest.fixture
def clean_engine(engine: Engine) -> Iterator[Engine]:
    """The engine of this test run, with nothing on it but the base image, before the test and after it."""
    with emptied(engine):
        yield engine


@pytest.fixture
def docker_client(engine: Engine) -> Iterator[docker.DockerClient]:
    """A client of the engine of this test run."""
    with closing(engine.client()) as client:
        yield client


@pytest.fixture(scope="session")
def watchd_tarball(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image of watchd, built once: the engine of this test run is emptied again and again."""
    with closing(engine.client(timeout=300)) as client:
        try:
            return watchd_image.saved(engine, client, tmp_path_factory.mktemp("image"))
        except install.UnavailableError as error:
            pytest.skip(str(error))


def pytest_sessionstart() -> None:
    """Have SIGTERM end the run as ctrl-C does, so that the engines are stopped.

    SIGINT, too, where a shell in the background has had it ignored: what the tests start would ignore it then.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need an engine."""
    for item in items:
        if "new_engine_directory" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.engine)


def _skipped_engine_tests(config: pytest.Config) -> list[pytest.TestReport]:
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    return [report for report in terminal.stats.get("skipped", []) if "engine" in report.keywords] if terminal else []


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run where CI skipped a test that needs an engine: it would otherwise look tested."""
    if os.environ.get("CI") and _skipped_engine_tests(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which tests made CI fail by being skipped."""
    if os.environ.get("CI") and (skipped := _skipped_engine_tests(config)):
        terminalreporter.section("engine tests were skipped, and CI is set: this fails the run", red=True)
        for report in skipped:
            terminalreporter.line(report.nodeid)
