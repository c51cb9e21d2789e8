"""`watchd prune` against a real engine: what it shows is what it does, and nothing else goes."""

import contextlib
import fcntl
import json
import os
import pty
import re
import shlex
import signal
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from tests.harness import images
from tests.harness.command import watchd_here
from tests.harness.emptying import emptied
from tests.harness.engine import Engine
from tests.harness.user import enterable
from tests.harness.waiting import slowdown
from tests.harness.watchd_process import WATCHD, decisions, plan_of, write_config

CLEANUP = """
mode = "enforce"
grace = "0s"
[[cleanup.policies]]
name = "exited"
kind = "container"
select.status = ["exited", "dead"]
when.finished_for = "0s"
[[cleanup.policies]]
name = "never-started"
kind = "container"
select.labels.any = ["scratch"]
when.never_started_for = "0s"
[[cleanup.policies]]
name = "dangling"
kind = "image"
select.class = ["dangling"]
when.dangling_for = "0s"
[[cleanup.policies]]
name = "unused"
kind = "image"
select.class = ["tagged"]
when.unused_for = "0s"
"""
KEEPS_BASE = CLEANUP + '[cleanup.protect]\nimages = ["base"]\n'


@pytest.fixture
def config(tmp_path: Path, clean_engine: Engine) -> Path:
    return write_config(tmp_path, clean_engine.host, KEEPS_BASE)


def run(client: docker.DockerClient, name: str, *command: str, image: str = images.BASE) -> Container:
    container = client.containers.run(image, list(command) or ["sleep", "600"], name=name, detach=True)
    if command:
        container.wait()
    return container


def build(client: docker.DockerClient, tag: str, *, base: str = images.BASE, label: str = "") -> str:
    return images.build(client, tag, f"FROM {base}\nCOPY f /{tag.partition(':')[0]}\n{label}", {"f": os.urandom(1000)})


def containers(client: docker.DockerClient) -> set[str | None]:
    return {container.name for container in client.containers.list(all=True, ignore_removed=True)}


def tags(client: docker.DockerClient) -> set[str]:
    return {tag for image in client.images.list(all=True) for tag in image.tags}


def removals(config: Path) -> list[tuple[str, str, str, str]]:
    with contextlib.closing(sqlite3.connect(config.parent / "state" / "watchd.db")) as connection:
        return connection.execute("SELECT kind, name, reason, outcome FROM removal ORDER BY seq").fetchall()


def fill(client: docker.DockerClient) -> None:
    """Make a host with something of everything, side by side where neither needs the other."""
    with ThreadPoolExecutor() as pool:
        for made in [pool.submit(make, client) for make in (_make_containers, _make_app, _make_used, _make_parent)]:
            made.result()


def _make_containers(client: docker.DockerClient) -> None:
    run(client, "running")
    run(client, "ended", "true")
    run(client, "failed", "false")
    client.containers.create(images.BASE, name="new", labels={"scratch": ""})
    client.containers.create(images.BASE, name="new-unlabelled")
    client.containers.run(
        images.BASE,
        ["sleep", "600"],
        name="stopped-service",
        detach=True,
        restart_policy={"Name": "always", "MaximumRetryCount": 0},
    ).stop(timeout=0)


def _make_app(client: docker.DockerClient) -> None:
    images.make_dangling(client, "app:1", 2)
    client.images.get("app:1").tag("app", "also")
    client.images.get("app:1").tag("elsewhere/app", "1")


def _make_used(client: docker.DockerClient) -> None:
    build(client, "in-use:1")
    run(client, "user", "true", image="in-use:1")
    build(client, "kept:1", label="LABEL watchd.keep=true")


def _make_parent(client: docker.DockerClient) -> None:
    build(client, "parent:1")
    build(client, "child:1", base="parent:1")
    run(client, "child-user", image="child:1")


@pytest.fixture
def host(docker_client: docker.DockerClient, clean_engine: Engine) -> docker.DockerClient:
    """A host with something of everything."""
    assert clean_engine.is_running
    fill(docker_client)
    return docker_client


