"""watchd as a service of real systemds, installed by the very commands of deploy/README.md."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.harness import filling, images, install, newer, systemd
from tests.harness.engine import Engine
from tests.harness.install import UnavailableError
from tests.harness.systemd import Host, Suite
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import WATCHD

pytestmark = pytest.mark.timeout(1200)  # the first time, two Debians are made from packages

SERVICE = "watchd.service"
DROP_INS = f"/etc/systemd/system/{SERVICE}.d"
NOTIFY_RELOAD_SINCE = 253
DISK = 3072 * filling.MEBIBYTE
METRICS = "http://127.0.0.1:10210/metrics"
ADVICE = "http://127.0.0.1:10210/api/v1/advice"
ADVISE = ("/opt/watchd/bin/watchd", "advise", "-c", "/etc/watchd/config.toml")
PARTS = ("watchd", "deploy", "pyproject.toml", "requirements.lock", "README.md", "LICENSE", "config.example.toml")

# What is on record of when things were first seen: a state that was lost would have none so old.
FIRST_SEEN = """
import sqlite3
state = sqlite3.connect("file:/var/lib/watchd/watchd.db?mode=ro", uri=True)
print(sorted(state.execute("SELECT kind, id, first_seen FROM observation")))
"""


@pytest.fixture(scope="module")
def privileged_engine(new_engine_directory: Callable[[], Path]) -> Iterator[Engine]:
    """An engine that can run systemd, has the images of it, and runs a container that watchd sees."""
    directory = new_engine_directory()
    try:
        with Engine.start(directory, environment=newer.environment(), disks={"data": DISK}) as engine:
            with closing(engine.client()) as client:
                images.load_base(client)
                systemd.load(client)
                client.containers.run(images.BASE, ["sleep", "600"], name="web", detach=True)
            yield engine
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project in a directory, and the packages that it needs, for there is no network to get them from."""
    directory = tmp_path_factory.mktemp("source")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, directory / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, directory)
    platforms = [f"--platform=manylinux{version}_x86_64" for version in ("2014", "_2_17", "_2_28")]
    for suite in systemd.SUITES:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", f"--dest={directory}/wheels"]
        pip += ["--python-version", suite.python_version, "--implementation", "cp", *platforms]
        subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / "requirements.lock")], check=True)
        subprocess.run([*pip, "hatchling"], check=True)
    return directory


@pytest.fixture(scope="module", params=systemd.SUITES, ids=str)
def suite(request: pytest.FixtureRequest) -> Suite:
    """Each Debian that watchd is installed on."""
    suite: Suite = request.param
    return suite


@pytest.fixture(scope="module")
def host(suite: Suite, privileged_engine: Engine, source: Path) -> Iterator[Host]:
    """A host with systemd, watchd's files in /src, and the engine that it is itself a container of."""
    mounts = {
        str(source): {"bind": "/src"},
        str(privileged_engine.socket): {"bind": "/run/docker.sock"},
        f"state-{suite.name}": {"bind": "/var/lib/watchd"},
        str(privileged_engine.data_root / "containers"): {"bind": str(privileged_engine.data_root / "containers")},
    }
    with closing(privileged_engine.client()) as client, systemd.booted(client, suite, mounts) as host:
        assert host.run("systemctl", "--version").output.startswith(f"{suite} ")
        yield host


def commands(document: str, heading: str) -> list[str]:
    """Return the commands of the first block below a heading."""
    section = (ROOT / document).read_text().split(f"\n## {heading}\n")[1]
    block = re.search(r"(?:^    .+\n)+", section, re.MULTILINE)
    assert block
    return [line.strip() for line in block[0].splitlines()]


@pytest.fixture(scope="module")
def installed(host: Host) -> Host:
    """The host, with watchd installed and started as the documents say."""
    *install, by_hand = commands("deploy/README.md", "On the host")
    assert by_hand == "watchd run"
    for command in (*install, *commands("deploy/README.md", "systemd")):
        done = host.run("sh", "-c", command, directory="/src", PIP_NO_INDEX="1", PIP_FIND_LINKS="/src/wheels")
        assert done.exit_code == 0, f"{command}\n{done.output}"
        if command.endswith("systemd-sysusers"):
            # The engine gives its socket to the group docker of its own host: here that is the one just made.
            assert host.run("chgrp", "docker", "/run/docker.sock").exit_code == 0
    return host


@pytest.fixture
def service(installed: Host) -> Iterator[Host]:
    """The host with the service running, and its journal shown if a test fails."""
    installed.run("systemctl", "start", SERVICE)
    yield installed
    print(installed.run("journalctl", "--no-pager", "--unit", SERVICE).output)  # noqa: T201 - pytest shows it where a test fails


