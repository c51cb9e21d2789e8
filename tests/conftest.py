"""Fixtures of all tests: private engines, and an environment without settings of watchd or Docker."""

import os
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest

from tests.harness import images, install, newer, uml, watchd_image
from tests.harness.emptying import emptied
from tests.harness.engine import Engine, new_directory

# May be set for another engine, another watchd or another terminal: pytest-xdist sets the size of its own.
FOREIGN_VARIABLES = ("WATCHD_", "DOCKER_", "XDG_", "NOTIFY_SOCKET", "COLUMNS", "LINES")

# The engines that tests share: this machine's Docker, and the newest one, with containerd's image store or the old one.
OWN, NEWEST, NEWEST_GRAPH_DRIVER = "docker", "newest-docker", "newest-docker-graph-driver"
# Files with few tests that take long. A worker that began with one at the end would keep the other one waiting.
LONGEST_FIRST = (
    "test_prediction.py",
    "test_relevance.py",
    "test_planner_properties.py",
    "test_cost.py",
    "test_churn.py",
    "test_advise.py",
    "test_backtest.py",
    "test_shared_layers.py",
    "test_regrets.py",
    "test_interrupted.py",
    "test_deep.py",
    "test_prune_many.py",
    "test_own_faults.py",
    "test_disks.py",
    "test_first_steps.py",
    "test_cgroup_v2.py",
    "test_systemd_real.py",
    "test_against_prune.py",
    "test_soak.py",
    "test_image.py",
    "test_swarm_nodes.py",
    "test_compose.py",
)

CONFIG: Mapping[str, Mapping[str, Any]] = {NEWEST: newer.CONTAINERD_STORE, NEWEST_GRAPH_DRIVER: newer.GRAPH_DRIVER}


@pytest.fixture(scope="session", autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Remove the settings of the shell that the tests were started from."""
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
    """Make directories for engines. Skip the test, with the reason, where this machine cannot run one."""
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
def engines(new_engine_directory: Callable[[], Path]) -> Iterator[Callable[[str], Engine]]:
    """Start an engine when a test first needs it, with the base image on it; stop them all at the end."""
    with ExitStack() as stack:

        @cache
        def started(which: str) -> Engine:
            engine = stack.enter_context(_start(which, new_engine_directory))
            with closing(engine.client()) as client:
                images.load_base(client)
            return engine

        yield started


def _start(which: str, new_engine_directory: Callable[[], Path]) -> AbstractContextManager[Engine]:
    if directory := os.environ.get(uml.ENGINE_VARIABLE):  # in User Mode Linux, it runs already
        return nullcontext(Engine.attach(Path(directory)))
    if which == OWN:
        return Engine.start(new_engine_directory())
    try:
        environment = newer.environment()
    except install.UnavailableError as error:
        pytest.skip(str(error))
    return Engine.start(new_engine_directory(), environment=environment, config=CONFIG[which])


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest, engines: Callable[[str], Engine]) -> Engine:
    """The engine of this test run, or a newest one. No other is ever spoken to: `Engine.client` makes sure."""
    return engines(getattr(request, "param", OWN))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests with the mark `newest` on both engines, unless the closest one gives a reason not to.

    With `newest(stores="both")` the newest one is asked twice: once with each image store.
    """
    mark = metafunc.definition.get_closest_marker("newest")
    if mark and "unless" not in mark.kwargs and "engine" in metafunc.fixturenames:
        newest = [NEWEST, NEWEST_GRAPH_DRIVER] if mark.kwargs.get("stores") == "both" else [NEWEST]
        metafunc.parametrize("engine", [OWN, *newest], indirect=True, scope="session")


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


@pytest.fixture
def client(clean_engine: Engine) -> Iterator[docker.DockerClient]:
    """A client of the engine of this test run, which has nothing on it but the base image."""
    with closing(clean_engine.client()) as client:
        yield client


@pytest.fixture(scope="session")
def watchd_tarballs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Engine], Path]:
    """Build the image of watchd once with each engine: they are emptied again and again."""
    built: dict[Path, Path] = {}

    def tarball(engine: Engine) -> Path:
        if engine.directory not in built:
            with closing(engine.client(timeout=300)) as client:
                built[engine.directory] = watchd_image.saved(engine, client, tmp_path_factory.mktemp("image"))
        return built[engine.directory]

    return tarball


@pytest.fixture(scope="session")
def watchd_tarball(engine: Engine, watchd_tarballs: Callable[[Engine], Path]) -> Path:
    """The image of watchd, built with the engine of this test run."""
    try:
        return watchd_tarballs(engine)
    except install.UnavailableError as error:
        pytest.skip(str(error))


def pytest_sessionstart() -> None:
    """Make SIGTERM end the run as ctrl-C does, so that the engines are stopped.

    SIGINT as well: a shell makes its background jobs ignore it, and the programs under test would inherit that.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt_once)


def _interrupt_once(_number: int, _frame: object) -> None:
    """Interrupt the run, and let nothing interrupt the fixtures that then stop the engines."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Generator[None, Any, Any]:
    """Skip a test, with the reason, that needs what this machine turns out not to have."""
    try:
        return (yield)
    except install.UnavailableError as error:
        pytest.skip(str(error))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need an engine, and begin with the files that take longest."""
    for item in items:
        if "new_engine_directory" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.engine)
    tests = Counter(item.path for item in items)
    rank = {name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: (rank.get(item.path.name, len(rank)), -tests[item.path], item.path))


def _skipped_engine_tests(config: pytest.Config) -> list[pytest.TestReport]:
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    return [report for report in terminal.stats.get("skipped", []) if "engine" in report.keywords] if terminal else []


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run where CI skipped a test that needs an engine: it would otherwise look tested."""
    if os.environ.get("CI") and _skipped_engine_tests(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    dist = session.config.pluginmanager.get_plugin("dsession")
    if dist and session.exitstatus == pytest.ExitCode.INTERRUPTED:
        _interrupt_workers(dist)


def _interrupt_workers(dist: Any) -> None:
    """Interrupt the workers and wait for them: pytest-xdist kills them after 10 s, before their engines are stopped."""
    for worker in psutil.Process().children():
        worker.send_signal(signal.SIGINT)
    for node in list(dist._active_nodes):
        with suppress(node.channel.TimeoutError):
            node.channel.waitclose(60)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which tests made CI fail by being skipped."""
    if os.environ.get("CI") and (skipped := _skipped_engine_tests(config)):
        terminalreporter.section("engine tests were skipped, and CI is set: this fails the run", red=True)
        for report in skipped:
            terminalreporter.line(report.nodeid)