def test_the_dry_run_shows_what_the_real_run_does(config: Path, host: docker.DockerClient) -> None:
    before = (containers(host), tags(host), {image.id for image in host.images.list(all=True)})
    dry = watchd_here("prune", "-c", config, "--dry-run", "--json")
    assert dry.returncode == 0, dry.stderr
    assert (containers(host), tags(host), {image.id for image in host.images.list(all=True)}) == before
    assert removals(config) == []

    real = watchd_here("prune", "-c", config, "--yes", "--json")
    assert real.returncode == 0, real.stderr
    assert decisions(plan_of(real)) == decisions(plan_of(dry))
    assert {item["outcome"] for item in plan_of(real)["items"] if item["action"] != "keep"} == {"removed"}
    assert all("outcome" not in item for item in plan_of(real)["items"] if item["action"] == "keep")

    assert decisions(plan_of(dry), "remove", "untag") == {
        ("container", "ended", "remove", "exited_too_long"),
        ("container", "failed", "remove", "exited_too_long"),
        ("container", "user", "remove", "exited_too_long"),
        ("container", "new", "remove", "never_started"),
        ("image", "<none>", "remove", "dangling_too_long"),
        ("image", "in-use:1", "remove", "unused_too_long"),
        ("image", "app:1", "remove", "unused_too_long"),  # the first of its references stays longest
        ("image", "app:also", "untag", "unused_too_long"),
        ("image", "elsewhere/app:1", "untag", "unused_too_long"),
    }
    assert containers(host) == {"running", "new-unlabelled", "stopped-service", "child-user"}
    assert tags(host) == {"base:1", "kept:1", "parent:1", "child:1"}
    assert decisions(plan_of(dry), "keep") == {
        ("container", "running", "keep", "not_selected"),
        ("container", "child-user", "keep", "not_selected"),
        ("container", "new-unlabelled", "keep", "not_selected"),
        ("container", "stopped-service", "keep", "restart_policy"),
        ("image", "base:1", "keep", "protected"),
        ("image", "kept:1", "keep", "protected"),
        ("image", "child:1", "keep", "in_use"),
        ("image", "parent:1", "keep", "has_children"),
        ("image", "<none>", "keep", "has_children"),  # the classic builder's step below kept:1
        *(("network", name, "keep", "protected") for name in ("bridge", "host", "none")),
    }
    recorded = removals(config)
    assert {(kind, name) for kind, name, _, _ in recorded} == {
        (kind, name) for kind, name, _, _ in decisions(plan_of(dry), "remove", "untag")
    }
    assert {outcome for *_, outcome in recorded} == {"removed"}

    again = watchd_here("prune", "-c", config, "--yes", "--json")
    assert again.returncode == 0
    assert decisions(plan_of(again), "remove", "untag") == set()


def test_only_the_named_policies_are_judged(config: Path, host: docker.DockerClient) -> None:
    result = watchd_here("prune", "-c", config, "--yes", "--policy", "exited")
    assert result.returncode == 0, result.stderr
    assert containers(host) == {"running", "new", "new-unlabelled", "stopped-service", "child-user"}
    assert "in-use:1" in tags(host)


def test_an_unknown_policy_is_an_error(config: Path) -> None:
    result = watchd_here("prune", "-c", config, "-n", "--policy", "exitd")
    assert result.returncode == 2
    assert "there is no policy 'exitd'; the policies are exited, never-started, dangling, unused" in result.stderr


@pytest.mark.parametrize(("answer", "stays"), [("n\n", True), ("y\n", False)])
def test_on_a_terminal_it_asks(config: Path, host: docker.DockerClient, answer: str, *, stays: bool) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [WATCHD, "prune", "-c", config], stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    os.close(follower)
    os.write(leader, answer.encode())
    output, _ = process.communicate()
    os.close(leader)
    assert "Remove these?" in output
    assert ("Nothing was removed." in output) == stays
    assert ("ended" in containers(host)) == stays
    assert process.returncode == 0