@pytest.fixture
def settings(service: Host) -> Iterator[Callable[[str, str], None]]:
    """A function that adds a drop-in to the service. All drop-ins are removed at the end."""

    def write(name: str, text: str) -> None:
        service.run("mkdir", "-p", DROP_INS)
        write_file(service, f"{DROP_INS}/{name}.conf", text)
        service.run("systemctl", "daemon-reload")

    yield write
    service.run("rm", "-r", DROP_INS)
    service.run("systemctl", "daemon-reload")


def write_file(host: Host, path: str, text: str) -> None:
    assert host.run("sh", "-c", 'printf %s "$1" > "$2"', "sh", text, path).exit_code == 0


def page(host: Host) -> str:
    return host.run("curl", "--silent", "--fail", METRICS).output


def status(host: Host) -> str:
    """Return the HTTP status of the metrics."""
    return host.run("curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", METRICS).output


def test_systemd_finds_no_mistake_in_it(installed: Host) -> None:
    verified = installed.run("systemd-analyze", "verify", SERVICE)
    assert (verified.exit_code, verified.output) == (0, "")
    exposed = installed.run("systemd-analyze", "security", "--threshold=20", SERVICE)  # tenths
    assert exposed.exit_code == 0, exposed.output.splitlines()[-1]


def test_it_is_ready_when_systemd_says_so(service: Host) -> None:
    service.run("systemctl", "stop", SERVICE)
    assert service.run("systemctl", "start", SERVICE).exit_code == 0
    assert service.property(SERVICE, "ActiveState") == "active"
    assert service.property(SERVICE, "StatusText") == f"metrics at {METRICS}"
    assert status(service) == "200"
    process = f"/proc/{service.property(SERVICE, 'MainPID')}"
    assert service.run("stat", "--format=%U %G", process).output == "watchd watchd"
    assert re.search(r"^CapEff:\t0+$", service.run("cat", f"{process}/status").output, re.MULTILINE)
    assert service.run("systemctl", "is-enabled", SERVICE).output == "enabled"


def test_it_serves_the_engines_containers(service: Host) -> None:
    shown = re.compile(r'^container_memory_usage_bytes\{.*name="web".*\} \d', re.MULTILINE)
    wait_until(lambda: shown.search(page(service)), seconds=60, what="the metrics of a container")
    assert re.search(r"^watchd_engine_up 1", page(service), re.MULTILINE)


def test_its_unit_lets_it_work_out_advice(service: Host) -> None:
    before = service.property(SERVICE, "NRestarts")
    wait_until(lambda: service.run(*ADVISE).exit_code == 0, seconds=60, what="it to note what it watched")

    def told() -> Any:
        answer = json.loads(service.run("curl", "--silent", "--fail", ADVICE).output)
        return answer if answer["state"] != "computing" else None

    answer: Any = wait_until(told, seconds=60, what="the answer")
    assert (answer["state"], answer["error"]) == ("ready", None)
    assert answer["advice"]["kinds"].keys() == {"container", "image", "network", "volume"}
    assert service.property(SERVICE, "NRestarts") == before


def test_with_its_drop_in_it_sees_the_sizes_of_logs(service: Host, settings: Callable[[str, str], None]) -> None:
    def told(name: str) -> bool:
        return re.search(rf'^watchd_container_{name}{{.*name="web"', page(service), re.MULTILINE) is not None

    settings("tmp", "[Service]\nPrivateTmp=no\n")  # the data of this engine is below /var/tmp
    service.run("systemctl", "restart", SERVICE)
    wait_until(lambda: told("log_limit_bytes"), seconds=60, what="the metrics of a container")
    assert not told("log_bytes")
    settings("logs", (ROOT / "deploy/systemd/watchd-logs.conf").read_text())
    service.run("systemctl", "restart", SERVICE)
    process = f"/proc/{service.property(SERVICE, 'MainPID')}"
    assert re.search(r"^CapEff:\t0+4$", service.run("cat", f"{process}/status").output, re.MULTILINE)
    wait_until(lambda: told("log_bytes"), seconds=60, what="the size of its log")


def test_a_reload_takes_a_new_configuration_and_refuses_a_bad_one(
    suite: Suite, service: Host, settings: Callable[[str, str], None]
) -> None:
    assert service.property(SERVICE, "Type") == "notify"
    reload(service, patience=30)
    if suite.version >= NOTIFY_RELOAD_SINCE:
        settings("notify-reload", (ROOT / "deploy/systemd/watchd-notify-reload.conf").read_text())
        service.run("systemctl", "restart", SERVICE)
        assert service.property(SERVICE, "Type") == "notify-reload"
        reload(service, patience=0)  # it is in force when the command returns


def test_it_comes_back_when_it_is_killed_with_what_it_knew(service: Host) -> None:
    wait_until(lambda: first_seen(service) not in ("", "[]"), seconds=30, what="a record")
    known, before = first_seen(service), service.property(SERVICE, "NRestarts")
    service.run("systemctl", "kill", "--signal=KILL", SERVICE)
    came_back(service, before)
    wait_until(lambda: status(service) == "200", seconds=30, what="it to serve again")
    assert first_seen(service) == known


def test_it_is_started_again_when_it_stands_still(service: Host, settings: Callable[[str, str], None]) -> None:
    settings("impatient", "[Service]\nWatchdogSec=3s\n")
    service.run("systemctl", "restart", SERVICE)
    before = service.property(SERVICE, "NRestarts")
    service.run("systemctl", "kill", "--signal=STOP", "--kill-whom=main", SERVICE)
    came_back(service, before)
    journal = service.run("journalctl", "--no-pager", "--unit", SERVICE).output
    assert "Watchdog timeout" in journal


def test_it_makes_room_on_the_disk_until_the_low_mark(
    service: Host, privileged_engine: Engine, settings: Callable[[str, str], None]
) -> None:
    with closing(privileged_engine.client(timeout=300)) as client:
        filling.fill(client)
        low = filling.used_percent(privileged_engine.data_root) - 100 * 0.7 * filling.EACH / DISK
        room = [f"Environment='{name}={value}'\n" for name, value in filling.policy(low + 0.1, low).items()]
        settings("room", "".join(["[Service]\n", *room]).replace("%", "%%"))
        service.run("systemctl", "restart", SERVICE)
        wait_until(lambda: filling.used_percent(privileged_engine.data_root) <= low, seconds=60, what="room")
        assert filling.left(client), "it ends at the low mark"
        for left in filling.left(client):
            client.images.remove(left)


def test_it_stops_cleanly(service: Host) -> None:
    assert service.run("systemctl", "stop", SERVICE).exit_code == 0
    said = [service.property(SERVICE, name) for name in ("ActiveState", "Result", "ExecMainCode", "ExecMainStatus")]
    assert said == ["inactive", "success", "1", "0"]  # it exited, with 0


def reload(service: Host, *, patience: float) -> None:
    """Reload another configuration, a bad one, and the first again. Good ones are in force within some seconds."""
    before = service.property(SERVICE, "MainPID")
    try:
        write_file(service, "/tmp/token", "secret")
        service.run("install", "--group=watchd", "--mode=640", "/tmp/token", "/etc/watchd/token")
        write_file(service, "/etc/watchd/config.toml", '[http]\nbearer_token_file = "/etc/watchd/token"\n')
        assert service.run("systemctl", "reload", SERVICE).exit_code == 0
        wait_until(lambda: status(service) == "401", seconds=patience, what="the new configuration to be in force")
        wait_until(lambda: service.property(SERVICE, "ActiveState") == "active", seconds=30, what="the reload to end")
        write_file(service, "/etc/watchd/config.toml", "[nonsense]\n")
        refused = service.run("systemctl", "reload", SERVICE)
        assert refused.exit_code == 1, refused.output
        assert status(service) == "401"
        journal = ("journalctl", "--no-pager", "--unit", SERVICE, "--lines=20")
        wait_until(lambda: "nonsense" in service.run(*journal).output, seconds=30, what="the reason in the journal")
    finally:
        service.run("install", "-m", "644", "/src/config.example.toml", "/etc/watchd/config.toml")
    assert service.run("systemctl", "reload", SERVICE).exit_code == 0
    wait_until(lambda: status(service) == "200", seconds=patience, what="the first configuration to be in force")
    wait_until(lambda: service.property(SERVICE, "ActiveState") == "active", seconds=30, what="the last reload to end")
    assert service.property(SERVICE, "MainPID") == before


def first_seen(host: Host) -> str:
    return host.run("python3", "-c", FIRST_SEEN).output


def came_back(host: Host, restarts: str) -> None:
    """Wait until it runs again, having been started again by systemd."""

    def is_back() -> bool:
        time.sleep(1)  # each look makes events, of which the engine keeps 256 for a watchd that is away
        runs = host.property(SERVICE, "ActiveState") == "active"
        return runs and int(host.property(SERVICE, "NRestarts")) > int(restarts)

    wait_until(is_back, seconds=60, what="systemd to start it again")


@pytest.fixture(scope="module")
def analyze() -> str:
    """Systemd's own tool, which needs no systemd to run."""
    if shutil.which("systemd-analyze") is None:
        try:
            install.apt_install(["systemd"])
        except install.UnavailableError as error:
            pytest.skip(str(error))
    return "systemd-analyze"


def test_the_unit_has_no_mistake_and_little_to_be_attacked_by(analyze: str, tmp_path: Path) -> None:
    unit = tmp_path / "watchd.service"
    unit.write_text((ROOT / "deploy/systemd/watchd.service").read_text().replace("/opt/watchd/bin/watchd", str(WATCHD)))
    verified = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    command = [analyze, "security", "--offline=true", "--threshold=20", str(unit)]  # tenths
    exposed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert exposed.returncode == 0, exposed.stdout.splitlines()[-1]