def test_quiet_prints_what_goes_and_nothing_where_nothing_does(config: Path, host: docker.DockerClient) -> None:
    first = watchd_here("prune", "-c", config, "--yes", "--quiet")
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    assert {line.split()[0] for line in first.stdout.splitlines()} <= {"removed", "took", "Removed"}
    assert "removed container ended" in first.stdout
    assert "ended" not in containers(host)
    second = watchd_here("prune", "-c", config, "--yes", "--quiet")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert watchd_here("prune", "-c", config, "-n", "--quiet").returncode == 2


def test_on_a_terminal_a_bar_shows_how_far_it_is(config: Path, host: docker.DockerClient) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [WATCHD, "prune", "-c", config, "--yes"], stdin=follower, stdout=follower, stderr=subprocess.DEVNULL
    )
    os.close(follower)
    shown = b""
    with contextlib.suppress(OSError):  # what a terminal says when nobody is left at it
        while read := os.read(leader, 65536):
            shown += read
    os.close(leader)
    assert process.wait(60) == 0
    text = shown.decode()
    assert "Removing  [####" in text
    assert "100%" in text
    assert "removed container" not in text
    assert "Removed 4 containers and " in text
    assert containers(host) == {"running", "new-unlabelled", "stopped-service", "child-user"}


def test_with_standard_input_closed_it_wants_to_be_told_yes(config: Path) -> None:
    command = 'exec "$0" prune -c "$1" <&-'
    result = subprocess.run(["sh", "-c", command, WATCHD, config], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "--yes" in result.stderr


def test_a_reader_that_goes_away_ends_no_run(config: Path, host: docker.DockerClient) -> None:
    process = subprocess.Popen([WATCHD, "prune", "-c", config, "--yes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    while b"removed container" not in process.stdout.readline():
        pass
    process.stdout.close()
    process.stderr.close()
    assert process.wait(60) == 0
    assert containers(host) == {"running", "new-unlabelled", "stopped-service", "child-user"}


def test_the_last_runs_of_a_job_stay(tmp_path: Path, clean_engine: Engine, docker_client: docker.DockerClient) -> None:
    config = write_config(
        tmp_path,
        clean_engine.host,
        'mode = "enforce"\ngrace = "0s"\n[[cleanup.policies]]\nname = "jobs"\nkind = "container"\n'
        'select = {status = ["exited"], exit_code = [0]}\nkeep = {last = 1, per = "name"}\n',
    )
    for name, code in (("job-1", 0), ("job-2", 0), ("job-3", 1)):
        run(docker_client, name, "sh", "-c", f"exit {code}")
    run(docker_client, "other-1", "true")
    run(docker_client, "job-4")
    plan = plan_of(watchd_here("prune", "-c", config, "--yes", "--json"))
    assert {
        item["name"]: (item["action"], item["reason"]) for item in plan["items"] if item["kind"] == "container"
    } == {
        "job-1": ("remove", "over_keep_last"),
        "job-2": ("keep", "keep"),
        "job-3": ("keep", "not_selected"),
        "job-4": ("keep", "not_selected"),
        "other-1": ("keep", "keep"),
    }
    assert containers(docker_client) == {"job-2", "job-3", "job-4", "other-1"}


def test_a_plan_of_a_later_time_shows_what_grace_and_clocks_hold_back(
    tmp_path: Path, clean_engine: Engine, docker_client: docker.DockerClient
) -> None:
    config = write_config(
        tmp_path,
        clean_engine.host,
        'mode = "enforce"\n[[cleanup.policies]]\nname = "old"\nkind = "container"\nwhen.finished_for = "6d"\n',
    )
    run(docker_client, "job", "true")
    run(docker_client, "web")
    assert decisions(plan_of(watchd_here("prune", "-c", config, "--dry-run", "--json")), "remove") == set()
    later = watchd_here("prune", "-c", config, "--dry-run", "--at", "+7d", "--json")
    assert decisions(plan_of(later), "remove") == {("container", "job", "remove", "exited_too_long")}
    assert containers(docker_client) == {"job", "web"}
    for arguments, words in (
        (["--at", "+7d"], "add --dry-run"),
        (["--dry-run", "--at", "2020-01-01T00:00:00Z"], "is past"),
        (["--dry-run", "--at", "7 days"], "--at: "),
    ):
        refused = watchd_here("prune", "-c", config, *arguments)
        assert refused.returncode == 2
        assert words in refused.stderr


def _step(row: Mapping[str, str]) -> tuple[str, ...]:
    return (row["kind"], row["id"], row["action"], row["name"])


def test_history_tells_what_went_and_why(config: Path, host: docker.DockerClient) -> None:
    assert watchd_here("history", "-c", config).stdout == "Nothing was removed.\n"
    before = containers(host)
    plan = plan_of(watchd_here("prune", "-c", config, "--yes", "--json"))
    rows = json.loads(watchd_here("history", "-c", config, "--json").stdout)
    acted = [item for item in plan["items"] if "outcome" in item]
    shared = ("kind", "id", "name", "names", "action", "policy", "reason", "facts", "bytes", "at_least", "outcome")
    recorded, planned = ({_step(row): {key: row[key] for key in shared} for row in each} for each in (rows, acted))
    assert recorded == planned
    assert len(recorded) == len(rows), "each step is on record once; those of eight threads in any order"
    assert {row["plan_id"] for row in rows} == {plan["plan_id"]}
    gone = {row["name"] for row in rows if row["kind"] == "container" and row["outcome"] == "removed"}
    assert gone == before - containers(host) != set()
    of_images = json.loads(watchd_here("history", "-c", config, "--kind", "image", "--since", "1h", "--json").stdout)
    assert of_images == [row for row in rows if row["kind"] == "image"] != []
    assert json.loads(watchd_here("history", "-c", config, "--since", "2100-01-01T00:00:00Z", "--json").stdout) == []
    assert json.loads(watchd_here("history", "-c", config, "--since", "2026-01-01", "--json").stdout) == rows
    assert {row["trigger"] for row in rows} == {"manual"}
    told = watchd_here("history", "-c", config).stdout.splitlines()
    utc = watchd_here("history", "-c", config, "--utc").stdout
    assert all(row["time"] in utc for row in rows)
    assert len(told) == len(rows) + 3, "a heading, a blank line and a total"
    assert all(row["name"] in line and row["reason"] in line for row, line in zip(rows, told[1:], strict=False))
    tried = sum(row["action"] == "remove" for row in rows)
    assert tried < len(rows), "tags were taken off, too"
    assert told[-1].startswith(f"Removed {tried} of {tried} tried, about ")


def test_prune_works_beside_a_run_that_holds_the_lock_only_when_that_ends(
    config: Path, host: docker.DockerClient
) -> None:
    assert watchd_here("prune", "-c", config, "-n").returncode == 0  # makes the state directory
    lock = config.parent / "state" / "run.lock"
    # flock(1) stands for a run under way.
    script = "echo held; exec sleep 600"
    holder = subprocess.Popen(["flock", lock, "sh", "-c", script], process_group=0, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        real = subprocess.Popen([WATCHD, "prune", "-c", config, "--yes"], stdout=subprocess.PIPE, text=True)
        assert real.stdout is not None
        lines = iter(real.stdout.readline, "")
        assert any("Plan:" in line for line in lines)
        assert "ended" in containers(host)
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    assert any("Removed" in line for line in lines)
    assert real.wait(30 * slowdown()) == 0
    real.stdout.close()
    assert "ended" not in containers(host)


class TestNothingGoes:
    """Commands that only look, or end before a removal. They share one host, which is made once."""

    @pytest.fixture(scope="class")
    @classmethod
    def host(cls, engine: Engine) -> Iterator[docker.DockerClient]:
        with contextlib.closing(engine.client()) as client, emptied(engine):
            fill(client)
            before = containers(client), tags(client)
            yield client
            assert (containers(client), tags(client)) == before

    @pytest.fixture
    def config(self, tmp_path: Path, engine: Engine) -> Path:
        return write_config(tmp_path, engine.host, KEEPS_BASE)

    def test_the_plan_has_the_published_form(self, config: Path, host: docker.DockerClient) -> None:
        plan = plan_of(watchd_here("prune", "-c", config, "-n", "--json"))
        assert set(plan) == {"plan_id", "created_at", "engine", "items", "totals", "without_pressure"}
        assert set(plan["engine"]) == {"id", "name", "version", "api_version", "store"}
        assert plan["engine"]["id"] == host.info()["ID"]
        keys = {"kind", "id", "name", "names", "action", "mode", "policy", "reason", "facts", "bytes", "at_least"}
        assert all(set(item) == keys for item in plan["items"])
        assert plan["totals"]["container"]["remove"] == 4
        assert plan["totals"]["image"] == {
            "remove": 4,
            "untag": 2,
            "keep": 5,
            "bytes": sum(
                item["bytes"] for item in plan["items"] if item["kind"] == "image" and item["action"] == "remove"
            ),
            "at_least": False,
        }

    def test_without_a_terminal_it_wants_to_be_told_yes(self, config: Path, host: docker.DockerClient) -> None:
        result = watchd_here("prune", "-c", config)
        assert result.returncode == 2
        assert "--yes" in result.stderr
        assert "ended" in containers(host)

    def test_an_ordinary_user_plans_without_roots_state(
        self, engine: Engine, host: docker.DockerClient, open_path: Path
    ) -> None:
        config = write_config(open_path, engine.host, KEEPS_BASE)
        assert watchd_here("prune", "-c", config, "-n").returncode == 0
        assert "ended" in containers(host)
        (open_path / "state").chmod(0o700)
        # Root is held to the permissions of others when it has given its capabilities away.
        drop = [*enterable(), "setpriv", "--bounding-set=-all", "--inh-caps=-all", "--reuid=65534", "--clear-groups"]
        engine.socket.chmod(0o666)
        mode = engine.directory.stat().st_mode
        engine.directory.chmod(0o755)
        try:
            result = subprocess.run(
                [*drop, WATCHD, "prune", "-c", config, "-n"], capture_output=True, text=True, check=False
            )
        finally:
            engine.directory.chmod(mode)
        assert result.returncode == 0, result.stderr
        assert "clocks were not recorded" in result.stderr

    def test_an_interrupt_ends_the_wait_for_another_run(self, config: Path, host: docker.DockerClient) -> None:
        assert watchd_here("prune", "-c", config, "-n").returncode == 0
        with (config.parent / "state" / "run.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            process = subprocess.Popen([WATCHD, "prune", "-c", config, "--yes"], stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            assert any("Plan:" in line for line in lines)
            process.send_signal(signal.SIGINT)
            assert process.wait(10 * slowdown()) == 3
            process.stdout.close()
        assert "ended" in containers(host)

    def test_report_mode_removes_nothing_and_says_how_to_enforce(
        self, tmp_path: Path, engine: Engine, host: docker.DockerClient
    ) -> None:
        config = write_config(tmp_path, engine.host, CLEANUP.replace('"enforce"', '"report"'))
        before = containers(host), tags(host)
        result = watchd_here("prune", "-c", config, "--yes")
        assert result.returncode == 0
        assert "Would remove if its policy enforced" in result.stdout
        assert "Nothing to remove: the above is only reported." in result.stdout
        assert 'mode = "enforce"' in result.stderr
        assert (containers(host), tags(host)) == before
        plan = plan_of(watchd_here("prune", "-c", config, "-n", "--json"))
        assert {item["mode"] for item in plan["items"] if item["action"] == "remove"} == {"report"}
        assert plan["totals"]["container"]["remove"] == 0

    def test_a_dry_run_and_config_check_tell_what_matches_nothing(
        self, tmp_path: Path, engine: Engine, host: docker.DockerClient
    ) -> None:
        none = '[[cleanup.policies]]\nname = "none"\nkind = "image"\nselect.tag = ["9*"]\nwhen.unused_for = "0s"\n'
        protect = '[cleanup.protect]\nimages = ["base", "bse", "*", "!kept"]\n'
        config = write_config(tmp_path, engine.host, CLEANUP + none + protect)
        before = containers(host), tags(host)
        checked = watchd_here("config", "check", "--engine", "-c", config)
        assert checked.returncode == 0, checked.stderr
        total = len(host.images.list(all=True))
        assert f"policy none selects 0 of {total} images" in checked.stdout.splitlines()
        assert "policy exited selects " in checked.stdout
        assert 'Note: cleanup.protect.images: "bse" matches no image' in checked.stderr.splitlines()
        assert '"!kept" matches' not in checked.stderr
        dry = watchd_here("prune", "-c", config, "-n")
        assert f"Note: policy none selects 0 of {total} images" in dry.stderr.splitlines()
        assert 'Note: cleanup.protect.images: "bse" matches no image' in dry.stderr.splitlines()
        assert (containers(host), tags(host)) == before

    def test_the_defaults_only_report_and_keep_what_is_new(
        self, host: docker.DockerClient, engine: Engine, tmp_path: Path
    ) -> None:
        result = watchd_here(
            "prune", "--yes", "--json", WATCHD_ENGINE__HOST=engine.host, WATCHD_STATE__DIRECTORY=str(tmp_path / "state")
        )
        assert result.returncode == 0, result.stderr
        assert decisions(plan_of(result), "remove", "untag") == set()
        assert "ended" in containers(host)

    def test_explain_tells_why(self, config: Path, host: docker.DockerClient) -> None:
        ended = host.containers.get("ended")
        for reference in ("ended", str(ended.id)[:10]):
            told = watchd_here("explain", "-c", config, reference)
            assert told.returncode == 0, told.stderr
            assert told.stdout.startswith(
                f"container ended ({str(ended.id)[:12]}) goes at the next run: it has ended long enough ago.\n"
                "  decision: remove, exited_too_long ("
            )
        of_base = json.loads(watchd_here("explain", "-c", config, images.BASE, "--json").stdout)
        assert (of_base["kind"], of_base["action"], of_base["reason"]) == ("image", "keep", "protected")
        assert [policy["name"] for policy in of_base["policies"]] == ["dangling", "unused"]
        assert "ended" in containers(host), "explaining removes nothing"
        suggested = re.search(r"`watchd (explain) NAME( .+?)`", watchd_here("prune", "--dry-run", "-c", config).stdout)
        assert suggested
        assert watchd_here(suggested[1], "ended", *shlex.split(suggested[2])).returncode == 0
        missing = watchd_here("explain", "-c", config, "no-such-thing")
        assert missing.returncode == 1
        assert "there is no container, image, network or volume 'no-such-thing'" in missing.stderr

    def test_a_young_object_is_kept_by_grace(self, tmp_path: Path, engine: Engine, host: docker.DockerClient) -> None:
        assert "ended" in containers(host)
        config = write_config(tmp_path, engine.host, CLEANUP.replace('grace = "0s"', 'grace = "1h"'))
        plan = plan_of(watchd_here("prune", "-c", config, "-n", "--json"))
        assert ("container", "ended", "keep", "grace") in decisions(plan)
        assert decisions(plan, "remove", "untag") == set()

    def test_state_that_cannot_be_written_stops_a_run_but_not_a_dry_run(
        self, tmp_path: Path, engine: Engine, host: docker.DockerClient
    ) -> None:
        (tmp_path / "state").touch()
        config = write_config(tmp_path, engine.host, CLEANUP)
        real = watchd_here("prune", "-c", config, "--yes")
        assert real.returncode == 1
        assert f"the state directory {tmp_path / 'state'} cannot be written" in real.stderr
        assert "ended" in containers(host)
        dry = watchd_here("prune", "-c", config, "--dry-run")
        assert dry.returncode == 0
        assert "clocks were not recorded" in dry.stderr
        assert "ended" in dry.stdout
